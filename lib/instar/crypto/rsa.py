# RSASSA-PKCS1-v1_5 signatures with SHA-256 (RFC 8017 section 8.2) over Python ints.
#
#   signature = run(sign(numbers, digest))      # keys.run; numbers as in a PKCS#1 key
#   assert run(verify(n, e, digest, signature))
#
# sign() and verify() are generators of bounded steps: a step is at most five multiplications
# modulo one of the primes, or two modulo n, so the event loop and the watchdog go on between two.
#
# Limits: two primes, 2048 to 4096 bits. No blinding: somebody who can time one step on the board,
# or read its power line, may learn the key. On a 64-bit PC a signature takes 30 ms (2048 bits),
# 100 ms (3072) or 210 ms (4096), where P-256 takes 2.5 ms: prefer that on a board that signs.
# Verifying, with e = 65537, takes 17 steps: 0.8 ms, 1.7 ms or 2.8 ms, and 24, 34 or 44 KB of
# short-lived garbage, where P-256 takes 5.1 ms and 1.1 MB.
# SPDX-License-Identifier: MIT

from micropython import const

from ..errors import Broken, Rejected
from .der import bit_length

_MIN_BITS = const(2048)
_MAX_BITS = const(4096)
_WINDOW = const(4)  # bits of a secret exponent in one step

# DER of DigestInfo up to the digest: SHA-256 with NULL parameters (RFC 8017 section 9.2, note 1).
_DIGEST_INFO = b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20"


def check_public(n, e):
    """Rejected unless (n, e) can be the public half of a key of this module."""
    bits = bit_length(n)
    if not _MIN_BITS <= bits <= _MAX_BITS:
        raise Rejected(f"RSA key: expected {_MIN_BITS} to {_MAX_BITS} bits, got {bits}")
    if not n & 1:
        raise Rejected("RSA key: expected an odd modulus, got an even one")
    if not (e & 1 and 3 <= e < 1 << 32):
        raise Rejected("RSA key: expected an odd public exponent of 3 to 2**32, got another")


def check(numbers):
    """Rejected unless (n, e, d, p, q, dp, dq, qinv) fit together as a key of this module."""
    n, e, d, p, q, dp, dq, qinv = numbers
    check_public(n, e)
    if p < 2 or q < 2 or p * q != n:
        raise Rejected("RSA key: expected n = p * q, got other numbers")
    for exponent, prime in ((d, p), (d, q), (dp, p), (dq, q)):
        if e * exponent % (prime - 1) != 1:
            raise Rejected("RSA key: expected exponents that fit the primes, got other numbers")
    if qinv * q % p != 1:
        raise Rejected("RSA key: expected qinv = 1 / q modulo p, got another number")


def encode(digest, size):
    """EMSA-PKCS1-v1_5 of a SHA-256 digest (32 bytes), as an int of `size` bytes."""
    if len(digest) != 32:
        raise ValueError(f"expected a digest of 32 bytes, got {len(digest)}")
    tail = b"\0" + _DIGEST_INFO + digest
    return int.from_bytes(b"\0\1" + b"\xff" * (size - 2 - len(tail)) + tail, "big")


def power(base, exponent, modulus, width):
    """Generator -> base ** exponent % modulus, `width` bits of the exponent in a step.

    Squarings go by pow(x, 2**width, modulus): as fast as x * x % modulus, but what it allocates
    it frees itself (0.3 KB of garbage against 4.4 KB for four, with RSA-4096).
    """
    table = [1, base % modulus]
    for _ in range(2, 1 << width):
        table.append(table[-1] * table[1] % modulus)
        yield
    result = 1
    squarings = 1 << width
    for at in range((bit_length(exponent) - 1) // width * width, -1, -width):
        result = pow(result, squarings, modulus)
        result = result * table[exponent >> at & (squarings - 1)] % modulus
        yield
    return result


def sign(numbers, digest):
    """Generator -> the signature (bytes, as long as n) of a SHA-256 digest (32 bytes).

    numbers: (n, e, d, p, q, dp, dq, qinv), see `check`. Broken when the result does not verify.
    """
    n, e, _, p, q, dp, dq, qinv = numbers
    size = (bit_length(n) + 7) // 8
    message = encode(digest, size)
    by_p = yield from power(message, dp, p, _WINDOW)
    by_q = yield from power(message, dq, q, _WINDOW)
    signature = by_q + qinv * (by_p - by_q) % p * q
    # A fault in one half would publish a multiple of the other prime (Boneh, DeMillo, Lipton):
    # nothing leaves here that the public exponent does not turn back into the message.
    verified = yield from power(signature, e, n, 1)
    if verified != message:
        raise Broken("RSA: expected a signature that verifies, got another: fault or damaged key")
    return signature.to_bytes(size, "big")


def verify(n, e, digest, signature):
    """Generator -> whether these bytes are the key's signature of a SHA-256 digest (32 bytes).

    (n, e): as `check_public` takes them. The whole encoded message is made again and compared: a
    verifier that parses what it opened can be led past the end of it (Bleichenbacher 2006).
    """
    size = (bit_length(n) + 7) // 8
    message = encode(digest, size)
    number = int.from_bytes(signature, "big")
    if len(signature) != size or number >= n:
        return False
    opened = yield from power(number, e, n, 1)
    return opened == message
