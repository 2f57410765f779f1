# Writes the DER of keys and signatures; der.py reads it.
#
#   signature = sequence(integer(r), integer(s))
#
# Limits: elements below 64 KiB.
# SPDX-License-Identifier: MIT

from . import der


def _element(tag, *parts):
    size = sum(len(part) for part in parts)
    if size < 0x80:
        header = bytes((tag, size))
    elif size < 0x100:
        header = bytes((tag, 0x81, size))
    else:
        header = bytes((tag, 0x82, size >> 8, size & 0xFF))
    return b"".join((header,) + parts)


def sequence(*parts):
    """A SEQUENCE of elements that are encoded already."""
    return _element(der.SEQUENCE, *parts)


def context(number, *parts):
    """A [number] EXPLICIT element around elements that are encoded already."""
    return _element(der.CONTEXT | number, *parts)


def integer(value):
    """An INTEGER >= 0. One bit more than it needs keeps the sign bit clear."""
    return _element(der.INTEGER, value.to_bytes(der.bit_length(value) // 8 + 1, "big"))


def octet_string(data):
    """An OCTET STRING of `data` (bytes)."""
    return _element(der.OCTET_STRING, data)


def bit_string(data):
    """A BIT STRING of whole bytes."""
    return _element(der.BIT_STRING, b"\0", data)


def oid(encoded):
    """An OBJECT IDENTIFIER from its encoded contents."""
    return _element(der.OID, encoded)


def null():
    """NULL."""
    return _element(der.NULL)
