# HMAC-SHA256 over hashlib: the board's firmware has no hmac module.
# Used for deterministic ECDSA nonces (p256.py) and for keyed checks of short messages.
# Limits: none on sizes; the parts are hashed where they lie, never joined.
# SPDX-License-Identifier: MIT

import hashlib

from micropython import const

_BLOCK = const(64)


def hmac_sha256(key, *parts):
    """The 32-byte HMAC-SHA256 tag of the concatenated `parts` (bytes-like). RFC 2104."""
    if len(key) > _BLOCK:
        key = hashlib.sha256(key).digest()
    inner = hashlib.sha256(_pad(key, 0x36))
    for part in parts:
        inner.update(part)
    outer = hashlib.sha256(_pad(key, 0x5C))
    outer.update(inner.digest())
    return outer.digest()


def _pad(key, value):
    block = bytearray(_BLOCK)
    for i in range(_BLOCK):
        block[i] = value ^ (key[i] if i < len(key) else 0)
    return block
