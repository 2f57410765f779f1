"""A board's identity key, made on the host or taken from a file.

    key = of("host")                 # a new P-256 key; or of("key.pem")
    key.der                          # what lib/instar/crypto/keys.py reads
    key.public_pem                   # what a server is told beforehand
    public_half(record)              # the same of a key that a board has already

The board's own code decides whether it takes the key (board/provision.py), and puts it into a
record of its store.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import binascii
import struct
from dataclasses import dataclass
from pathlib import Path

import click
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
    load_pem_private_key,
)

from .key_cmd import PrivateKey, generate, public_pem

HOST, BOARD = "host", "board"
RECORD = "/.instar/identity-key"  # where servers/mender/auth.py looks for it
_LARGEST = 8192  # bytes: a board refuses more
_HEADER = "<4sII"  # of a record: magic, length and CRC-32, as lib/instar/store.py writes them
_MAGIC = b"iST1"


@dataclass(frozen=True, repr=False)
class IdentityKey:
    """der: the private key, SEC1 or PKCS#1. new: it was made just now, so that one which a board
    has already is as good."""

    der: bytes
    public_pem: str
    new: bool


def of(choice: str) -> IdentityKey:
    """choice: "host" for a new P-256 key, else the path of a private key in PEM.

    Raises:
        click.UsageError: there is no key in the file, or one of another kind.
    """
    key = generate("p256") if choice == HOST else _read(Path(choice))
    der = key.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    return IdentityKey(der, public_pem(key).decode(), choice == HOST)


def public_half(record: bytes) -> str:
    """As PEM, of the identity key in a board's record.

    Raises:
        click.ClickException: the record is damaged, or has no such key.
    """
    size = struct.calcsize(_HEADER)
    der = record[size:]
    if record[:size] != struct.pack(_HEADER, _MAGIC, len(der), binascii.crc32(der)):
        raise click.ClickException(f"{RECORD} is damaged: {len(record)} bytes that do not match")
    try:
        key = load_der_private_key(der, None)
    except (ValueError, TypeError):  # their texts may have its content
        key = None
    if not isinstance(key, (ec.EllipticCurvePrivateKey, rsa.RSAPrivateKey)):
        raise click.ClickException(f"{RECORD}: expected a P-256 or RSA key, found something else")
    return public_pem(key).decode()


def _read(path: Path) -> PrivateKey:
    try:
        with path.open("rb") as file:
            key = load_pem_private_key(file.read(_LARGEST + 1), None)
    except OSError as error:
        raise click.UsageError(
            f"--identity-key: expected host, board, or a file in PEM: {path}: {error.strerror}"
        ) from None
    except (ValueError, TypeError):  # their texts may have the file's content
        raise click.UsageError(
            f"{path}: expected a private key in PEM that is not encrypted, got something else"
        ) from None
    if not isinstance(key, (ec.EllipticCurvePrivateKey, rsa.RSAPrivateKey)):
        raise click.UsageError(f"{path}: expected a P-256 or RSA key, got another kind")
    return key
