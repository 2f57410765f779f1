"""What mip installs: the package.json files of this checkout, and a folder for a web server.

    committed()                        # {path in the checkout: text}, as they have to be
    build(Path("build/mip"))           # modules as .py and .mpy, package.json files, an index

A package.json names files, and so either .py or .mpy; an index has both, and mip takes what the
board can use. The folder that build() makes is all three:

    NAME.json, NAME-mpy.json           mip.install("http://host/instar-mender-mpy.json")
    py/, mpy/                          the files that those name
    package/, file/                    mpremote mip install --index http://host instar-mender

Limits: mip compares hashes of an index only to leave out what is there already, and takes any
certificate: whoever is on the line can put in what he likes. Install at your desk.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import functools
import hashlib
import json
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path

import click

from . import sets
from .image_builder import compiled
from .paths import BOARDS, FIRMWARE, LIB, ROOT

# The agent's program, without which every user would write it; see docs/install.md.
_PROGRAM = "start.py"
_BOARD = "board.py"
_ALL = "instar"  # what package.json is, where no name is given
_FORMS = {"py": "py", "mpy": "6"}  # folder -> mip's word: the version of .mpy
_SHORT = 8  # digits of a hash in an index


def sources(name: str) -> dict[str, Path]:
    """Path in the board's /lib -> file here, of a set or of a board (as in packages())."""
    if name in sets.SETS:
        return _with_program(sets.SETS[name])
    return {_BOARD: BOARDS / name / _BOARD}


def contents(name: str) -> dict[str, bytes]:
    """As sources(), with what is in the files."""
    return {path: file.read_bytes() for path, file in sources(name).items()}


def contents_of(parts: Collection[str]) -> dict[str, bytes]:
    """As contents(), of some of sets.PARTS."""
    return {path: file.read_bytes() for path, file in _with_program(parts).items()}


def _with_program(parts: Collection[str]) -> dict[str, Path]:
    files = {f"{sets.PACKAGE.name}/{path}": sets.PACKAGE / path for path in sets.modules(parts)}
    return {**files, _PROGRAM: FIRMWARE / _PROGRAM}


def packages() -> list[str]:
    """Every set, and every board that has a module `board`."""
    return [*sets.SETS, *sorted(path.parent.name for path in BOARDS.glob(f"*/{_BOARD}"))]


@functools.cache
def version() -> str:
    """instar's own."""
    found: dict[str, str] = {}
    exec((LIB / "instar" / "__init__.py").read_text(), found)
    return found["__version__"]


def committed() -> dict[str, str]:
    """Path in the checkout -> content of each package.json. The one that names all of instar is
    where mip looks for it; each board's is in its folder."""
    found = {}
    for name in packages():
        if name in sets.SETS:
            path = "package.json" if name == _ALL else f"{name}.json"
        else:
            path = f"boards/{name}/package.json"
        folder = (ROOT / path).parent
        urls = {to: file.relative_to(folder).as_posix() for to, file in sources(name).items()}
        found[path] = _package(urls=urls)
    return found


def build(out: Path, optimise: int = 0) -> None:
    """Make the folder, new. optimise: mpy-cross's -O.

    Raises:
        click.ClickException: the folder holds something else, or mpy-cross refuses a file.
    """
    _clear(out)
    index = _Index(out)
    for name in packages():
        source = contents(name)
        for form, files in (("py", source), ("mpy", compiled(source, optimise))):
            for path, data in files.items():
                _write(out / form / path_of(name, path), data)
            urls = {path: f"{form}/{path_of(name, path)}" for path in files}
            text = _package(urls=urls)
            _write(out / f"{name}{'-mpy' if form == 'mpy' else ''}.json", text.encode())
            index.add(name, form, files)
    shutil.copy(out / f"{_ALL}.json", out / "package.json")


def path_of(name: str, path: str) -> str:
    """Where a package's file lies below py/ or mpy/: each board has a `board`."""
    return path if name in sets.SETS else f"{name}/{path}"


class _Index:
    """package/FORM/NAME/latest.json, and the files by their hashes."""

    def __init__(self, out: Path) -> None:
        self._out = out

    def add(self, name: str, form: str, files: Mapping[str, bytes]) -> None:
        hashes = {}
        for path, data in files.items():
            hashes[path] = hashlib.sha256(data).hexdigest()[:_SHORT]
            place = self._out / "file" / hashes[path][:2] / hashes[path]
            if place.exists() and place.read_bytes() != data:
                raise click.ClickException(f"{path}: another file has the hash {hashes[path]}")
            _write(place, data)
        text = _package(hashes=hashes).encode()
        for release in ("latest", version()):
            _write(self._out / "package" / _FORMS[form] / name / f"{release}.json", text)


def _package(**files: Mapping[str, str]) -> str:
    lists = {key: sorted(map(list, pairs.items())) for key, pairs in files.items()}
    rows = [
        f'  "{key}": [\n    ' + ",\n    ".join(map(json.dumps, pairs)) + "\n  ],"
        for key, pairs in lists.items()
    ]
    return "\n".join(["{", *rows, f'  "version": "{version()}"', "}"]) + "\n"


def _clear(out: Path) -> None:
    # Only what this module made is deleted.
    if out.exists() and any(out.iterdir()) and not (out / f"{_ALL}.json").exists():
        raise click.ClickException(f"{out}: expected an empty folder, or one made by this command")
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
