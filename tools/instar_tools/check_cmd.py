"""``instar artifact check``: would my board take this Artifact?

The board's own reader and installers answer, under MicroPython, in a heap like a board's: see
``board/check.py``. Here is the command around them: options, keys, and what is printed.

    verdicts = check_files([Path("v2.mender")], Conditions(device_type="esp32"))
    verdicts[0]["accepted"], verdicts[0]["reason"]

Limits: regular files only; all of a process's files share one time limit.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click

from .board_code import BOARD, OWN, SECONDS, NotChecked, answers, run, write_rom
from .image_builder import read_tree
from .simulated.board_kinds import ESP32_GENERIC, KINDS
from .simulated.simulator import heap_bytes

HEAP = "64wk"
_AT_ONCE = 64  # files of one process: it has all of them open
_SECONDS = SECONDS
_LARGEST_HEAP = 1 << 30  # bytes
_LARGEST_KEY = 8192  # bytes: as lib/instar/settings.py
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """The board that is asked.

    board: its kind, of board_kinds.KINDS. keys: public keys, PEM or DER. provides: what it
    provides, device_type apart. payload_types: installers of the user's own, whose checks are not
    known here. heap: bytes.
    """

    device_type: str
    board: str = ESP32_GENERIC.name
    keys: Sequence[bytes] = ()
    provides: dict[str, str] = field(default_factory=dict)
    payload_types: Sequence[str] = ()
    ignore_scripts: bool = False
    downgrade_key: str = ""
    file_roots: Sequence[str] = ("/data",)
    heap: int = heap_bytes(HEAP)

    def options(self) -> dict:
        """What board/check.py reads."""
        return {
            "heap": self.heap,
            "firmware_slots": KINDS[self.board].firmware_slots,
            "settings": {
                "device_type": self.device_type,
                "artifact_verify_keys": [f"/key{i}" for i in range(len(self.keys))],
                "ignore_scripts": self.ignore_scripts,
                "downgrade_key": self.downgrade_key,
                "file_roots": list(self.file_roots),
            },
            "keys": [key.hex() for key in self.keys],
            "provides": {**self.provides, "device_type": self.device_type},
            "types": list(self.payload_types),
        }


def check_files(paths: Sequence[Path], conditions: Conditions) -> list[dict]:
    """One verdict for each file, with the keys of ``instar artifact check --json``.

    Raises:
        ValueError: no board could have these keys or settings.
        NotChecked: MicroPython does not start, ends early, or takes too long.
    """
    verdicts: list[dict] = []
    with tempfile.TemporaryDirectory() as scratch:
        rom = write_rom(Path(scratch, "rom"), read_tree(BOARD / "stand_ins.py"))
        while len(verdicts) < len(paths):
            some = paths[len(verdicts) : len(verdicts) + _AT_ONCE]
            found = answers(_run(some, conditions, rom))
            if "unusable" in found[0]:
                raise ValueError(found[0]["unusable"])
            verdicts += [_verdict(one) for one in found]
    return verdicts


def _run(paths: Sequence[Path], conditions: Conditions, rom: Path) -> list[str]:
    """The lines that board/check.py prints, perhaps for the first files only."""
    with tempfile.TemporaryDirectory(dir=rom.parent) as scratch:
        flash = Path(scratch, "flash")
        flash.write_bytes(b"")
        links = [Path(scratch, str(number)) for number in range(len(paths))]
        for link, path in zip(links, paths, strict=True):
            link.symlink_to(os.path.realpath(path))  # a name in UTF-8, whatever the file's is
        options = {
            **conditions.options(),
            "files": [str(link) for link in links],
            "rom": str(rom),
            "flash": str(flash),
        }
        heap = conditions.heap + rom.stat().st_size + OWN
        return run("check.py", options, heap=heap, seconds=_SECONDS)


def _verdict(answer: dict) -> dict:
    header = answer.get("header") or {}
    sizes = answer.get("sizes") or {}
    files = [
        {"name": name, "size": sizes.get(name), "sha256": digest}
        for name, digest in header.get("files", [])
    ]
    return {
        "accepted": answer["error"] is None,
        "reason": answer["error"],
        "artifact_name": header.get("artifact_name"),
        "artifact_group": header.get("artifact_group"),
        "payload_type": header.get("payload_type"),
        "signed": header.get("signed"),
        "files": files,
        "provides": header.get("provides", {}),
        "clears_provides": header.get("clears_provides") or [],
        "depends": header.get("depends", {}),
    }


class Pair(click.ParamType):
    """KEY=VALUE, of which only the first equals sign separates."""

    name = "KEY=VALUE"

    def convert(self, value, param, ctx):
        if isinstance(value, tuple):
            return value
        key, equals, text = value.partition("=")
        if not key or not equals:
            self.fail(f"expected KEY=VALUE, got {value!r}", param, ctx)
        return key, text


def _heap(ctx: click.Context, param: click.Parameter, text: str) -> int:
    try:
        size = heap_bytes(text)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from None
    if size > _LARGEST_HEAP:
        raise click.BadParameter(f"expected at most {_LARGEST_HEAP} bytes, got {size}", ctx, param)
    return size


def _regular(ctx: click.Context, param: click.Parameter, paths: tuple[Path, ...]):
    for path in paths:
        if not path.is_file():  # a pipe: MicroPython has no way to it
            name = click.format_filename(path)
            raise click.BadParameter(f"{name}: expected a regular file", ctx, param)
    return paths


def _keys(ctx: click.Context, param: click.Parameter, paths: tuple[Path, ...]) -> list[bytes]:
    keys = []
    for path in paths:
        with path.open("rb") as file:
            keys.append(file.read(_LARGEST_KEY + 1))
        if len(keys[-1]) > _LARGEST_KEY:
            name = click.format_filename(path)
            text = f"{name}: expected a public key, at most {_LARGEST_KEY} bytes, got more"
            raise click.BadParameter(text, ctx, param)
    return keys


@click.command()
@click.argument("files", metavar="FILE...", type=FILE, nargs=-1, required=True, callback=_regular)
@click.option("--device-type", required=True, help="The board's device type.")
@click.option(
    "--board",
    type=click.Choice(list(KINDS)),
    default=ESP32_GENERIC.name,
    show_default=True,
    help="Its kind: without firmware slots, a slot holds instar too, and no image is taken.",
)
@click.option(
    "--key",
    "keys",
    type=FILE,
    multiple=True,
    callback=_keys,
    help="Public key (PEM, DER); any may match.",
)
@click.option(
    "--provides", type=Pair(), multiple=True, help="What the board provides now, repeatable."
)
@click.option("--ignore-scripts", is_flag=True, help="As the setting ignore_scripts.")
@click.option("--downgrade-key", default="", metavar="KEY", help="As the setting downgrade_key.")
@click.option(
    "--file-root",
    "file_roots",
    multiple=True,
    default=["/data"],
    show_default=True,
    help="As the setting file_roots; repeatable.",
)
@click.option(
    "--payload-type",
    "payload_types",
    multiple=True,
    help="A type that the board has an installer of your own for; its checks are not made.",
)
@click.option(
    "--heap",
    default=HEAP,
    show_default=True,
    callback=_heap,
    help="What the board has left for an update, as MicroPython's -X heapsize (wk: KiB of 4-byte"
    " words); the code is not in it.",
)
@click.option("--json", "as_json", is_flag=True, help="One line of JSON for each file.")
@click.pass_context
def check(ctx: click.Context, files: tuple[Path, ...], as_json: bool, **fields) -> None:
    """Would my board take these Artifacts?

    The board's own code reads them under MicroPython and takes the payload in, on an empty file
    system, up to the moment before it would be installed. Of a rootfs-image, the ESP32 image's
    header is looked at; chip and slot size are not known here. Free flash is not checked.

    Exit 0: accepted, 1: one or more are rejected, 2: wrong usage, 3: the check could not be made.
    """
    fields["provides"] = dict(fields["provides"])
    try:
        verdicts = check_files(files, Conditions(**fields))
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    except NotChecked:
        raise
    except (click.ClickException, OSError) as error:
        raise NotChecked(str(error)) from None
    for path, verdict in zip(files, verdicts, strict=True):
        click.echo(json.dumps(verdict) if as_json else _line(path, verdict))
    ctx.exit(0 if all(verdict["accepted"] for verdict in verdicts) else 1)


def _line(path: Path, verdict: dict) -> str:
    name = click.format_filename(path)
    if not verdict["accepted"]:
        return f"{name}: rejected: {verdict['reason']}"
    count = len(verdict["files"])
    total = sum(file["size"] for file in verdict["files"])
    return (
        f"{name}: accepted: {verdict['artifact_name']},"
        f" payload type {verdict['payload_type'] or 'none'},"
        f" {'signed' if verdict['signed'] else 'not signed'},"
        f" {count} file{'' if count == 1 else 's'}, {total} bytes"
    )
