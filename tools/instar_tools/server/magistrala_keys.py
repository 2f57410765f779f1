"""The Bootstrap service's crypto key, and AES-CFB with it.

    key = crypto_key(None, "clients")
    secure = encrypt(key, b"...")         # IV (16 bytes) and ciphertext
    assert decrypt(key, secure) == b"..."

Magistrala takes the key's characters as they are; Mainflux takes them as hexadecimal digits and
does not start with a key that AES refuses. The feedback is 128 bits wide; nothing is padded and
nothing authenticated.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import os
from collections.abc import Mapping

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES

try:
    from cryptography.hazmat.decrepit.ciphers.modes import CFB
except ImportError:  # before cryptography 47
    from cryptography.hazmat.primitives.ciphers.modes import CFB

DEFAULT = "12345678910111213141516171819202"  # of every upstream version
IV = 16
SIZES = (16, 24, 32)


def is_hex(profile: str) -> bool:
    """Whether the services of ``profile`` take their key as hexadecimal digits."""
    return profile.startswith("mainflux")


def from_environment(profile: str, environment: Mapping[str, str] = os.environ) -> str | None:
    """The key in the variable that a service of ``profile`` reads, or None."""
    service = ("MF",) if is_hex(profile) else ("MG", "SMQ")
    names = (f"{prefix}_BOOTSTRAP_ENCRYPT_KEY" for prefix in service)
    return next((environment[name] for name in names if environment.get(name)), None)


def crypto_key(text: str | None, profile: str) -> bytes:
    """The bytes of a key as configured; None: upstream's default.

    A bad length passes, as in Magistrala itself: every secure request is then refused.

    Raises:
        ValueError: a Mainflux key that is not 32, 48 or 64 hexadecimal digits.
    """
    text = DEFAULT if text is None else text
    if not is_hex(profile):
        return text.encode()
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) not in SIZES:
        raise ValueError(
            "bootstrap key: expected 32, 48 or 64 hexadecimal digits for Mainflux,"
            f" got {len(text)} characters"
        )
    return key


def encrypt(key: bytes, plain: bytes) -> bytes:
    iv = os.urandom(IV)
    return iv + Cipher(AES(key), CFB(iv)).encryptor().update(plain)


def decrypt(key: bytes, secure: bytes) -> bytes:
    return Cipher(AES(key), CFB(secure[:IV])).decryptor().update(secure[IV:])
