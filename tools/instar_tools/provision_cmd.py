"""``instar provision``: write what a board leaves the factory with.

A Bootstrap service's URL, an external id, an external key, and the CA of that service: everything
else the board fetches. Or the URLs of its servers, their CAs, and what they know it by. See
factory.py for the settings, provisioning.py and provision_port.py for where they go.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import click
from cryptography import x509
from rich.console import Console
from rich.table import Table
from rich.text import Text

from . import factory, identity_key, provisioning
from .cable import provision_port
from .cable.port import Link, WrongBoard, board_of, connect
from .factory import EXTERNAL_KEY, FILE, SETTINGS_PATH, Factory, trust_options
from .identity_key import IdentityKey
from .masking import said_to_be_set, without_secrets
from .provision_steps import next_steps
from .provisioning import Written

_KEY_BYTES = 24  # of a key that is made here: 32 characters that nobody has to quote
_STATE = "/.instar/"  # where a board keeps what it fetched
_LARGEST_KEY = 8192  # bytes: as lib/instar/settings.py
_UNKNOWN_MAC = "<MAC address of the board, like 24:0a:c4:01:02:03>"


@click.command()
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write files, to be copied to the board's root.",
)
@click.option("--flash", type=FILE, help="Write into the flash file of a simulated board.")
@click.option("--port", help="Write onto the board there: /dev/ttyUSB0, COM3, or auto.")
@click.option("--url", help="Of a Bootstrap service, like https://example.org:9013")
@click.option("--mender-url", metavar="URL", help="Of a Mender server.")
@click.option("--murano-url", metavar="URL", help="Of a Murano product.")
@trust_options
@click.option(
    "--external-id", default="", metavar="ID", help="Who the board is. [default: its MAC address]"
)
@click.option("--generate-key", is_flag=True, help="Make an external key, and print it once.")
@click.option(
    "--tenant-token", is_flag=True, help=f"Mender's: {factory.TENANT_TOKEN}, or asked for."
)
@click.option(
    "--identity-key",
    "key_from",
    metavar="host|board|FILE",
    help="Make the board's P-256 key here or on the board, or take one in PEM. [default: the board"
    " makes it at its first start]",
)
@click.option("--device-type", metavar="TYPE", help="As the setting device_type.")
@click.option("--artifact-name", metavar="NAME", help="Of the software that was flashed.")
@click.option(
    "--verify-key", type=FILE, multiple=True, help="Public key for Artifacts; repeatable"
)
@click.option(
    "--wifi-ssid", metavar="SSID", help=f"Its password: {factory.WIFI_PASSWORD}, or asked for."
)
@click.option("--ntp-host", metavar="HOST", help="Time server; empty for none.")
@click.option("--ntp-port", type=click.IntRange(1, 65535))
@click.option("--force", is_flag=True, help="Replace the settings; drop a fetched configuration.")
def provision(
    folder: Path | None,
    flash: Path | None,
    port: str | None,
    url: str | None,
    generate_key: bool,
    secure: bool,
    tenant_token: bool,
    key_from: str | None,
    force: bool,
    verify_key: tuple[Path, ...],
    **options,
) -> None:
    """Write the factory settings of a board: all it needs for its first start.

    Secrets come from the environment, or are asked for; never from the command line: the external
    key in INSTAR_EXTERNAL_KEY, Mender's tenant token in INSTAR_TENANT_TOKEN, a Murano token or
    password in INSTAR_MURANO_TOKEN, INSTAR_MURANO_PASSWORD. The board's own code reads the
    settings before anything is written.

    Exit 0: written, 1: refused, 2: wrong usage, 3: the check could not be made.
    """
    if sum(place is not None for place in (folder, flash, port)) != 1:
        raise click.UsageError("expected --folder DIR or --flash FILE or --port PORT, one of them")
    if generate_key and EXTERNAL_KEY in os.environ:
        raise click.UsageError(f"expected --generate-key or {EXTERNAL_KEY}, one of them")
    if key_from == identity_key.BOARD and not port:
        raise click.UsageError("--identity-key board: expected --port, where the board makes it")
    made = _factory(url, **options)
    _add_verify_keys(made, verify_key)
    made_key = _add_secrets(made, url, generate_key, secure, tenant_token)
    key = None if key_from in (None, identity_key.BOARD) else identity_key.of(key_from)
    if port:
        done = _onto_board(port, made, force, key, key_from == identity_key.BOARD)
    else:
        done = _into_files(folder, flash, made, force, key)
    _tell(port or flash or folder, made, done.written.secret)
    _tell_of_old(done.written.removed, folder)
    if made_key:
        click.echo(f"External key, shown this once: {made_key}\n")
    if url and url.lower().startswith("http://") and not secure:
        click.echo("Warning: without --secure the external key can be read on the way.", err=True)
    if done.public_pem:
        _tell_key(done)
    next_steps(made.settings, done.identity)


@dataclass(frozen=True)
class _Done:
    """identity: who the board will say it is. public_pem: of its identity key; empty if the board
    makes that later. had_key: it had that before."""

    written: Written
    identity: str
    public_pem: str
    had_key: bool


def _factory(
    url: str | None,
    profile: str,
    ca: tuple[Path, ...],
    plain_http: bool,
    more: dict,
    mender_url: str | None,
    murano_url: str | None,
    external_id: str,
    **plain,
) -> Factory:
    given = {"mender_url": mender_url, "murano_url": murano_url}
    urls = {name: value for name, value in given.items() if value}
    if url is None and not urls:
        raise click.UsageError("expected --url, --mender-url or --murano-url: whom to ask")
    if url is None:
        made = Factory.of_servers(urls, ca, plain_http, {})
        _add(made, more)
    else:
        made = Factory.of(url, profile, ca, plain_http, more)
        _add(made, urls)
    _add(made, {"external_id": external_id or None, **plain})
    return made


def _add(made: Factory, given: dict) -> None:
    for name, value in given.items():
        if value is None:
            continue
        if name in made.settings:
            raise click.UsageError(f"{name} is given twice: by its own option, and by --set")
        made.settings[name] = value


def _add_verify_keys(made: Factory, paths: tuple[Path, ...]) -> None:
    names = [f"/verify-key-{number + 1}" for number in range(len(paths))]
    for name, path in zip(names, paths, strict=True):
        with path.open("rb") as file:
            made.beside[name] = file.read(_LARGEST_KEY + 1)
    _add(made, {"artifact_verify_keys": names or None})


def _add_secrets(
    made: Factory, url: str | None, generate_key: bool, secure: bool, tenant_token: bool
) -> str:
    """Returns the external key, if it was made here."""
    made_key = secrets.token_urlsafe(_KEY_BYTES) if generate_key else ""
    if url is not None:
        made.add_keys(made_key or factory.external_key(), factory.crypto_key() if secure else "")
    elif generate_key or secure:
        raise click.UsageError("--generate-key, --secure: expected --url, a Bootstrap service's")
    if tenant_token:
        _add(made, {"tenant_token": factory.tenant_token()})
    if "murano_url" in made.settings:
        _add(made, factory.murano_secrets())
    if ssid := made.settings.get("wifi_ssid"):
        _add(made, {"wifi_password": factory.wifi_password(ssid)})
    return made_key


def _onto_board(
    port: str, made: Factory, force: bool, key: IdentityKey | None, makes_key: bool
) -> _Done:
    hidden = (str(value) for name, value in made.settings.items() if name in factory.SECRETS)
    with connect(port, lambda name: click.echo(f"{name}: connecting"), secrets=hidden) as link:
        try:
            _add_device_type(made, link)
            there = provision_port.present_key(link) if makes_key else ""
            if makes_key and not there:
                provision_port.check_makes_key(link)
            written = provision_port.into_board(link, made.files(), force, key)
            there = there or written.there
            public = there or (key.public_pem if key else "")
            if makes_key and not there:
                public = provision_port.make_key(link)
            identity = _given_identity(made.settings) or provision_port.mac(link)
        finally:
            link.reset()  # back to its work, or to the start of it
    return _Done(written, identity, public, bool(there))


def _add_device_type(made: Factory, link: Link) -> None:
    if "device_type" not in made.settings:
        # Any board with MicroPython can be provisioned, one that is not known, too.
        with suppress(WrongBoard):
            made.settings["device_type"] = board_of(link.info, None).device_type


def _into_files(
    folder: Path | None, flash: Path | None, made: Factory, force: bool, key: IdentityKey | None
) -> _Done:
    try:
        if flash:
            written = provisioning.into_flash(flash, made.files(), force, key)
        else:
            assert folder
            written = provisioning.into_folder(folder, made.files(), force, key)
    except OSError as error:
        raise click.ClickException(f"cannot write the settings: {error}") from None
    identity = _given_identity(made.settings) or (_mac(flash) if flash else _UNKNOWN_MAC)
    public = written.there or (key.public_pem if key else "")
    return _Done(written, identity, public, bool(written.there))


def _given_identity(settings: dict) -> str | None:
    """The external id that the board will give, as lib/instar/bootstrap.py says; None: its MAC."""
    return settings.get("external_id") or settings.get("identity", {}).get("mac")


def _mac(flash: Path) -> str:
    with flash.open("rb") as file:
        return file.read(6).hex(":")  # where flash_builder puts it


def _tell(place: str | Path | None, made: Factory, hidden: list[str]) -> None:
    click.echo(f"{place}: {SETTINGS_PATH}")
    table = Table("setting", "value")
    for name, value in without_secrets(made.settings, hidden, said_to_be_set).items():
        text = value if isinstance(value, str) else json.dumps(value)
        table.add_row(name, Text(text, overflow="fold"))
    Console().print(table)
    authorities = dict(zip(made.settings.get("ca", []), made.authorities, strict=True))
    for path in made.beside:
        click.echo(f"{path}{_about(authorities.get(path))}")
    click.echo()


def _tell_key(done: _Done) -> None:
    if done.had_key:
        click.echo("There is an identity key already, which stays: it is who the board is.\n")
    click.echo(f"The identity key's public half:\n{done.public_pem}")


def _tell_of_old(removed: list[str], folder: Path | None) -> None:
    files = [path for path in removed if not path.startswith(_STATE)]
    if files:
        click.echo(f"Removed, of an earlier use: {', '.join(files)}\n")
    if len(files) < len(removed):
        click.echo("The old configuration was removed: the board fetches another.\n")
    if folder:
        click.echo(
            f"A board that was configured before keeps its configuration until {_STATE}config* on"
            " it is deleted.\n"
        )


def _about(certificate: x509.Certificate | None) -> str:
    if not certificate:
        return ""
    name = certificate.subject.rfc4514_string() or "no name"
    return f": {name}, until {certificate.not_valid_after_utc:%Y-%m-%d}"
