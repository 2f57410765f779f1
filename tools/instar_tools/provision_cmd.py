"""``instar provision``: write what a board leaves the factory with.

A Bootstrap service's URL, an external id, an external key, and the CA of that service. Everything
else the board fetches. See factory.py for the settings, provisioning.py for where they go.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
import os
import secrets
import shlex
from pathlib import Path

import click
from cryptography import x509
from rich.console import Console
from rich.table import Table
from rich.text import Text

from . import factory, provisioning
from .factory import EXTERNAL_KEY, FILE, SETTINGS_PATH, Factory, bootstrap_options
from .masking import without_secrets
from .provisioning import Written

_KEY_BYTES = 24  # of a key that is made here: 32 characters that nobody has to quote
_STATE = "/.instar/"  # where a board keeps what it fetched
_LARGEST_KEY = 8192  # bytes: as lib/instar/settings.py


@click.command()
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write files, to be copied to the board's root.",
)
@click.option("--flash", type=FILE, help="Write into the flash file of a simulated board.")
@bootstrap_options
@click.option(
    "--external-id", default="", metavar="ID", help="Who the board is. [default: its MAC address]"
)
@click.option("--generate-key", is_flag=True, help="Make an external key, and print it once.")
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
    external_id: str,
    generate_key: bool,
    secure: bool,
    force: bool,
    wifi_ssid: str | None,
    verify_key: tuple[Path, ...],
    url: str,
    profile: str,
    ca: tuple[Path, ...],
    plain_http: bool,
    more: dict,
    **plain,
) -> None:
    """Write the factory settings of a board: all it needs for its first bootstrap.

    The external key comes from the environment, INSTAR_EXTERNAL_KEY, or is asked for; never from
    the command line. The board's own code reads the settings before anything is written.

    Exit 0: written, 1: refused, 2: wrong usage, 3: the check could not be made.
    """
    if bool(folder) == bool(flash):
        raise click.UsageError("expected --folder DIR or --flash FILE, one of them")
    if generate_key and EXTERNAL_KEY in os.environ:
        raise click.UsageError(f"expected --generate-key or {EXTERNAL_KEY}, one of them")
    made = Factory.of(url, profile, ca, plain_http, more)
    _add(made, {"external_id": external_id or None, "wifi_ssid": wifi_ssid, **plain})
    _add_verify_keys(made, verify_key)
    key = secrets.token_urlsafe(_KEY_BYTES) if generate_key else factory.external_key()
    made.add_keys(key, factory.crypto_key() if secure else "")
    if wifi_ssid:
        made.settings["wifi_password"] = factory.wifi_password(wifi_ssid)
    written = _write(folder, flash, made.files(), force)
    _tell(folder or flash, made, written.secret)
    _tell_of_old(written.removed, folder)
    if generate_key:
        click.echo(f"External key, shown this once: {key}\n")
    if url.lower().startswith("http://") and not secure:
        click.echo("Warning: without --secure the external key can be read on the way.", err=True)
    _next_step(made, _identity(made.settings, flash))


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


def _write(
    folder: Path | None, flash: Path | None, files: dict[str, bytes], force: bool
) -> Written:
    try:
        if flash:
            return provisioning.into_flash(flash, files, force)
        assert folder
        return provisioning.into_folder(folder, files, force)
    except OSError as error:
        raise click.ClickException(f"cannot write the settings: {error}") from None


def _tell(place: Path | None, made: Factory, hidden: list[str]) -> None:
    click.echo(f"{place}: {SETTINGS_PATH}")
    table = Table("setting", "value")
    for name, value in without_secrets(made.settings, hidden).items():
        text = value if isinstance(value, str) else json.dumps(value)
        table.add_row(name, Text(text, overflow="fold"))
    Console().print(table)
    authorities = dict(zip(made.settings.get("ca", []), made.authorities, strict=True))
    for path in made.beside:
        click.echo(f"{path}{_about(authorities.get(path))}")
    click.echo()


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


def _identity(settings: dict, flash: Path | None) -> str:
    """The external id that the board will give, as lib/instar/bootstrap.py says."""
    if given := settings.get("external_id") or settings.get("identity", {}).get("mac"):
        return given
    if not flash:
        return "<MAC address of the board, like 24:0a:c4:01:02:03>"
    with flash.open("rb") as file:
        return file.read(6).hex(":")  # where flash_builder puts it


def _next_step(made: Factory, identity: str) -> None:
    profile, url = made.settings["bootstrap_profile"], made.settings["bootstrap_url"].rstrip("/")
    word = "clients" if profile == "clients" else "things"
    domain = "" if profile == "mainflux" else "/<domain_id>"
    click.echo(f"Next: register this board at the service. With its key in {EXTERNAL_KEY}:\n")
    click.echo(
        f"jq -n {shlex.quote(_registration(made.settings, identity))} |"
        " curl -sSi -X POST -H 'Authorization: Bearer <user_token>'"
        " -H 'Content-Type: application/json'"
        f" -d @- {shlex.quote(f'{url}{domain}/{word}/configs')}"
    )
    if profile == "things":
        click.echo("\n(Magistrala v0.14 has no /<domain_id> in its paths.)")


def _registration(settings: dict, identity: str) -> str:
    """What the service is to have of this board, as jq makes it of the environment."""
    # There the key is in no command line, and may have any character.
    fields = f"external_id: {json.dumps(identity)}, external_key: env.{EXTERNAL_KEY}"
    fields += ', channels: ["<channel_id>"]'
    if not any(settings.get(f"{name}_url") for name in ("mender", "magistrala", "murano")):
        # Without any a board does not take the configuration.
        fields += ', content: ({instar: {mender_url: "<mender_url>"}} | tojson)'
    return f"{{{fields}}}"
