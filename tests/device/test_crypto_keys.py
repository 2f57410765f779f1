import os

from instar.crypto import encode, p256
from instar.crypto.keys import P256Key, generate, load, run
from instar.errors import Rejected

KEYS = "tests/vectors/keys/"


def contents(name):
    with open(KEYS + name, "rb") as file:
        return file.read(8192)


def refusal(data):
    try:
        load(data)
    except Rejected as error:
        return str(error)
    raise AssertionError("a bad key was taken")


def flipped(data, at, value):
    damaged = bytearray(data)
    damaged[at] ^= value
    return damaged


def load_or_refuse(data):
    """True if `data` is a key, False if it was Rejected; any other exception fails the test."""
    try:
        return load(data).kind in ("p256", "rsa")
    except Rejected:
        return False


def test_every_container_of_a_key_is_the_same_key():
    for kind, first, others in (
        ("p256", "p256-nopublic.der", ("p256-sec1.der", "p256-sec1.pem", "p256-pkcs8.pem")),
        (
            "rsa",
            "rsa2048-pkcs1.der",
            ("rsa2048-pkcs1.pem", "rsa2048-pkcs8.pem", "rsa2048-pkcs8.der"),
        ),
    ):
        key = load(contents(first))
        assert key.kind == kind
        assert key.to_der() == contents(first)
        for name in others:
            assert load(contents(name)).to_der() == contents(first), name


def test_pem_as_text_with_crlf_or_as_a_view():
    pem = contents("p256-pkcs8.pem")
    expected = load(pem).to_der()
    assert load(pem.decode()).to_der() == expected
    assert load(memoryview(pem)).to_der() == expected
    assert load(pem.replace(b"\n", b"\r\n")).to_der() == expected
    assert load(bytearray(contents("p256-sec1.der"))).to_der() == expected


def test_to_der_is_read_back():
    for name in ("p256-sec1.pem", "rsa2048-pkcs1.pem", "rsa3072-pkcs1.pem", "rsa4096-pkcs1.pem"):
        key = load(contents(name))
        again = load(key.to_der())
        assert (again.kind, again.to_der()) == (key.kind, key.to_der())


def test_what_is_refused_and_what_the_message_names():
    for name, expected in (
        ("p384.pem", "expected curve P-256 (1.2.840.10045.3.1.7), got 1.3.132.0.34"),
        ("p384-pkcs8.pem", "expected curve P-256 (1.2.840.10045.3.1.7), got 1.3.132.0.34"),
        ("p256-explicit.pem", "expected OID at byte 0, got SEQUENCE"),
        ("ed25519.pem", "expected RSA or P-256, got algorithm 1.3.101.112"),
        ("rsa-pss.pem", "expected RSA or P-256, got algorithm 1.2.840.113549.1.1.10"),
        ("rsa1024.pem", "expected 2048 to 4096 bits, got 1024"),
        ("rsa-three-primes.pem", "expected PKCS#1 version 0 (two primes), got 1"),
        ("p256-encrypted-traditional.pem", "an encrypted key?"),
        ("encrypted-pkcs8.pem", "got ENCRYPTED PRIVATE KEY"),
        ("encrypted-pkcs8.der", "certificate or encrypted key"),
        ("public.pem", "got PUBLIC KEY"),
        ("public.der", "got a public key"),
        ("certificate.pem", "got CERTIFICATE"),
        ("certificate.der", "got a public key, certificate"),
    ):
        message = refusal(contents("refused/" + name))
        assert expected in message, (name, message)


def test_garbage_is_refused():
    for data in (b"", b"0", b"\x30", b"\x30\x00", b"hello", b"\0" * 100, b"\xff" * 100):
        assert "private key" in refusal(data)
    assert "PEM" in refusal("-----BEGIN PRIVATE KEY-----")
    assert "expected at most 8192 bytes, got 8193" in refusal(b"\x30" * 8193)
    assert "expected the end" in refusal(contents("p256-sec1.der") + b"\0")
    assert "expected the end" in refusal(contents("rsa2048-pkcs8.der") + b"\0")


