import hashlib
import json
from binascii import a2b_base64

from instar.crypto import der, oids, p256
from instar.crypto.encode import bit_string, integer, null, octet_string, oid, sequence
from instar.crypto.keys import load as load_private
from instar.crypto.keys import run
from instar.crypto.public import load
from instar.errors import Rejected

KEYS = "tests/vectors/keys/"
PUBLIC = "tests/vectors/public/"
DIGEST = hashlib.sha256(b"sample").digest()


def contents(name, folder=PUBLIC):
    with open(folder + name, "rb") as file:
        return file.read(16384)


def refusal(data):
    try:
        load(data)
    except Rejected as error:
        return str(error)
    raise AssertionError("a bad key was taken")


def taken(data):
    """True if `data` is a key, False if it was Rejected; any other exception fails the test."""
    try:
        return load(data).kind in ("p256", "rsa")
    except Rejected:
        return False


def info(key, curve=oids.P256):
    """SubjectPublicKeyInfo of a point, in its encoded form."""
    return sequence(sequence(oid(oids.EC), oid(curve)), bit_string(key))


def point(x, y):
    return b"\4" + x.to_bytes(32, "big") + y.to_bytes(32, "big")


def test_what_the_hosts_signatures_are():
    vectors = json.loads(contents("signatures.json"))
    digest = hashlib.sha256(vectors["message"].encode()).digest()
    good = 0
    for row in vectors["signatures"]:
        signature = a2b_base64(row["signature"])
        assert run(load(contents(row["key"])).verify(digest, signature)) is row["good"], row
        good += row["good"]
    assert good == 6


def test_every_container_of_a_key_verifies_the_same():
    for private, names in (
        ("p256-sec1.pem", ("p256.pem", "p256.der")),
        (
            "rsa2048-pkcs1.pem",
            ("rsa2048.pem", "rsa2048.der", "rsa2048-pkcs1.pem", "rsa2048-pkcs1.der"),
        ),
        ("rsa3072-pkcs1.pem", ("rsa3072.pem",)),
        ("rsa4096-pkcs1.pem", ("rsa4096.pem",)),
    ):
        signer = load_private(contents(private, KEYS))
        signature = run(signer.sign(b"sample"))
        for name in names:
            key = load(contents(name))
            assert key.kind == signer.kind
            assert run(key.verify(DIGEST, signature)) is True, name
            assert run(key.verify(hashlib.sha256(b"").digest(), signature)) is False, name


def test_what_a_board_shows_as_its_public_key_is_one():
    for name in ("p256-sec1.pem", "rsa2048-pkcs1.pem"):
        signer = load_private(contents(name, KEYS))
        key = load(run(signer.public_pem()))
        assert run(key.verify(DIGEST, run(signer.sign(b"sample"))))


def test_text_views_and_line_breaks():
    pem = contents("p256.pem")
    for data in (
        pem.decode(),
        memoryview(pem),
        pem.replace(b"\n", b"\r\n"),
        b"the release key\n" + pem + b"\n# keep\n",
        bytearray(contents("p256.der")),
    ):
        assert load(data).kind == "p256"


def test_both_forms_of_a_signature_by_ecdsa():
    signer = load_private(contents("p256-sec1.pem", KEYS))
    key = load(contents("p256.pem"))
    signature = run(signer.sign(b"sample"))
    pair = der.Reader(signature).sequence()
    r, s = pair.integer(), pair.integer()
    raw = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    assert run(key.verify(DIGEST, signature)) and run(key.verify(DIGEST, raw))

    def padded(number):
        body = b"\0" + number.to_bytes(32, "big")
        return bytes((der.INTEGER, len(body) + 1)) + b"\0" + body

    negative = bytes((der.INTEGER, 32)) + (r | 1 << 255).to_bytes(32, "big")
    for bad in (
        b"",
        raw[:-1],
        raw + b"\0",
        b"\0" + raw,
        signature + b"\0",
        signature[:-1],
        sequence(integer(r)),
        sequence(integer(r), integer(s), integer(0)),
        sequence(integer(r), octet_string(s.to_bytes(32, "big"))),
        sequence(padded(r), integer(s)),
        sequence(negative, integer(s)),
        sequence(integer(r), integer(0)),
        sequence(integer(r + p256.N), integer(s)),
        b"\x30\x81" + signature[1:],  # not the shortest form of the length
        b"\x31" + signature[1:],
        b"\x30\x00",
        b"\x30\x06\x02\x01\x00\x02\x01\x00",
        raw[:32] + bytes(32),
        bytes(64),
        b"\xff" * 64,
        bytes(500),
    ):
        assert run(key.verify(DIGEST, bad)) is False, bad


