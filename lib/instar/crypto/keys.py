# The board's identity key: read, make, sign, show the public half, keep.
#
#   key = load(pem_or_der)                  # or: key = run(generate(os.urandom))
#   signature = run(key.sign(body))         # what Mender's X-MEN-Signature has in base64
#   text = run(key.public_pem())            # what Mender's "pubkey" has
#   store.put("key", key.to_der())
#
# sign(), public_pem() and generate() are generators of bounded steps. run() drives one to its end;
# a task drives it with next() and lets others go on between two steps.
#
# Limits: P-256 (SEC1, PKCS#8) and RSA of 2048 to 4096 bits (PKCS#1, PKCS#8), not encrypted. The
# public half is always computed: one that stands in the file is not looked at. Of ecdsa.py and
# rsa.py only that is imported which the key needs.
# SPDX-License-Identifier: MIT

import hashlib

from micropython import const

from ..errors import Rejected
from . import der, encode, oids, pem

_MAX_KEY = const(8192)  # an RSA-4096 key in PEM has 3272 bytes

# Tags of what may follow: in SEC1 the curve [0] and the public half [1], in PKCS#8 attributes [0]
# and the public half [1].
_PARAMETERS = const(0xA0)
_PUBLIC = const(0xA1)
_ATTRIBUTES = const(0xA0)
_PKCS8_PUBLIC = const(0x81)


def run(generator):
    """Drive a generator of steps to its end, at once, and return its value."""
    while True:
        try:
            next(generator)
        except StopIteration as stop:
            return stop.value


class P256Key:
    """An ECDSA key on P-256. d: the private number, in [1, n-1]."""

    kind = "p256"

    def __init__(self, d):
        self._d = d
        self._point = ()

    def sign(self, message):
        """Generator -> ECDSA of the message's SHA-256, as DER of SEQUENCE {r, s}: 8..72 bytes."""
        from .ecdsa import sign

        r, s = yield from sign(self._d, hashlib.sha256(message).digest())
        return encode.sequence(encode.integer(r), encode.integer(s))

    def public_pem(self):
        """Generator -> the public key as SubjectPublicKeyInfo PEM (str). RFC 5480."""
        x, y = yield from self.public_point()
        algorithm = encode.sequence(encode.oid(oids.EC), encode.oid(oids.P256))
        point = b"\4" + x.to_bytes(32, "big") + y.to_bytes(32, "big")
        return _public_pem(algorithm, point)

    def public_point(self):
        """Generator -> (x, y), computed once."""
        from .ecdsa import public

        if not self._point:
            self._point = yield from public(self._d)
        return self._point

    def to_der(self):
        """The private key as SEC1 DER (RFC 5915), without its optional public half: 51 bytes."""
        secret = encode.octet_string(self._d.to_bytes(32, "big"))
        return encode.sequence(encode.integer(1), secret, encode.context(0, encode.oid(oids.P256)))


class RSAKey:
    """An RSA key. numbers: (n, e, d, p, q, dp, dq, qinv). Rejected if they do not fit."""

    kind = "rsa"

    def __init__(self, numbers):
        from .rsa import check

        check(numbers)
        self._numbers = numbers

    def sign(self, message):
        """Generator -> RSASSA-PKCS1-v1_5 of the message's SHA-256, as many bytes as n has."""
        from .rsa import sign

        return (yield from sign(self._numbers, hashlib.sha256(message).digest()))

    def public_pem(self):
        """Generator -> the public key as SubjectPublicKeyInfo PEM (str). RFC 3279."""
        yield
        n, e = self._numbers[:2]
        algorithm = encode.sequence(encode.oid(oids.RSA), encode.null())
        return _public_pem(algorithm, encode.sequence(encode.integer(n), encode.integer(e)))

    def to_der(self):
        """The private key as PKCS#1 DER (RFC 8017 A.1.2)."""
        return encode.sequence(
            encode.integer(0), *[encode.integer(number) for number in self._numbers]
        )


def _public_pem(algorithm, key):
    return pem.to_pem("PUBLIC KEY", encode.sequence(algorithm, encode.bit_string(key)))


