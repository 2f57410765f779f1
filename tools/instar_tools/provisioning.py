"""Puts the factory settings of a board into a folder, or into a simulated board's flash file.

    written = into_folder(Path("board-1"), factory.files(), force=False)
    written = into_flash(Path("board.flash"), factory.files(), force=False, key=identity_key)
    written = checked(factory.files(), kept, key)     # writes nothing: see provision_port.py

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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import click

from .board_code import answers, run, write_rom
from .factory import SETTINGS_PATH
from .identity_key import RECORD, IdentityKey, public_half
from .key_cmd import write_file
from .simulated.board_kinds import kind_of
from .simulated.board_process import emulation

_HEAP = 16 << 20  # bytes: here the settings are what is looked at, not the memory
_KEPT = 1 << 16  # bytes read of a file that the settings speak of; a board refuses less than that
# The settings that are paths of files.
_PATHS = ("client_cert", "client_key")
_LISTS_OF_PATHS = ("artifact_verify_keys",)
# The names that this tool gives to files; an expression that Python and MicroPython read alike.
MADE = r"^((bootstrap-)?ca-[0-9]+\.der|verify-key-[0-9]+)$"


class Refused(click.ClickException):
    """The board would not start with this, or there is something already."""


@dataclass(frozen=True)
class Written:
    """secret: the names of the settings that are. removed: files by their path on the board.
    record: what the board's store is to hold of the identity key; empty without one. there: the
    public half of the key that it had already, and keeps."""

    secret: list[str]
    removed: list[str]
    record: bytes = field(default=b"", repr=False)
    there: str = ""


def into_folder(
    folder: Path, files: Mapping[str, bytes], force: bool, key: IdentityKey | None = None
) -> Written:
    """Files as they are to lie at the board's root; those with keys for their owner only.

    Raises:
        Refused, NotChecked, OSError: nothing was written; OSError: perhaps a part.
    """
    places = {path: folder / path.lstrip("/") for path in files}
    record = folder / RECORD.lstrip("/")
    refuse_present([place for place in places.values() if place.exists()], force)
    there = public_half(record.read_bytes()) if key and record.exists() else ""
    key = to_write(key, there, record)
    written = checked(files, dict(_beside(folder, files)), key)
    folder.mkdir(parents=True, exist_ok=True)
    if key:
        record.parent.mkdir(exist_ok=True)
        write_file(record, written.record, 0o600, False)
    for path, place in places.items():
        write_file(place, files[path], 0o600 if path == SETTINGS_PATH else 0o644, True)
    left = _left_over(folder, files) if force else []
    for path in left:
        (folder / path.lstrip("/")).unlink()
    return Written(written.secret, left, there=there)


def checked(
    files: Mapping[str, bytes], kept: Mapping[str, bytes], key: IdentityKey | None
) -> Written:
    """What a board would say of these files beside those of `kept`, on a file system of its own.

    Raises:
        Refused, NotChecked.
    """
    with tempfile.TemporaryDirectory() as scratch:
        flash = Path(scratch, "flash")
        flash.write_bytes(b"")
        there = {path: data.hex() for path, data in kept.items()}
        return _checked(flash, files, key, emulation="", kept=there)


def _left_over(folder: Path, files: Mapping[str, bytes]) -> list[str]:
    stay = staying(files)
    made = {f"/{place.name}" for place in folder.iterdir() if re.match(MADE, place.name)}
    return sorted(made.difference(stay))


def _beside(folder: Path, files: Mapping[str, bytes]) -> Iterator[tuple[str, bytes]]:
    """What the settings speak of that is in the folder already, by its path on the board."""
    for path in spoken_of(files):
        place = folder / path.lstrip("/")
        if place.is_file():
            with place.open("rb") as file:
                yield path, file.read(_KEPT)


def staying(files: Mapping[str, bytes]) -> list[str]:
    """The paths that no provisioning of these files removes."""
    return [*files, *spoken_of(files)]


def spoken_of(files: Mapping[str, bytes]) -> Iterator[str]:
    """The paths at the board's root that the settings in `files` name, but `files` has not."""
    settings = json.loads(files[SETTINGS_PATH])
    lists = [settings.get(name) for name in _LISTS_OF_PATHS]
    found = [settings.get(name) for name in _PATHS]
    found += [path for paths in lists if isinstance(paths, list) for path in paths]
    for path in found:
        at_root = isinstance(path, str) and path.count("/") == 1 and path.startswith("/")
        if at_root and path not in files:
            yield path


def into_flash(
    flash: Path, files: Mapping[str, bytes], force: bool, key: IdentityKey | None = None
) -> Written:
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
        written = _checked(copy, files, key, emulation=str(emulation()), force=force)
        os.replace(copy, flash)
    return written


def _checked(
    flash: Path,
    files: Mapping[str, bytes],
    key: IdentityKey | None,
    force: bool = True,
    **more,
) -> Written:
    with tempfile.TemporaryDirectory() as scratch:
        options = {
            "rom": str(write_rom(Path(scratch, "rom"))),
            "flash": str(flash),
            "files": {path: data.hex() for path, data in files.items()},
            "replace": force,
            "made": MADE,
            "stay": staying(files),
            "key": key.der.hex() if key else "",
            **more,
        }
        (found,) = answers(run("provision.py", options, heap=_HEAP))
    refuse_present(found.get("there", []), False)
    if "has_key" in found:
        there = public_half(bytes.fromhex(found["has_key"]))
        key = to_write(key, there, RECORD)
        return replace(_checked(flash, files, key, force, **more), there=there)
    if found["problem"]:
        raise Refused(f"the board would refuse this: {found['problem']}")
    return Written(found["secret"], found["removed"], bytes.fromhex(found["record"] or ""))


def refuse_present(paths: Sequence[str | Path], force: bool) -> None:
    """Raise Refused if there are any, and they may not be replaced."""
    if paths and not force:
        names = ", ".join(map(str, paths))
        raise Refused(f"there already: {names}; --force replaces them")


def to_write(key: IdentityKey | None, there: str, place: str | Path) -> IdentityKey | None:
    """The key, or None where a board needs none. there: the public half of the one that it has.

    Raises:
        Refused: that is another one.
    """
    if not key or not there:
        return key
    if not key.new and key.public_pem.split() != there.split():
        raise Refused(
            f"there is an identity key already: {place}; it stays, because with another key this"
            " would be another device: run this again without --identity-key"
        )
    return None
