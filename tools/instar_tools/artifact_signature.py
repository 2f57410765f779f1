"""Signs and verifies the manifest of a Mender Artifact.

SHA-256 with RSA (PKCS#1 v1.5, 2048 bits or more) or with ECDSA on P-256 (r and s, 32 bytes each;
signing modules write DER, which is accepted too), in base64 without a newline.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import base64
import binascii

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

_COORDINATE = 32
_MIN_RSA_BITS = 2048


class SignatureError(ValueError):
    """The key cannot sign Artifacts, or the signature is not good; the message says which."""


def sign(manifest: bytes, private_pem: bytes) -> bytes:
    """The content of manifest.sig for this manifest.

    Raises:
        SignatureError: the PEM is no unencrypted private key, of RSA or on P-256.
    """
    try:
        key = serialization.load_pem_private_key(private_pem, None)
    except (ValueError, TypeError):
        raise SignatureError("expected an unencrypted private key in PEM") from None
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size >= _MIN_RSA_BITS:
        signature = key.sign(manifest, padding.PKCS1v15(), hashes.SHA256())
    elif isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
        r, s = decode_dss_signature(key.sign(manifest, ec.ECDSA(hashes.SHA256())))
        signature = r.to_bytes(_COORDINATE, "big") + s.to_bytes(_COORDINATE, "big")
    else:
        raise SignatureError(f"expected a key of RSA-2048 or more, or P-256, got {_name(key)}")
    return base64.b64encode(signature)


def verify(manifest: bytes, signature: bytes, public_pem: bytes) -> None:
    """Returns if `signature`, the content of manifest.sig, is one of this manifest by this key.

    Raises:
        SignatureError: it is not, or the PEM is no public key of RSA or on P-256.
    """
    try:
        key = serialization.load_pem_public_key(public_pem)
    except ValueError:
        raise SignatureError("expected a public key in PEM") from None
    try:
        raw = base64.b64decode(signature, validate=True)
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(raw, manifest, padding.PKCS1v15(), hashes.SHA256())
        elif isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
            key.verify(_der(raw), manifest, ec.ECDSA(hashes.SHA256()))
        else:
            raise SignatureError(f"expected a public key of RSA or P-256, got {_name(key)}")
    except binascii.Error:
        raise SignatureError("expected a signature in base64") from None
    except InvalidSignature:
        raise SignatureError("the signature was not made over this manifest by this key") from None


def _der(raw: bytes) -> bytes:
    if len(raw) != 2 * _COORDINATE:
        return raw
    numbers = (raw[:_COORDINATE], raw[_COORDINATE:])
    return encode_dss_signature(*(int.from_bytes(number, "big") for number in numbers))


def _name(key: object) -> str:
    bits = getattr(key, "key_size", None)
    curve = getattr(key, "curve", None)
    return curve.name if curve else f"{type(key).__name__} of {bits} bits"
