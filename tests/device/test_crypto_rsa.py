import hashlib

from instar.crypto import rsa
from instar.crypto.keys import load, run
from instar.errors import Broken, Rejected

KEYS = "tests/vectors/keys/"
DIGEST = hashlib.sha256(b"sample").digest()


def contents(name):
    with open(KEYS + name, "rb") as file:
        return file.read(8192)


def numbers():
    return load(contents("rsa2048-pkcs1.der"))._numbers


def refused(changed):
    try:
        rsa.check(tuple(changed))
    except Rejected as error:
        return str(error)
    raise AssertionError("a key whose numbers do not fit was taken")


def test_signature_is_the_one_of_openssl():
    assert run(rsa.sign(numbers(), DIGEST)) == contents("rsa2048-sample.sig")


def test_encoding_is_as_rfc_8017_says():
    encoded = rsa.encode(DIGEST, 256).to_bytes(256, "big")
    assert encoded[:3] == b"\x00\x01\xff"
    assert encoded[2:204] == b"\xff" * 202
    assert encoded[204] == 0
    assert encoded[-32:] == DIGEST


def test_power_is_that_of_pow_in_steps():
    modulus = (1 << 521) - 1
    for exponent in (1, 2, 3, 15, 16, 17, 65537, modulus - 2, (1 << 520) + 1):
        for width in (1, 4):
            generator = rsa.power(0x1234567, exponent, modulus, width)
            assert run(generator) == pow(0x1234567, exponent, modulus), (exponent, width)


def test_a_signature_takes_many_steps():
    count = 0
    for _ in rsa.sign(numbers(), DIGEST):
        count += 1
    # Two exponents of 1024 bits, 4 bits a step, and 14 entries of a table for each; then 65537.
    assert count == 2 * (256 + 14) + 17


def test_a_step_leaves_little_garbage():
    import gc

    generator = rsa.sign(load(contents("rsa4096-pkcs1.pem"))._numbers, DIGEST)
    for _ in range(15):  # the message is encoded, the table made
        next(generator)
    gc.collect()
    gc.disable()
    for _ in range(200):
        before = gc.mem_alloc()
        next(generator)
        assert gc.mem_alloc() - before < 2500


def test_a_fault_in_either_half_gives_no_signature():
    for index in (3, 4, 5, 6, 7):  # p, q, dp, dq, qinv
        damaged = list(numbers())
        damaged[index] ^= 1 << 100
        try:
            signature = run(rsa.sign(damaged, DIGEST))
        except Broken as error:
            assert "expected a signature that verifies" in str(error)
        else:
            raise AssertionError(f"number {index} is damaged, and a signature came: {signature}")


def test_numbers_must_fit_together():
    good = numbers()
    rsa.check(good)
    for index, expected in enumerate(
        ("n = p * q", "fit the primes", "fit the primes", "n = p * q", "n = p * q")
        + ("fit the primes", "fit the primes", "qinv = 1 / q")
    ):
        changed = list(good)
        changed[index] += 2
        assert expected in refused(changed), index


def test_bad_sizes_and_exponents():
    n, e, d, p, q, dp, dq, qinv = numbers()
    assert "2048 to 4096 bits, got 1024" in refused((n >> 1024, e, d, p, q, dp, dq, qinv))
    assert "2048 to 4096 bits, got 4097" in refused((n << 2049, e, d, p, q, dp, dq, qinv))
    for exponent in (0, 1, 2, 65536, (1 << 32) + 1):
        assert "odd public exponent" in refused((n, exponent, d, p, q, dp, dq, qinv))
    assert "n = p * q" in refused((n, e, d, 1, n, dp, dq, qinv))
    assert "n = p * q" in refused((n, e, d, n, 1, dp, dq, qinv))
    assert "n = p * q" in refused((n, e, d, 0, q, dp, dq, qinv))


# Verifying


def verified(n, e, digest, signature):
    return run(rsa.verify(n, e, digest, signature))