def test_a_short_signature_in_der_is_one():
    # r = x of G / 2 has 166 bits: the digest makes s small as well.
    half = p256.invert(2, p256.N)
    r = run(p256.multiply_base(half))[0]
    s = 1
    d = 3
    e = (s * half - r * d) % p256.N
    signature = sequence(integer(r), integer(s))
    assert len(signature) < 40
    key = load(info(point(*run(p256.multiply_base(d)))))
    assert run(key.verify(e.to_bytes(32, "big"), signature)) is True


def test_every_flipped_bit_of_a_signature_is_refused():
    signer = load_private(contents("p256-sec1.pem", KEYS))
    key = load(contents("p256.der"))
    signature = bytearray(run(signer.sign(b"sample")))
    for at in range(len(signature)):
        signature[at] ^= 1 << (at & 7)
        assert run(key.verify(DIGEST, signature)) is False, at
        signature[at] ^= 1 << (at & 7)
    assert run(key.verify(DIGEST, signature))


def test_what_is_refused_and_what_the_message_names():
    for name, expected in (
        ("ed25519.pem", "expected RSA or P-256, got Ed25519 (1.3.101.112)"),
        ("p384.pem", "expected curve P-256, got P-384 (1.3.132.0.34)"),
        ("p521.pem", "expected curve P-256, got P-521 (1.3.132.0.35)"),
        ("secp256k1.pem", "expected curve P-256, got secp256k1 (1.3.132.0.10)"),
        ("rsa1024.der", "expected 2048 to 4096 bits, got 1024"),
        ("rsa4104.der", "expected 2048 to 4096 bits, got 4104"),
    ):
        assert expected in refusal(contents("refused/" + name)), name


def test_private_keys_and_certificates_are_refused_and_not_shown():
    for name, expected in (
        ("p256-sec1.pem", "got EC PARAMETERS, EC PRIVATE KEY"),
        ("p256-pkcs8.pem", "got PRIVATE KEY"),
        ("p256-sec1.der", "got a private key"),
        ("p256-nopublic.der", "got a private key"),
        ("rsa2048-pkcs1.pem", "got RSA PRIVATE KEY"),
        ("rsa2048-pkcs1.der", "got a private key"),
        ("rsa2048-pkcs8.der", "got a private key"),
        ("refused/encrypted-pkcs8.der", "got an encrypted private key"),
        ("refused/encrypted-pkcs8.pem", "got ENCRYPTED PRIVATE KEY"),
        ("refused/certificate.pem", "got CERTIFICATE"),
        ("refused/certificate.der", "got a certificate"),
        ("refused/ed25519.pem", "got PRIVATE KEY"),
    ):
        message = refusal(contents(name, KEYS))
        assert expected in message and len(message) < 120, (name, message)
    two = contents("p256.pem") + contents("rsa2048.pem")
    assert "expected one PUBLIC KEY or RSA PUBLIC KEY, got PUBLIC KEY, PUBLIC KEY" in refusal(two)


