"""Puts the factory settings of a board into a folder, or into a simulated board's flash file.

    written = into_folder(Path("board-1"), factory.files(), force=False)
    written = into_flash(Path("board.flash"), factory.files(), force=False)

The board's own code reads what was written first, under MicroPython; where it refuses, nothing is
changed. With force goes what an earlier use has left: files of CAs and keys that are not written
now and, in a flash, the configuration that the board once fetched, which would count for more
than the settings.

Limits: of the files that a folder has already, the check knows those at its root.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import click

from .board_code import answers, run, write_rom
from .board_kinds import kind_of
from .board_process import emulation
from .factory import SETTINGS_PATH
from .key_cmd import write_file

_HEAP = 16 << 20  # bytes: here the settings are what is looked at, not the memory
_KEPT = 1 << 16  # bytes read of a file that the settings speak of; a board refuses less than that
# The settings that are paths of files.
_PATHS = ("client_cert", "client_key")
_LISTS_OF_PATHS = ("artifact_verify_keys",)
# The names that this tool gives to files; an expression that Python and MicroPython read alike.
_MADE = r"^(bootstrap-ca-[0-9]+\.der|verify-key-[0-9]+)$"


class Refused(click.ClickException):
    """The board would not start with this, or there is something already."""


@dataclass(frozen=True)
class Written:
    """secret: the names of the settings that are. removed: files by their path on the board."""

    secret: list[str]
    removed: list[str]


def into_folder(folder: Path, files: Mapping[str, bytes], force: bool) -> Written:
    """Files as they are to lie at the board's root; those with keys for their owner only.

    Raises:
        Refused, NotChecked, OSError: nothing was written; OSError: perhaps a part.
    """
    places = {path: folder / path.lstrip("/") for path in files}
    _refuse_present([place for place in places.values() if place.exists()], force)
    with tempfile.TemporaryDirectory() as scratch:
        flash = Path(scratch, "flash")
        flash.write_bytes(b"")
        kept = {path: data.hex() for path, data in _beside(folder, files)}
        secret = _checked(flash, files, emulation="", kept=kept).secret
    folder.mkdir(parents=True, exist_ok=True)
    for path, place in places.items():
        write_file(place, files[path], 0o600 if path == SETTINGS_PATH else 0o644, True)
    left = _left_over(folder, files) if force else []
    for path in left:
        (folder / path.lstrip("/")).unlink()
    return Written(secret, left)


def _left_over(folder: Path, files: Mapping[str, bytes]) -> list[str]:
    stay = {*files, *_spoken_of(json.loads(files[SETTINGS_PATH]))}
    made = {f"/{place.name}" for place in folder.iterdir() if re.match(_MADE, place.name)}
    return sorted(made - stay)


def _beside(folder: Path, files: Mapping[str, bytes]) -> Iterator[tuple[str, bytes]]:
    """What the settings speak of that is in the folder already, by its path on the board."""
    for path in _spoken_of(json.loads(files[SETTINGS_PATH])):
        place = folder / path.lstrip("/")
        if path not in files and place.is_file():
            with place.open("rb") as file:
                yield path, file.read(_KEPT)


def _spoken_of(settings: Mapping) -> Iterator[str]:
    lists = [settings.get(name) for name in _LISTS_OF_PATHS]
    found = [settings.get(name) for name in _PATHS]
    found += [path for paths in lists if isinstance(paths, list) for path in paths]
    for path in found:
        if isinstance(path, str) and path.count("/") == 1 and path.startswith("/"):
            yield path


def into_flash(flash: Path, files: Mapping[str, bytes], force: bool) -> Written:
    """The files beside what is on the board's file system. The flash file changes as a whole.

    Raises:
        click.ClickException: the flash file is no board's.
        Refused, NotChecked, OSError: nothing was written.
    """
    flash = flash.resolve()
    kind_of(flash)
    with tempfile.TemporaryDirectory(dir=flash.parent, prefix=f".{flash.name}.") as scratch:
        copy = Path(scratch, "flash")
        shutil.copy(flash, copy)
        written = _checked(copy, files, emulation=str(emulation()), replace=force)
        os.replace(copy, flash)
    return written


def _checked(flash: Path, files: Mapping[str, bytes], replace: bool = True, **more) -> Written:
    with tempfile.TemporaryDirectory() as scratch:
        options = {
            "rom": str(write_rom(Path(scratch, "rom"))),
            "flash": str(flash),
            "files": {path: data.hex() for path, data in files.items()},
            "replace": replace,
            "made": _MADE,
            "stay": [*files, *_spoken_of(json.loads(files[SETTINGS_PATH]))],
            **more,
        }
        (found,) = answers(run("provision.py", options, heap=_HEAP))
    _refuse_present(found.get("there", []), False)
    if found["problem"]:
        raise Refused(f"the board would refuse this: {found['problem']}")
    return Written(found["secret"], found["removed"])


def _refuse_present(paths: list, force: bool) -> None:
    if paths and not force:
        names = ", ".join(map(str, paths))
        raise Refused(f"there already: {names}; --force replaces them")