def signed(encoded):
    """The private operation on any encoded message (an int)."""
    n, _, d = numbers()[:3]
    return pow(encoded, d, n).to_bytes(256, "big")


def test_what_was_signed_verifies_under_each_size():
    for name, size in (
        ("rsa2048-pkcs1.pem", 256),
        ("rsa3072-pkcs1.pem", 384),
        ("rsa4096-pkcs1.pem", 512),
    ):
        key = load(contents(name))._numbers
        n, e = key[:2]
        signature = run(rsa.sign(key, DIGEST))
        assert len(signature) == size
        assert verified(n, e, DIGEST, signature) is True
        assert verified(n, e, DIGEST, memoryview(signature)) is True
        assert not verified(n, e, hashlib.sha256(b"other").digest(), signature)
        assert not verified(n, e + 2, DIGEST, signature)
        assert not verified(n - 2, e, DIGEST, signature)
        for at in (0, 1, size // 2, size - 1):
            altered = bytearray(signature)
            altered[at] ^= 1
            assert not verified(n, e, DIGEST, altered), at


def test_the_length_is_that_of_the_modulus_and_the_number_is_below_it():
    n, e = numbers()[:2]
    good = contents("rsa2048-sample.sig")
    number = int.from_bytes(good, "big")
    for bad in (
        b"",
        good[:-1],
        good[1:],
        b"\0" + good,
        good + b"\0",
        (number + n).to_bytes(257, "big"),
        b"\0" * 256,
        n.to_bytes(256, "big"),
        b"\xff" * 256,
    ):
        assert not verified(n, e, DIGEST, bad), bad


def test_a_signature_plus_the_modulus_is_refused():
    key = numbers()
    n, e = key[:2]
    number = n
    digest = DIGEST
    while number + n >= 1 << 2048:  # until the sum has the right length
        digest = hashlib.sha256(digest).digest()
        number = int.from_bytes(run(rsa.sign(key, digest)), "big")
    assert verified(n, e, digest, number.to_bytes(256, "big"))
    assert not verified(n, e, digest, (number + n).to_bytes(256, "big"))


def test_only_the_whole_encoded_message_counts():
    n, e = numbers()[:2]
    info = rsa._DIGEST_INFO
    without_null = b"\x30\x2f\x30\x0b" + info[4:15] + info[17:]
    sha1 = b"\x30\x21\x30\x09\x06\x05\x2b\x0e\x03\x02\x1a\x05\x00\x04\x14"

    def padded(tail, head=b"\0\1", fill=b"\xff"):
        tail = b"\0" + tail
        return int.from_bytes(head + fill * (254 - len(tail)) + tail, "big")

    assert verified(n, e, DIGEST, signed(padded(info + DIGEST)))
    for bad in (
        padded(DIGEST),
        padded(info + DIGEST, head=b"\0\2"),
        padded(info + DIGEST, head=b"\1\1"),
        padded(info + DIGEST, fill=b"\xfe"),
        padded(without_null + DIGEST),
        padded(sha1 + DIGEST[:20]),
        # Room after the digest, where a forger of e = 3 hides what makes a cube of it.
        int.from_bytes(b"\0\1" + b"\xff" * 8 + b"\0" + info + DIGEST + bytes(194), "big"),
    ):
        assert not verified(n, e, DIGEST, signed(bad % n)), bad


def test_verifying_takes_a_step_for_each_bit_of_the_exponent():
    n, e = numbers()[:2]
    assert e == 65537
    assert sum(1 for _ in rsa.verify(n, e, DIGEST, contents("rsa2048-sample.sig"))) == 17


def test_an_even_modulus_is_no_key():
    n, e = numbers()[:2]
    rsa.check_public(n, e)
    try:
        rsa.check_public(n - 1, e)
    except Rejected as error:
        assert "expected an odd modulus" in str(error)
    else:
        raise AssertionError("an even modulus was taken")
