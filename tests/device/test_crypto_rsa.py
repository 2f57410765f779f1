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
