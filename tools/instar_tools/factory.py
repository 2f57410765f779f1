"""Factory settings: what a board needs for its first start, from options and the environment.

    @bootstrap_options
    def command(url, profile, ca, plain_http, secure, more, **others):
        factory = Factory.of(url, profile, ca, plain_http, more)     # a Bootstrap service, or
        factory = Factory.of_servers({"mender_url": url}, ca, plain_http, more)
        factory.add_keys(external_key(), crypto_key() if secure else "")
        factory.files()                 # {"/instar.json": b"...", "/bootstrap-ca-1.der": b"..."}

Keys never come from the command line, where every user of the machine could read them: they are
in the environment, or asked for at the terminal.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import click
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

SETTINGS_PATH = "/instar.json"
PROFILES = ("clients", "things", "mainflux")
EXTERNAL_KEY = "INSTAR_EXTERNAL_KEY"
CRYPTO_KEY = "INSTAR_CRYPTO_KEY"
WIFI_PASSWORD = "INSTAR_WIFI_PASSWORD"
TENANT_TOKEN = "INSTAR_TENANT_TOKEN"
MURANO_TOKEN = "INSTAR_MURANO_TOKEN"
MURANO_PASSWORD = "INSTAR_MURANO_PASSWORD"
# The settings that are secrets, as lib/instar/options.py has them.
SECRETS = (
    "tenant_token",
    "wifi_password",
    "external_key",
    "crypto_key",
    "magistrala_secret",
    "murano_token",
    "murano_password",
)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_LARGEST_FILE = 1 << 20  # bytes: of a bundle of CAs
# Settings that --set does not take, and what does.
_ELSEWHERE = {
    "bootstrap_url": "--url",
    "bootstrap_profile": "--profile",
    "bootstrap_plain_http": "--plain-http",
    "ca": "--ca",
    "external_id": "--external-id",
    "external_key": EXTERNAL_KEY,
    "crypto_key": f"--secure and {CRYPTO_KEY}",
    "murano_token": MURANO_TOKEN,
    "murano_password": MURANO_PASSWORD,
    "wifi_ssid": "--wifi-ssid",
    "wifi_password": WIFI_PASSWORD,
}


@dataclass
class Factory:
    """The settings by name, and the files that they speak of by their path on the board."""

    settings: dict = field(default_factory=dict)
    beside: dict[str, bytes] = field(default_factory=dict)
    authorities: list[x509.Certificate] = field(default_factory=list)

    @classmethod
    def of(
        cls,
        url: str,
        profile: str,
        ca: Iterable[Path],
        plain_http: bool,
        more: Mapping[str, object],
    ) -> Factory:
        """What the options of `bootstrap_options` say.

        Raises:
            click.UsageError: they contradict each other, or a CA is none.
        """
        made = cls({"bootstrap_url": url, "bootstrap_profile": profile, **more})
        if not url:
            raise click.UsageError("--url is empty: expected the URL of the service")
        if url.lower().startswith("http://"):
            _refuse_plain(url, plain_http)
        if plain_http:
            made.settings["bootstrap_plain_http"] = True
        made._add_authorities([url], ca, "bootstrap-ca")
        return made

    @classmethod
    def of_servers(
        cls,
        urls: Mapping[str, str],
        ca: Iterable[Path],
        plain_http: bool,
        more: Mapping[str, object],
    ) -> Factory:
        """A board that is told its servers at the factory. urls: by the name of the setting.

        Raises:
            click.UsageError: as of().
        """
        made = cls({**urls, **more})
        if any(url.lower().startswith("http://") for url in urls.values()):
            if not plain_http:
                raise click.UsageError(
                    f"{', '.join(urls.values())}: expected https:// URLs, or --plain-http if the"
                    " server has no other: then everybody on the way can read and change all"
                )
            made.settings["allow_plain_http"] = True
        made._add_authorities(urls.values(), ca, "ca")
        return made

    def _add_authorities(self, urls: Iterable[str], ca: Iterable[Path], name: str) -> None:
        for path in ca:
            self.authorities += read_certificates(path)
        if any(url.lower().startswith("https://") for url in urls) and not self.authorities:
            raise click.UsageError(
                "an https URL needs --ca: a board trusts no certificate but those it was given"
            )
        paths = [f"/{name}-{number + 1}.der" for number in range(len(self.authorities))]
        for path, certificate in zip(paths, self.authorities, strict=True):
            self.beside[path] = certificate.public_bytes(Encoding.DER)
        if paths:
            self.settings["ca"] = paths

    def add_keys(self, external: str, crypto: str) -> None:
        """The board's key, and the service's, empty where bootstrap is not secure."""
        self.settings["external_key"] = external
        if crypto:
            self.settings["crypto_key"] = crypto

    def files(self) -> dict[str, bytes]:
        """Every file by its path on the board, the settings last: with them the board starts.

        Raises:
            click.UsageError: there is text that is no UTF-8.
        """
        try:
            text = json.dumps(self.settings, indent=2, ensure_ascii=False).encode() + b"\n"
        except UnicodeEncodeError as error:
            raise click.UsageError(f"expected text in UTF-8: {error.reason}") from None
        return {**self.beside, SETTINGS_PATH: text}


def _refuse_plain(url: str, plain_http: bool) -> None:
    if not plain_http:
        raise click.UsageError(
            f"{url} is not encrypted: expected an https:// URL, or --plain-http if the service"
            " has no other (then with --secure, or everybody on the way can read the keys)"
        )


def read_certificates(path: Path) -> list[x509.Certificate]:
    """The certificates of a file: one in DER, or PEM with one or more.

    Raises:
        click.UsageError: there is none in it.
    """
    with path.open("rb") as file:
        data = file.read(_LARGEST_FILE + 1)
    try:
        if len(data) > _LARGEST_FILE:
            raise ValueError(f"it has more than {_LARGEST_FILE} bytes")
        if data[:1] == b"\x30":
            return [x509.load_der_x509_certificate(data)]
        return x509.load_pem_x509_certificates(data)
    except ValueError as error:
        name = click.format_filename(path)
        text = f"{name}: expected a certificate, PEM or DER: {error}"
        raise click.UsageError(text) from None


def external_key() -> str:
    """The board's external key, from the environment or the terminal."""
    return _needed(EXTERNAL_KEY, "External key")