def generate(random):
    """Generator -> a new P256Key. random: n -> n random bytes, such as os.urandom."""
    from .ecdsa import generate as generate_number

    key = P256Key(generate_number(random))
    yield from key.public_point()
    return key


def load(data):
    """The P256Key or RSAKey in PEM or DER (bytes-like, or str for PEM).

    Rejected, with what came instead: encrypted keys, other algorithms and curves, public keys,
    certificates, numbers that do not fit together, anything damaged or longer than 8 KiB.
    """
    data = data.encode() if isinstance(data, str) else data
    if len(data) > _MAX_KEY:
        raise Rejected(f"private key: expected at most {_MAX_KEY} bytes, got {len(data)}")
    data = bytes(data)
    if b"-----BEGIN " in data:
        data = _from_pem(data)
    outer = der.Reader(data, "private key")
    fields = outer.sequence()
    outer.end()
    if fields.peek() == der.SEQUENCE:
        raise Rejected("private key: expected one, got a public key, certificate or encrypted key")
    version = fields.integer()
    following = fields.peek()
    if following == der.OCTET_STRING:
        return _sec1(version, fields, None)
    if following == der.SEQUENCE:
        return _pkcs8(version, fields)
    return _pkcs1(version, fields)


def _from_pem(text):
    # `openssl ecparam -genkey` writes a block EC PARAMETERS before the key.
    blocks = pem.from_pem(text)
    for label, data in blocks:
        if label in ("PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY"):
            return data
    came = ", ".join([label for label, _ in blocks])
    raise Rejected(f"private key: expected PRIVATE KEY, EC or RSA PRIVATE KEY in PEM, got {came}")


def _version(fits, expected, came):
    if not fits:
        # In a malformed file this number may be the secret: show only a small one.
        came = came if came < 256 else "a larger number"
        raise Rejected(f"private key: expected {expected}, got {came}")


def _curve(oid):
    if oid != oids.P256:
        came = der.dotted(oid) or "none"
        raise Rejected(f"private key: expected curve P-256 (1.2.840.10045.3.1.7), got {came}")


def _sec1(version, fields, curve):
    """RFC 5915 ECPrivateKey. curve: the encoded OID that stood outside, or None."""
    _version(version == 1, "SEC1 version 1", version)
    secret = fields.octet_string()
    if fields.peek() == _PARAMETERS:
        parameters = fields.context(0)
        curve = parameters.oid()
        parameters.end()
    if fields.peek() == _PUBLIC:
        public = fields.context(1)
        public.bit_string()
        public.end()
    fields.end()
    _curve(curve or b"")
    if len(secret) != 32:
        raise Rejected(f"private key: expected 32 bytes for P-256, got {len(secret)}")
    from .p256 import N

    d = int.from_bytes(secret, "big")
    if not 1 <= d < N:
        raise Rejected("private key: expected a number in [1, n-1], got one outside")
    return P256Key(d)


def _pkcs1(version, fields):
    """RFC 8017 A.1.2 RSAPrivateKey."""
    _version(version == 0, "PKCS#1 version 0 (two primes)", version)
    numbers = tuple([fields.integer() for _ in range(8)])
    fields.end()
    return RSAKey(numbers)


def _pkcs8(version, fields):
    """RFC 5958 OneAsymmetricKey."""
    _version(version < 2, "PKCS#8 version 0 or 1", version)
    algorithm = fields.sequence()
    oid = algorithm.oid()
    inner = der.Reader(fields.octet_string(), "private key in PKCS#8")
    while fields.peek() in (_ATTRIBUTES, _PKCS8_PUBLIC):
        fields.element(fields.peek())
    fields.end()
    if oid == oids.EC:
        curve = algorithm.oid()
        algorithm.end()
        _curve(curve)
        return _inner(inner, _sec1, curve)
    if oid == oids.RSA:
        algorithm.null()
        algorithm.end()
        return _inner(inner, _pkcs1)
    raise Rejected(f"private key: expected RSA or P-256, got algorithm {der.dotted(oid)}")


def _inner(reader, parse, *args):
    fields = reader.sequence()
    reader.end()
    return parse(fields.integer(), fields, *args)
