# PEM, the text around DER (RFC 7468).
#
#   text = to_pem("PUBLIC KEY", der)
#   [(label, der)] = from_pem(text.encode())
#
# Limits: no encrypted blocks. No message shows what is in a block.
# SPDX-License-Identifier: MIT

import binascii

from micropython import const

from ..errors import Rejected

_BEGIN = b"-----BEGIN "
_DASHES = b"-----"
_MAX_LABEL = const(64)
_PEM_BYTES = const(48)  # bytes in a PEM line of 64 characters


def to_pem(label, data):
    """DER as PEM text (str): 64 columns, '\\n', a line break at the end. RFC 7468 section 2."""
    lines = [f"-----BEGIN {label}-----\n"]
    for at in range(0, len(data), _PEM_BYTES):
        lines.append(binascii.b2a_base64(data[at : at + _PEM_BYTES]).decode())
    lines.append(f"-----END {label}-----\n")
    return "".join(lines)


def from_pem(data):
    """Every block of a PEM text (bytes), as a list of (label, DER), a str and bytes.

    Text around the blocks is ignored; line breaks may be LF or CRLF. Rejected: no block, a block
    without its end, headers inside a block (RFC 1421 encryption), anything that is not base64.
    """
    blocks = []
    at = data.find(_BEGIN)
    while at >= 0:
        label = _label(data, at + len(_BEGIN))
        at += len(_BEGIN) + len(label) + len(_DASHES)
        end = data.find(f"-----END {label}-----".encode(), at)
        if end < 0:
            raise Rejected(f"PEM: expected '-----END {label}-----', got none")
        blocks.append((label, _base64(data[at:end], label)))
        at = data.find(_BEGIN, end)
    if not blocks:
        raise Rejected("PEM: expected '-----BEGIN', got none")
    return blocks


def _label(data, at):
    # Messages quote the label: where the dashes after it are lost, what follows is the key.
    end = data.find(_DASHES, at, at + _MAX_LABEL)
    label = data[at:end] if end > at else b"?"
    for char in label:
        if char not in b" 0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ":
            raise Rejected("PEM: expected a label in capitals and '-----' after it, got no such")
    return label.decode()


def _base64(body, label):
    if b":" in body:
        raise Rejected(f"PEM: expected base64 in {label}, got headers (an encrypted key?)")
    body = b"".join(body.split())
    try:
        data = binascii.a2b_base64(body)
    except ValueError:
        data = b""
    # a2b_base64 skips what it does not know: only what encodes back to the same text is base64.
    if binascii.b2a_base64(data)[:-1] != body or not body:
        raise Rejected(f"PEM: expected base64 in {label}, got something else")
    return data