def test_points():
    x, y = run(p256.multiply_base(7))
    assert load(info(point(x, y))).kind == "p256"
    for key, expected in (
        (point(x, y ^ 1), "expected a point on the curve P-256"),
        (point(y, x), "expected a point on the curve P-256"),
        (point(0, 0), "expected a point on the curve P-256"),
        (point(x, p256.P), "expected a point on the curve P-256"),
        (b"\2" + point(x, y)[1:33], "got 33 bytes (a compressed point?)"),
        (b"\6" + point(x, y)[1:], "65 bytes that begin with 04"),  # the hybrid form
        (b"\0", "65 bytes that begin with 04, got 1 bytes"),
        (b"", "65 bytes that begin with 04, got 0 bytes"),
        (point(x, y) + b"\0", "got 66 bytes"),
        (point(x, y)[:-1], "got 64 bytes"),
    ):
        message = refusal(info(key))
        assert expected in message, (expected, message)
    # A coordinate of the field, but not in its smallest form.
    for small in range(20):
        found = pow(small**3 - 3 * small + p256._B, (p256.P + 1) // 4, p256.P)
        if p256.on_curve(small, found):
            assert load(info(point(small, found)))
            assert "on the curve" in refusal(info(point(small + p256.P, found)))


def test_rsa_numbers():
    fields = der.Reader(contents("rsa2048-pkcs1.der")).sequence()
    n, e = fields.integer(), fields.integer()
    assert load(sequence(integer(n), integer(e))).kind == "rsa"
    for numbers, expected in (
        ((n, e + 1), "odd public exponent"),
        ((n, 1), "odd public exponent"),
        ((n, (1 << 32) + 1), "odd public exponent"),
        ((n - 1, e), "odd modulus"),
        ((n >> 1, e), "got 2047"),
        ((n,), "expected INTEGER"),
        ((n, e, 1), "expected the end"),
        ((), "expected INTEGER"),
        ((0, e), "got a private key"),
    ):
        message = refusal(sequence(*[integer(number) for number in numbers]))
        assert expected in message, (expected, message)


def test_other_shapes_are_refused():
    x, y = run(p256.multiply_base(7))
    key = bit_string(point(x, y))
    ec, curve = oid(oids.EC), oid(oids.P256)
    for data, expected in (
        (sequence(sequence(ec), key), "expected OID"),
        (sequence(sequence(ec, sequence()), key), "expected OID"),
        (sequence(sequence(ec, curve, null()), key), "expected the end"),
        (sequence(sequence(ec, curve)), "expected BIT STRING"),
        (sequence(sequence(ec, curve), key, key), "expected the end"),
        (sequence(sequence(oid(oids.RSA)), key), "expected NULL"),
        (
            sequence(sequence(oid(oids.RSA), null()), key),
            "expected SEQUENCE",
        ),
        (
            sequence(sequence(null()), key),
            "got a certificate or something else",
        ),
        (sequence(), "expected INTEGER"),
        (b"", "expected SEQUENCE"),
        (b"hello", "expected SEQUENCE"),
        (b"\x30" * 4097, "expected at most 4096 bytes, got 4097"),
        (contents("p256.der") + b"\0", "expected the end"),
        (contents("rsa2048-pkcs1.der") + b"\0", "expected the end"),
    ):
        message = refusal(data)
        assert "public key" in message and expected in message, (expected, message)


def test_every_truncation_is_refused():
    for name in ("p256.der", "rsa2048.der", "rsa2048-pkcs1.der"):
        data = memoryview(contents(name))
        for size in range(len(data)):
            assert not taken(data[:size]), (name, size)
    data = contents("p256.pem")
    for size in range(len(data) - 1):  # the last line break may be missing
        assert not taken(data[:size]), size


def test_every_flipped_bit_of_a_key_is_another_key_or_refused():
    signer = load_private(contents("rsa2048-pkcs1.pem", KEYS))
    signature = run(signer.sign(b"sample"))
    for name in ("p256.der", "rsa2048.der"):
        data = bytearray(contents(name))
        refusals = 0
        for at in range(len(data)):
            data[at] ^= 1 << (at & 7)
            if not taken(data):
                refusals += 1
            elif name == "rsa2048.der":  # a bit of the modulus or the exponent
                assert not run(load(data).verify(DIGEST, signature)), at
            data[at] ^= 1 << (at & 7)
        # No bit of a point may change; of RSA the two lowest and highest bits and the frame.
        assert refusals == len(data) if name == "p256.der" else refusals > 30