def test_a_damaged_pem_shows_nothing_of_the_key():
    pem = contents("p256-pkcs8.pem")
    body = pem.split(b"\n")[1][:8].decode()
    for damaged in (pem.replace(b"-----\n", b"\n"), pem.replace(b" KEY-----\n", b" KEY")):
        message = refusal(damaged)
        assert "expected a label" in message
        assert body not in message


def test_private_numbers_out_of_range():
    def sec1(secret):
        curve = encode.context(0, encode.oid(b"\x2a\x86\x48\xce\x3d\x03\x01\x07"))
        return encode.sequence(encode.integer(1), encode.octet_string(secret), curve)

    for d in (0, p256.N, (1 << 256) - 1):
        assert "expected a number in [1, n-1]" in refusal(sec1(d.to_bytes(32, "big")))
    assert "expected 32 bytes for P-256, got 31" in refusal(sec1(b"\1" * 31))
    assert "expected 32 bytes for P-256, got 33" in refusal(sec1(b"\0" + b"\1" * 32))
    assert load(sec1((p256.N - 1).to_bytes(32, "big"))).kind == "p256"


def test_a_sec1_key_that_names_no_curve():
    data = encode.sequence(encode.integer(1), encode.octet_string(b"\1" * 32))
    assert "expected curve P-256 (1.2.840.10045.3.1.7), got none" in refusal(data)


def test_every_truncation_is_refused():
    for name in ("p256-nopublic.der", "p256-sec1.der", "rsa2048-pkcs1.der", "rsa2048-pkcs8.der"):
        data = memoryview(contents(name))
        for size in range(len(data)):
            assert not load_or_refuse(data[:size]), (name, size)
    for name in ("p256-sec1.pem", "p256-pkcs8.pem"):
        data = contents(name)
        for size in range(len(data) - 1):  # the last line break may be missing
            assert not load_or_refuse(data[:size]), (name, size)


def test_every_flipped_bit_of_p256_keys_gives_a_key_or_rejected():
    for name in ("p256-nopublic.der", "p256-sec1.der", "p256-pkcs8.pem"):
        data = contents(name)
        outcomes = [
            load_or_refuse(flipped(data, at, 1 << bit))
            for at in range(len(data))
            for bit in range(8)
        ]
        assert True in outcomes  # a bit of the private number: another key
        assert False in outcomes


def test_every_damaged_byte_of_an_rsa_key_is_refused():
    data = contents("rsa2048-pkcs1.der")
    for at in range(len(data)):
        assert not load_or_refuse(flipped(data, at, 1 << (at & 7))), at
        assert not load_or_refuse(flipped(data, at, 0xFF)), at


def test_generate_makes_a_new_key_each_time():
    one, two = run(generate(os.urandom)), run(generate(os.urandom))
    assert one.kind == "p256"
    assert one.to_der() != two.to_der()
    assert load(one.to_der()).to_der() == one.to_der()
    seeded = run(generate(lambda n: b"\x11" * n))
    assert seeded.to_der() == P256Key(int.from_bytes(b"\x11" * 32, "big")).to_der()


def test_generators_go_in_many_steps():
    def steps(generator):
        return sum(1 for _ in generator)

    assert steps(generate(os.urandom)) == 64
    key = load(contents("p256-sec1.pem"))
    assert steps(key.sign(b"message")) == 66
    assert steps(key.public_pem()) == 64
    assert steps(key.public_pem()) == 0  # known by now
    assert steps(load(contents("rsa2048-pkcs1.pem")).sign(b"message")) > 500


def test_signatures_repeat_for_the_same_message_only():
    for name in ("p256-sec1.pem", "rsa2048-pkcs1.pem"):
        key = load(contents(name))
        first = run(key.sign(b"one"))
        assert run(key.sign(memoryview(b"one"))) == first
        assert run(key.sign(b"two")) != first
