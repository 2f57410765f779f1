"""``instar bootstrap``: what would a board take from a Bootstrap service?

The board's own client asks, and the board's own checks decide, under MicroPython, in a heap like a
board's: see ``board/bootstrap.py``. Here is the command around them, and what is shown of it.

    found = bootstrap_as("24:0a:c4:01:02:03", factory)     # a Found
    found.problem                                          # None: a board would take it
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from . import factory
from .board_code import answers, run, write_rom
from .certificate_text import about_certificate, about_key, in_a_line
from .factory import Factory, bootstrap_options
from .masking import Veil, masked, outlined, without_secrets
from .simulated.simulator import heap_bytes

HEAP = "64wk"  # what a small board has left, as MicroPython's -X heapsize; the code is not in it
_OWN = 256 << 10  # bytes of the interpreter's heap for the program itself, and for its report
# Settings that have a place of their own in what is shown.
_SHOWN_APART = ("magistrala_id", "magistrala_secret", "magistrala_channels")


class NoVerdict(click.ClickException):
    """The service did not say what it has for the board."""

    exit_code = 3

    def __init__(self, message: str) -> None:
        super().__init__(
            f"no verdict: {message}\nIs the service up, and are --url and --ca right?"
        )


@dataclass(frozen=True)
class Found:
    """What came of a bootstrap. problem: why a board would not take it, or None. shown: what is
    to be told of it, as JSON, with secrets masked; None if there was no answer."""

    problem: str | None
    shown: dict[str, Any] | None


def bootstrap_as(external_id: str, made: Factory) -> Found:
    """Ask the service as the board with these factory settings.

    Raises:
        ValueError: no board could have these settings.
        NoVerdict: the service is not there, is in trouble, or is none.
        NotChecked: MicroPython does not start, ends early, or takes too long.
    """
    veil = Veil([made.settings["external_key"], made.settings.get("crypto_key", "")])
    with tempfile.TemporaryDirectory() as scratch:
        rom = write_rom(Path(scratch, "rom"))
        flash = Path(scratch, "flash")
        flash.write_bytes(b"")
        heap = heap_bytes(HEAP)
        options = {
            "rom": str(rom),
            "flash": str(flash),
            "heap": heap,
            "files": {path: data.hex() for path, data in made.files().items()},
            "external_id": external_id,
        }
        (found,) = answers(run("bootstrap.py", options, heap=heap + rom.stat().st_size + _OWN))
    if "unusable" in found:
        raise ValueError(veil.over(found["unusable"]))
    for_good, problem = found["problem"] or (True, None)
    if not for_good:
        raise NoVerdict(veil.over(problem))
    return Found(veil.over(problem), _shown(found, veil))


def _shown(found: dict, veil: Veil) -> dict[str, Any] | None:
    answer = found["answer"]
    if not answer:
        return None
    kept = found["kept"] or {"values": {}, "application": {}, "ders": {}}
    values = {
        "magistrala_id": answer["client_id"],
        "magistrala_secret": answer["secret"],
        "magistrala_channels": answer["channels"],
        **kept["values"],
    }
    rest = {name: value for name, value in values.items() if name not in _SHOWN_APART}
    shown = {
        "client_id": values["magistrala_id"],
        "secret": masked(values["magistrala_secret"]),
        "channels": values["magistrala_channels"],
        **_certificates(kept["ders"]),
        "settings": without_secrets(rest, found["secret"]),
        "application": outlined(kept["application"]),
        "digest": answer["digest"],
    }
    return veil.over(shown)


def _certificates(ders: dict[str, list[str]]) -> dict[str, Any]:
    found = {kind: [bytes.fromhex(der) for der in several] for kind, several in ders.items()}
    client = found.get("client")
    return {
        "ca_certificates": [about_certificate(der) for der in found.get("ca", [])],
        # The second is its key, of which nothing is told.
        "client_certificate": about_certificate(client[0]) if client else None,
        "artifact_verify_keys": [about_key(der) for der in found.get("artifact_keys", [])],
    }


@click.command()
@click.argument("external_id", metavar="ID")
@bootstrap_options
@click.option("--json", "as_json", is_flag=True, help="One line of JSON, secrets masked, too.")
@click.pass_context
def bootstrap(
    ctx: click.Context,
    external_id: str,
    url: str,
    profile: str,
    ca: tuple[Path, ...],
    plain_http: bool,
    secure: bool,
    more: dict,
    as_json: bool,
) -> None:
    """What would the board with the external id ID take from the Bootstrap service?

    Its own code asks and checks, and stores nothing but here. The keys come from the environment,
    INSTAR_EXTERNAL_KEY and (with --secure) INSTAR_CRYPTO_KEY, or are asked for. Secrets are
    masked, keys never shown, nor any text that is for the application alone. --set stands for what
    else is set at the factory, like allow_plain_http=true.

    Exit 0: a board would take it, 1: refused, by the service or by the board's checks, 2: wrong
    usage, 3: no verdict.
    """
    made = Factory.of(url, profile, ca, plain_http, {"external_id": external_id, **more})
    made.add_keys(factory.external_key(), factory.crypto_key() if secure else "")
    try:
        found = bootstrap_as(external_id, made)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    if as_json:
        verdict = {"accepted": found.problem is None, "reason": found.problem}
        click.echo(json.dumps({**verdict, **(found.shown or {})}))
    elif found.shown:
        Console().print(_table(found.shown))
    if found.problem:
        click.echo(f"Refused: {found.problem}", err=True)
        ctx.exit(1)
    if not as_json:
        click.echo("A board would take it.")


def _table(shown: dict[str, Any]) -> Table:
    table = Table("what", "value")
    for name, value in _rows(shown):
        table.add_row(_printable(name), _printable(value))
    return table


def _printable(text: str) -> Text:
    # What came from a service must not steer the terminal.
    safe = [char if char.isprintable() else repr(char)[1:-1] for char in text]
    return Text("".join(safe), overflow="fold")


def _rows(shown: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "id", shown["client_id"] or "none"
    yield "secret", shown["secret"] or "none"
    for channel in shown["channels"]:
        words = [channel["id"]]
        words += [f"{key} {channel[key]}" for key in ("name", "type") if key in channel]
        yield "channel", ", ".join(words)
    for about in shown["ca_certificates"]:
        yield "CA", in_a_line(about)
    if about := shown["client_certificate"]:
        yield "certificate", in_a_line(about)
        yield "its key", "there, not shown"
    for about in shown["artifact_verify_keys"]:
        yield "Artifact key", f"{about['type']}, SHA-256 {about['sha256']}"
    for part in ("settings", "application"):
        for name, value in shown[part].items():
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            yield f"{part}: {name}", text
    yield "digest", shown["digest"]
