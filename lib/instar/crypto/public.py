# Public keys, to verify with: read from PEM or DER.
#
#   key = load(pem_or_der)
#   digest = hashlib.sha256(message).digest()
#   assert run(key.verify(digest, signature))       # keys.run, or a loop of next() and await
#
# verify() is a generator of bounded steps, see p256.py and rsa.py.
#
# Limits: P-256 and RSA of 2048 to 4096 bits, as SubjectPublicKeyInfo (RFC 5280), RSA also as
# PKCS#1; one key in a file. Points are not compressed. Of p256.py and rsa.py only that is imported
# which the key needs.
# SPDX-License-Identifier: MIT

from micropython import const

from ..errors import Rejected
from . import der, oids

_MAX_KEY = const(4096)  # RSA-4096 in PEM has 800 bytes; text around it may say whose it is
_MAX_VERSION = const(1)  # a private key begins with 0 or 1, RSA's modulus is larger
_COORDINATE = const(32)
_UNCOMPRESSED = const(4)  # SEC1 2.3.3: the first byte of a point
_MIN_DER = const(8)  # SEQUENCE of two INTEGERs of one byte
_MAX_DER = const(72)  # of two INTEGERs of 33 bytes

_NAMES = {
    "1.2.840.113549.1.1.10": "RSA-PSS",
    "1.3.101.112": "Ed25519",
    "1.3.101.113": "Ed448",
    "1.3.132.0.10": "secp256k1",
    "1.3.132.0.34": "P-384",
    "1.3.132.0.35": "P-521",
}


class P256PublicKey:
    """An ECDSA key on P-256: the point (x, y). Rejected if it is not on the curve."""

    kind = "p256"

    def __init__(self, x, y):
        from .p256 import on_curve

        if not on_curve(x, y):
            raise Rejected("public key: expected a point on the curve P-256, got another")
        self._point = (x, y)

    def verify(self, digest, signature):
        """Generator -> whether `signature` (bytes) is one of this SHA-256 digest (32 bytes).

        64 bytes are r and s, as mender-artifact writes them; anything else is DER, as signing
        modules (PKCS#11, KMS) do. What is neither is no signature.
        """
        from .ecdsa import verify

        if len(signature) == 2 * _COORDINATE:
            r, s = _halves(signature)
        else:
            try:
                r, s = _read_der(signature)
            except Rejected:
                return False  # damaged: as good as a signature by somebody else
        return (yield from verify(self._point, digest, r, s))


class RSAPublicKey:
    """An RSA key: modulus n, exponent e. Rejected if no key of 2048 to 4096 bits has them."""

    kind = "rsa"

    def __init__(self, n, e):
        from .rsa import check_public

        check_public(n, e)
        self._numbers = (n, e)

    def verify(self, digest, signature):
        """Generator -> whether `signature` is PKCS#1 v1.5 of this SHA-256 digest (32 bytes)."""
        from .rsa import verify

        return (yield from verify(*self._numbers, digest, signature))


def _halves(data):
    return (
        int.from_bytes(data[:_COORDINATE], "big"),
        int.from_bytes(data[_COORDINATE:], "big"),
    )


def _read_der(signature):
    """(r, s) of a SEQUENCE of two INTEGERs and nothing more."""
    if not _MIN_DER <= len(signature) <= _MAX_DER:
        raise Rejected(f"signature: expected 8 to 72 bytes of DER, got {len(signature)}")
    outer = der.Reader(signature, "signature")
    pair = outer.sequence()
    outer.end()
    r, s = pair.integer(), pair.integer()
    pair.end()
    return r, s


def load(data):
    """The P256PublicKey or RSAPublicKey in PEM or DER (bytes-like, or str for PEM).

    Rejected, with what came instead: other algorithms and curves, private keys, certificates,
    compressed points, RSA of another size, more than one key, anything damaged or too long.
    """
    data = data.encode() if isinstance(data, str) else data
    if len(data) > _MAX_KEY:
        raise Rejected(f"public key: expected at most {_MAX_KEY} bytes, got {len(data)}")
    data = bytes(data)
    if b"-----BEGIN " in data:
        data = _from_pem(data)
    outer = der.Reader(data, "public key")
    fields = outer.sequence()
    outer.end()
    return _info(fields) if fields.peek() == der.SEQUENCE else _pkcs1(fields)


def _from_pem(text):
    from .pem import from_pem

    blocks = from_pem(text)
    labels = [label for label, _ in blocks]
    if labels not in (["PUBLIC KEY"], ["RSA PUBLIC KEY"]):
        came = ", ".join(labels)
        raise Rejected(f"public key: expected one PUBLIC KEY or RSA PUBLIC KEY, got {came}")
    return blocks[0][1]


def _pkcs1(fields):
    """RFC 8017 A.1.1 RSAPublicKey."""
    n = fields.integer()
    if n <= _MAX_VERSION:
        raise Rejected("public key: expected one, got a private key")
    e = fields.integer()
    fields.end()
    return RSAPublicKey(n, e)


def _info(fields):
    """RFC 5280 4.1 SubjectPublicKeyInfo."""
    algorithm = fields.sequence()
    if algorithm.peek() != der.OID:
        raise Rejected("public key: expected one, got a certificate or something else")
    oid = algorithm.oid()
    if fields.peek() == der.OCTET_STRING:
        raise Rejected("public key: expected one, got an encrypted private key")
    if oid == oids.EC:
        curve = algorithm.oid()
        _expect(curve == oids.P256, "curve P-256", curve)
        read = _point
    else:
        _expect(oid == oids.RSA, "RSA or P-256", oid)
        algorithm.null()
        read = _rsa
    algorithm.end()
    key = fields.bit_string()
    fields.end()
    return read(key)


def _expect(fits, expected, oid):
    if not fits:
        number = der.dotted(oid)
        name = _NAMES.get(number, "algorithm")
        raise Rejected(f"public key: expected {expected}, got {name} ({number})")


def _rsa(key):
    outer = der.Reader(key, "public key")
    fields = outer.sequence()
    outer.end()
    return _pkcs1(fields)


def _point(key):
    if len(key) != 1 + 2 * _COORDINATE or key[0] != _UNCOMPRESSED:
        came = f"{len(key)} bytes" + (" (a compressed point?)" if len(key) == 33 else "")
        raise Rejected(f"public key: expected a point of 65 bytes that begin with 04, got {came}")
    return P256PublicKey(*_halves(key[1:]))