def crypto_key() -> str:
    """The service's crypto key, from the environment or the terminal."""
    return _needed(CRYPTO_KEY, "Crypto key of the service")


def wifi_password(ssid: str) -> str:
    """The network's password, from the environment or the terminal; empty for an open network."""
    return _secret(WIFI_PASSWORD, f"Password of the Wi-Fi network {ssid} (none: Enter)", "")


def tenant_token() -> str:
    """Mender's tenant token, from the environment or the terminal."""
    return _needed(TENANT_TOKEN, "Tenant token")


def murano_secrets() -> dict[str, str]:
    """The settings with Murano's secrets, as far as the environment has them: a board can get its
    own by itself."""
    given = {"murano_token": MURANO_TOKEN, "murano_password": MURANO_PASSWORD}
    return {name: os.environ[key] for name, key in given.items() if os.environ.get(key)}


def _needed(variable: str, what: str) -> str:
    value = _secret(variable, what)
    if not value:
        raise click.UsageError(f"{variable} is empty: expected the key")
    return value


def _secret(variable: str, what: str, default: str | None = None) -> str:
    if variable in os.environ:
        return os.environ[variable]
    try:
        return click.prompt(what, default, hide_input=True, show_default=False, err=True)
    except click.Abort:
        click.echo(err=True)
        raise click.UsageError(f"expected {variable} in the environment, or an answer") from None


class Setting(click.ParamType):
    """NAME=JSON, as --set takes it."""

    name = "NAME=JSON"

    def convert(self, value, param, ctx):
        if isinstance(value, tuple):
            return value
        name, equals, text = value.partition("=")
        if not name or not equals:
            self.fail("expected NAME=JSON", param, ctx)
        if name in _ELSEWHERE:
            self.fail(f"{name}: expected by {_ELSEWHERE[name]}, not here", param, ctx)
        try:
            return name, json.loads(text)
        except (ValueError, RecursionError):
            # Not what came: it may be a password.
            hint = f"for a string, {name}='\"text\"'"
            self.fail(f"{name}: expected JSON after the equals sign ({hint})", param, ctx)


def _as_dict(ctx: click.Context, param: click.Parameter, value: tuple) -> dict[str, object]:
    return dict(value)


def bootstrap_options(command: Callable) -> Callable:
    """Options of every command that speaks of a Bootstrap service."""
    url = click.option(
        "--url", required=True, help="Of the service, like https://example.org:9013"
    )
    return url(trust_options(command))


def trust_options(command: Callable) -> Callable:
    """The same without the service's URL."""
    options = (
        click.option(
            "--profile",
            type=click.Choice(PROFILES),
            default=PROFILES[0],
            show_default=True,
            help="The service's family: Magistrala since v0.16, before it, or Mainflux.",
        ),
        click.option(
            "--ca",
            type=FILE,
            multiple=True,
            help="Certificate of a CA to trust, PEM or DER; may be repeated.",
        ),
        click.option("--plain-http", is_flag=True, help="Allow a service without TLS."),
        click.option(
            "--secure",
            is_flag=True,
            help=f"Encrypt with the service's crypto key: {CRYPTO_KEY}, or asked for.",
        ),
        click.option(
            "--set",
            "more",
            type=Setting(),
            multiple=True,
            callback=_as_dict,
            help="Any other factory setting; may be repeated.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command
