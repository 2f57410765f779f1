"""``instar key``: make a private key, P-256 or RSA, as PEM.

The private key is in the traditional form (``EC PRIVATE KEY``, ``RSA PRIVATE KEY``), because
mender-artifact 3.9 refuses PKCS#8. It is never encrypted: only its owner may read the file.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import click
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
DEFAULT_BITS = 3072


def generate(kind: str, bits: int = DEFAULT_BITS) -> PrivateKey:
    """A new key; kind is 'p256' or 'rsa', and bits matters for 'rsa' only."""
    if kind == "p256":
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def private_pem(key: PrivateKey) -> bytes:
    """The private key as traditional, unencrypted PEM."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())


def public_pem(key: PrivateKey) -> bytes:
    """The public key as SubjectPublicKeyInfo PEM."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def write_file(path: Path, data: bytes, mode: int, force: bool) -> None:
    """Put a whole file of that mode in place, or none.

    Raises:
        FileExistsError: there is one already, and not force.
    """
    # mkstemp makes the file with mode 0600: nobody else can open the key before it is in place.
    handle, scratch = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with open(handle, "wb") as file:
            file.write(data)
            os.fchmod(file.fileno(), mode)
        if not force:
            path.touch(exist_ok=False)
        os.replace(scratch, path)
    finally:
        Path(scratch).unlink(missing_ok=True)


def _check(output: Path | None, public: Path | None, force: bool) -> None:
    # Before anything is made: a key pair of which one half is missing helps nobody.
    if output and public and output.resolve() == public.resolve():
        raise click.UsageError(f"--output and --public are the same file: {output}")
    for path in (output, public):
        if path and path.exists() and not force:
            raise click.ClickException(f"{path} exists already; --force replaces it")


@click.command()
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The private key's file, mode 0600. Default: standard output.",
)
@click.option(
    "--type",
    "kind",
    type=click.Choice(["p256", "rsa"]),
    default="p256",
    show_default=True,
    help="P-256 is much the faster on a board.",
)
@click.option(
    "--bits",
    type=click.IntRange(2048, 4096),
    default=DEFAULT_BITS,
    show_default=True,
    help="The size of an RSA key.",
)
@click.option(
    "--public",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the public key to this file as well.",
)
@click.option("--force", is_flag=True, help="Replace files that exist.")
@click.pass_context
def key(
    ctx: click.Context,
    output: Path | None,
    kind: str,
    bits: int,
    public: Path | None,
    force: bool,
) -> None:
    """Make a private key as PEM: a board's identity, or one that signs Artifacts."""
    given = ctx.get_parameter_source("bits") is click.core.ParameterSource.COMMANDLINE
    if kind == "p256" and given:
        raise click.UsageError("--bits is for --type rsa: a P-256 key has 256")
    _check(output, public, force)
    made = generate(kind, bits)
    try:
        if output:
            write_file(output, private_pem(made), 0o600, force)
        if public:
            write_file(public, public_pem(made), 0o644, force)
    except OSError as error:
        raise click.ClickException(f"cannot write the key: {error}") from error
    if output:
        click.echo(
            f"{output}: private key, {'P-256' if kind == 'p256' else f'RSA-{bits}'}", err=True
        )
    else:
        click.echo(private_pem(made), nl=False)
    if public:
        click.echo(f"{public}: public key", err=True)
