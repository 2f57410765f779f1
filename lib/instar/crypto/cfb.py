# AES-CFB with feedback of a whole block (CFB128, NIST SP 800-38A section 6.3) on cryptolib's ECB.
#
#   sent = iv + encrypt(key, iv, b"secret")
#   decrypt(key, iv, memoryview(answer)[16:])       # in place
#
# Limits: keys of 16 and 32 bytes, as cryptolib has no AES-192. CFB has no check of what was
# changed on the way: the reader of the plain text has to notice. Decrypting takes some 3 KiB
# beside the data, whatever its size; encrypting is slower, a block at a time.
# SPDX-License-Identifier: MIT

from cryptolib import aes
from micropython import const

from ..errors import Rejected

_ECB = const(1)
_BLOCK = const(16)
_PIECE = const(512)  # bytes decrypted at once, a multiple of the block


def encrypt(key, iv, data):
    """`data` (bytes-like, any length) encrypted, as bytes of the same length.

    key: 16 or 32 bytes. iv: 16 bytes, never used before with this key. Raises Rejected.
    """
    cipher = _cipher(key, iv)
    block = bytearray(iv)
    sealed = bytearray(data)
    for at in range(0, len(sealed), _BLOCK):
        cipher.encrypt(block, block)
        for i in range(min(_BLOCK, len(sealed) - at)):
            block[i] = sealed[at + i] = sealed[at + i] ^ block[i]
    return bytes(sealed)


def decrypt(key, iv, data):
    """Decrypt `data` (bytearray or memoryview, any length) in place; else as encrypt()."""
    cipher = _cipher(key, iv)
    view = memoryview(data)
    # What masks a block is the block before it, encrypted: the ciphertext one block further on.
    shifted = bytearray(_PIECE + _BLOCK)
    mask = memoryview(shifted)[:_PIECE]
    shifted[:_BLOCK] = iv
    for at in range(0, len(view), _PIECE):
        piece = view[at : at + _PIECE]
        shifted[_BLOCK : _BLOCK + len(piece)] = piece
        cipher.encrypt(mask, mask)
        _xor(piece, mask[: len(piece)])
        shifted[:_BLOCK] = shifted[_PIECE:]


def _xor(target, other):
    # One wide operation in C, not a loop over bytes.
    value = int.from_bytes(target, "little") ^ int.from_bytes(other, "little")
    target[:] = value.to_bytes(len(target), "little")


def _cipher(key, iv):
    if len(iv) != _BLOCK:
        raise Rejected("AES-CFB: expected an IV of 16 bytes, got %d" % len(iv))
    try:
        return aes(key, _ECB)
    except ValueError:
        text = "AES: expected a key of 16 or 32 bytes (this firmware's cryptolib takes no other)"
        raise Rejected("%s, got %d" % (text, len(key)))
