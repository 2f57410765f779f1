# ECDSA with SHA-256 on P-256: key generation, signing, verifying (FIPS 186-5, RFC 6979).
#
#   d = generate(os.urandom)
#   x, y = run(public(d))               # keys.run, or a loop of next() and await asyncio.sleep(0)
#   r, s = run(sign(d, digest))
#   assert run(verify((x, y), digest, r, s))
#
# public(), sign() and verify() are generators of the bounded steps of p256.py.
#
# Limits: every signature does the same steps, but Python's ints are not constant-time: somebody
# who can time one step on the board, or read its power line, may learn the key. A signature is
# about 1200 modular multiplications and two inversions, 66 steps: 2.5 ms and 380 KB of short-lived
# garbage on a 64-bit PC. Verifying takes 4000 and three, 258 steps: 6.3 ms and 1.2 MB. The longest
# step is an inversion, 0.4 ms. Either works in a heap of 64 KB.
# SPDX-License-Identifier: MIT

from ..errors import Broken
from .p256 import N, P, invert, multiply_base, multiply_sum


def generate(random):
    """A private key: an int in [1, N - 1], by rejection (FIPS 186-5 A.2.2).

    random: n -> n random bytes, such as os.urandom. Broken when its bytes cannot be random.
    """
    # One draw in 2**32 is out of range: a second one already points at the source.
    for _ in range(8):
        d = int.from_bytes(random(32), "big")
        if 1 <= d < N:
            return d
    raise Broken("random source: expected a number in [1, n-1], got none in 8 draws")


def public(d):
    """Generator -> the public point (x, y) of the private key d, 1 <= d < N."""
    return multiply_base(d)


def nonces(d, digest):
    """The candidates for k of RFC 6979 section 3.2, in order, for a digest of 32 bytes."""
    from .hmac import hmac_sha256  # not in the heap of who verifies

    secret = d.to_bytes(32, "big")
    reduced = (int.from_bytes(digest, "big") % N).to_bytes(32, "big")
    key = b"\0" * 32
    value = b"\1" * 32
    for separator in (b"\0", b"\1"):
        key = hmac_sha256(key, value, separator, secret, reduced)
        value = hmac_sha256(key, value)
    while True:
        value = hmac_sha256(key, value)
        k = int.from_bytes(value, "big")
        if 1 <= k < N:
            yield k
        key = hmac_sha256(key, value, b"\0")
        value = hmac_sha256(key, value)


def sign(d, digest):
    """Generator -> the ECDSA signature (r, s) of a SHA-256 digest (32 bytes). FIPS 186-5 6.4."""
    number = _number(digest)
    candidates = nonces(d, digest)
    while True:
        k = next(candidates)
        r = (yield from multiply_base(k))[0] % N
        yield
        inverse = invert(k, N)
        yield
        s = inverse * (number + r * d) % N
        if r and s:
            return r, s


def verify(point, digest, r, s):
    """Generator -> whether (r, s) signs this SHA-256 digest (32 bytes). FIPS 186-5 6.4.2.

    point: the public key (x, y), for which p256.on_curve() holds. r, s: any ints.
    """
    number = _number(digest)
    if not (1 <= r < N and 1 <= s < N):
        return False
    inverse = invert(s, N)
    yield
    x, _, z = yield from multiply_sum(number * inverse % N, r * inverse % N, point)
    square = z * z % P
    # The affine x is x / square. Modulo N it is r if it is r itself or, where that is below P,
    # r + N: so it takes no inversion to compare them.
    same = x == r * square % P or (r + N < P and x == (r + N) * square % P)
    return z != 0 and same


def _number(digest):
    if len(digest) != 32:
        raise ValueError(f"expected a digest of 32 bytes, got {len(digest)}")
    return int.from_bytes(digest, "big")
