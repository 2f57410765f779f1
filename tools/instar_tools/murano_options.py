"""The options that all of ``instar murano`` has, and what they come to: a Product.

@click.group()
@murano_options             # makes a Product of them, the context's object
def murano(): ...

(found,) = product.run("read", aliases=["thermostat"])
product.tell(found, "thermostat=65")
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import contextlib
import functools
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import quote

import click
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
    load_pem_private_key,
)

from .factory import FILE, read_certificates
from .murano_desk import Desk

TOKEN = "INSTAR_MURANO_TOKEN"
PASSWORD = "INSTAR_MURANO_PASSWORD"
AUTHS = ("cik", "token", "password", "certificate")
_LARGEST_KEY = 65536  # bytes
_NO_IDENTITY = ("timestamp",)


@dataclass
class Product:
    """A device of a product, as the options say."""

    url: str
    identity: str
    auth: str
    ca: tuple[Path, ...]
    cert: Path | None
    key: Path | None
    state: Path | None
    plain_http: bool
    ask: bool
    show_token: bool
    verbose: bool
    as_json: bool

    def __post_init__(self) -> None:
        # A folder for each: a certificate that is kept there belongs to one identity.
        if not self.state:
            self.state = _state_home() / _folder(self.domain) / _folder(self.identity)

    @property
    def domain(self) -> str:
        return self.url.partition("://")[2].partition("/")[0]

    def run(self, command: str, *, show: bool = False, **options: Any) -> Iterator[Any]:
        """See Desk.run().

        Raises:
            click.UsageError: options contradict each other, or one is missing.
        """
        settings, files = self._settings()
        identity = self.identity
        if command in _NO_IDENTITY:
            identity = identity or "-"
        elif not identity:
            raise click.UsageError("expected --identity: what the device is called in the product")
        trace = functools.partial(click.echo, err=True) if self.verbose else None
        desk = Desk(settings, files, identity, self.state, trace)
        return desk.run(command, show=show, **options)

    def tell(self, found: Any, text: str | None = None) -> None:
        """One line of JSON, or the text."""
        if self.as_json:
            click.echo(json.dumps(found))
        elif text is not None:
            click.echo(text)

    def _settings(self) -> tuple[dict[str, object], dict[str, bytes]]:
        if not self.url:
            raise click.UsageError("expected --url: the product's, like https://example.org")
        if self.url.startswith("https://") and not self.ca:
            raise click.UsageError(
                "an https URL needs --ca: a board trusts no certificate but those it was given"
            )
        files = _authorities(self.ca)
        settings: dict[str, object] = {
            "murano_url": self.url,
            "murano_auth": self.auth,
            "allow_plain_http": self.plain_http,
            "ca": list(files),
        }
        if self.auth == "certificate":
            if not self.cert or not self.key:
                raise click.UsageError("--auth certificate needs --cert and --key")
            settings |= {"client_cert": "/client.der", "client_key": "/client.key"}
            files["/client.der"] = read_certificates(self.cert)[0].public_bytes(Encoding.DER)
            files["/client.key"] = read_private_key(self.key)
        elif self.auth == "password":
            settings["murano_password"] = self._secret(PASSWORD, "Password")
        else:
            settings["murano_token"] = self._secret(TOKEN, "Token")
        return settings, files

    def _secret(self, variable: str, what: str) -> str:
        if self.ask and variable not in os.environ:
            return click.prompt(what, hide_input=True, err=True)
        return os.environ.get(variable, "")


def _state_home() -> Path:
    home = os.environ.get("XDG_STATE_HOME", "")
    base = Path(home) if os.path.isabs(home) else Path.home() / ".local" / "state"
    return base / "instar" / "murano"


def _folder(name: str) -> str:
    # Dots alone would be a folder above.
    return quote(name, safe="", errors="replace") if name.strip(".") else "-"


def _authorities(paths: tuple[Path, ...]) -> dict[str, bytes]:
    found = [certificate for path in paths for certificate in read_certificates(path)]
    return {f"/ca-{i + 1}.der": one.public_bytes(Encoding.DER) for i, one in enumerate(found)}


def read_private_key(path: Path) -> bytes:
    """A private key in DER, as the board takes it.

    Raises:
        click.UsageError: there is none in the file.
    """
    with path.open("rb") as file:
        data = file.read(_LARGEST_KEY)
    try:
        load = load_der_private_key if data[:1] == b"\x30" else load_pem_private_key
        return load(data, None).private_bytes(
            Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption()
        )
    except (TypeError, ValueError):
        name = click.format_filename(path)
        text = f"{name}: expected a private key, PEM or DER, without a password"
        raise click.UsageError(text) from None


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    # As an exception does: whoever has something to clear away does it. What is ignored stays so.
    both = (signal.SIGTERM, signal.SIGHUP)
    numbers = [number for number in both if signal.getsignal(number) == signal.SIG_DFL]
    for number in numbers:
        signal.signal(number, _end)
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)


def _end(number: int, _: object) -> NoReturn:
    sys.exit(128 + number)


def murano_options(command: Callable) -> Callable:
    """The options of the group. Every command below it gets the Product as its object."""

    @click.pass_context
    def made(ctx: click.Context, **options: Any) -> None:
        ctx.obj = Product(**options)
        ctx.with_resource(_ended_by_signals())

    made.__doc__ = command.__doc__
    made.__name__ = command.__name__
    options = (
        click.option(
            "--url",
            default="",
            envvar="INSTAR_MURANO_URL",
            show_envvar=True,
            help="Of the product, like https://example.m2.exosite.io",
        ),
        click.option(
            "--identity",
            default="",
            envvar="INSTAR_MURANO_IDENTITY",
            show_envvar=True,
            help="The device's name.",
        ),
        click.option(
            "--auth", type=click.Choice(AUTHS), default=AUTHS[0], help="As the product is set."
        ),
        click.option(
            "--ca",
            type=FILE,
            multiple=True,
            help="Certificate of a CA to trust, PEM or DER; may be repeated.",
        ),
        click.option("--cert", type=FILE, help="The device's certificate, PEM or DER."),
        click.option("--key", type=FILE, help="Its key, PEM or DER."),
        click.option(
            "--state",
            type=click.Path(file_okay=False, path_type=Path),
            help="Folder for the credentials [below $XDG_STATE_HOME/instar/murano].",
        ),
        click.option("--plain-http", is_flag=True, help="Allow a server without TLS."),
        click.option("--ask", is_flag=True, help="Ask for the token or password."),
        click.option("--show-token", is_flag=True, help="Print it where it is provisioned."),
        click.option("-v", "--verbose", is_flag=True, help="Show requests and answers."),
        click.option("--json", "as_json", is_flag=True, help="JSON, one object a line."),
    )
    for option in reversed(options):
        made = option(made)
    return made
