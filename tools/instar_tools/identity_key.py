"""A board's identity key, made on the host or taken from a file.

    key = of("host")                 # a new P-256 key; or of("key.pem")
    key.der                          # what lib/instar/crypto/keys.py reads
    key.public_pem                   # what a server is told beforehand

The board's own code decides whether it takes the key (board/provision.py), and puts it into a
record of its store.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from .key_cmd import PrivateKey, generate, public_pem

HOST, BOARD = "host", "board"
RECORD = "/.instar/identity-key"  # where servers/mender/auth.py looks for it
_LARGEST = 8192  # bytes: a board refuses more


@dataclass(frozen=True, repr=False)
class IdentityKey:
    """der: the private key, SEC1 or PKCS#1."""

    der: bytes
    public_pem: str


def of(choice: str) -> IdentityKey:
    """choice: "host" for a new P-256 key, else the path of a private key in PEM.

    Raises:
        click.UsageError: there is no key in the file, or one of another kind.
    """
    key = generate("p256") if choice == HOST else _read(Path(choice))
    der = key.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    return IdentityKey(der, public_pem(key).decode())


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
