"""Certificates and public keys in words, for people who compare them with others.

about_certificate(der)      # {"subject": ..., "issuer": ..., "not_after": ..., "sha256": ...}
about_key(der)              # {"type": "P-256", "sha256": ...}
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import hashlib
from datetime import datetime, timezone

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key


def about_certificate(der: bytes) -> dict[str, str]:
    """Names, the end of its time and the fingerprint; only that if there is no reading it."""
    found = {"sha256": hashlib.sha256(der).hexdigest()}
    try:
        certificate = x509.load_der_x509_certificate(der)
        return {
            "subject": certificate.subject.rfc4514_string(),
            "issuer": certificate.issuer.rfc4514_string(),
            "not_after": f"{certificate.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}",
            **found,
        }
    except ValueError:  # mbedTLS takes some that this library finds wrong
        return {"subject": "", "issuer": "", "not_after": "", **found}


def about_key(der: bytes) -> dict[str, str]:
    """Kind and fingerprint of a public key."""
    return {"type": _kind(der), "sha256": hashlib.sha256(der).hexdigest()}


def _kind(der: bytes) -> str:
    try:
        key = load_der_public_key(der)
    except ValueError:
        return ""
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA-{key.key_size}"
    return key.curve.name if isinstance(key, ec.EllipticCurvePublicKey) else type(key).__name__


def in_a_line(about: dict[str, str]) -> str:
    """A certificate's words, and whether its time is over."""
    now = f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ}"
    over = " (over)" if "" < about["not_after"] < now else ""
    return (
        f"{about['subject'] or 'no name'}, by {about['issuer'] or 'no name'},"
        f" until {about['not_after'] or 'unknown'}{over}, SHA-256 {about['sha256']}"
    )
