"""Mender's auth requests: who asks, whether the signature is theirs, and the token they get.

Keys: RSA, any EC curve, Ed25519. The signature covers the body exactly as it was sent: RSA PKCS#1
v1.5 or ECDSA (DER) over SHA-256, Ed25519 plain; in standard base64. The token is a JWT, RS256.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from . import answers
from .answers import Refusal
from .pki import private_pem, write_secret

WEEK = 604800
_KEYS = (rsa.RSAPublicKey, ec.EllipticCurvePublicKey, ed25519.Ed25519PublicKey)
_HEAD = {"alg": "RS256", "typ": "JWT"}
_PLAN = {
    "mender.device": True,
    "mender.plan": "enterprise",
    "mender.trial": False,
    "mender.addons": [
        {"name": name, "enabled": True} for name in ("configure", "troubleshoot", "monitor")
    ],
}


def read(body: bytes, signature: str | None) -> tuple[str, str]:
    """The identity (canonical JSON) and the public key (PEM) of a good request.

    Raises:
        Refusal: 400 for what cannot be read, 401 for a signature that does not verify.
    """
    if not signature:
        raise Refusal(400, "missing request signature header")
    prefix = "failed to decode auth request: "
    request = answers.decode(body, prefix)
    if not isinstance(request, dict):
        raise answers.mismatch(request, "value of type model.AuthReq", prefix)
    for field in ("id_data", "pubkey", "tenant_token"):
        if not isinstance(request.get(field) or "", str):
            wanted = f"struct field AuthReq.{field} of type string"
            raise answers.mismatch(request[field], wanted, prefix)
    for field in ("id_data", "pubkey"):
        if not request.get(field):
            raise Refusal(400, f"invalid auth request: {field} must be provided")
    identity = canonical(request["id_data"])
    key, pem = load_key(request["pubkey"])
    if not _verifies(key, signature, body):
        raise Refusal(401, "signature verification failed")
    return identity, pem


def canonical(id_data: str) -> str:
    """One spelling for equal identities: keys sorted, no blanks.

    Raises:
        Refusal: 400, it is no JSON object.
    """
    prefix = "invalid auth request: "
    value = answers.decode(id_data, prefix)
    if not isinstance(value, dict):
        raise answers.mismatch(value, "value of type map[string]interface {}", prefix)
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def load_key(pem: str) -> tuple[Any, str]:
    """The key in ``pem`` and its PEM as this server writes it.

    Raises:
        Refusal: 400, it is no SubjectPublicKeyInfo PEM of a kind that devices use.
    """
    failure = "invalid auth request: cannot decode public key"
    if "-----BEGIN PUBLIC KEY-----" not in pem:
        raise Refusal(400, failure)
    try:
        key = serialization.load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Refusal(400, f"{failure}: {str(error).splitlines()[0]}") from None
    if not isinstance(key, _KEYS):
        raise Refusal(400, failure)
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key, key.public_bytes(serialization.Encoding.PEM, form).decode()


def _verifies(key: Any, signature: str, body: bytes) -> bool:
    try:
        raw = base64.b64decode(signature, validate=True)
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(raw, body, padding.PKCS1v15(), hashes.SHA256())
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(raw, body, ec.ECDSA(hashes.SHA256()))
        else:
            key.verify(raw, body)
    except (InvalidSignature, ValueError):  # ValueError: no base64
        return False
    return True


class Tokens:
    """Gives out and checks tokens; the key is made once, in ``folder``."""

    def __init__(self, folder: Path, lifetime: int = WEEK) -> None:
        self.lifetime = lifetime
        path = folder / "jwt-key.pem"
        if not path.exists():
            # 3072 bits make a token as long as the real one's: about 1 KB.
            write_secret(path, private_pem(rsa.generate_private_key(65537, 3072)))
        key = serialization.load_pem_private_key(path.read_bytes(), None)
        assert isinstance(key, rsa.RSAPrivateKey)
        self._key, self._public = key, key.public_key()

    def issue(self, device: str, auth_set: str) -> str:
        """A token for this device, bound to the key it was accepted with."""
        issued = int(time.time())
        claims = {"jti": auth_set, "sub": device, "iss": "Mender", "exp": issued + self.lifetime}
        claims |= {"iat": issued, "nbf": -62135596800, **_PLAN}
        signed = b".".join(map(_encode, (_HEAD, claims)))
        signature = self._key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
        return (signed + b"." + _base64(signature)).decode()

    def check(self, token: str) -> tuple[str, str] | None:
        """(device, auth set) of a token that is ours and not expired, else None."""
        try:
            signed, _, signature = token.encode().rpartition(b".")
            raw = _unbase64(signature)
            self._public.verify(raw, signed, padding.PKCS1v15(), hashes.SHA256())
            claims = json.loads(_unbase64(signed.partition(b".")[2]))
        except (InvalidSignature, ValueError):
            return None
        return (claims["sub"], claims["jti"]) if claims["exp"] > time.time() else None


def _base64(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def _unbase64(text: bytes) -> bytes:
    return base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))


def _encode(value: dict) -> bytes:
    return _base64(json.dumps(value, separators=(",", ":")).encode())
