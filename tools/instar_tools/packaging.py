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

import contextlib
import functools
import hashlib
import json
from collections.abc import Collection, Mapping
from pathlib import Path, PurePosixPath

import click

from . import sets
from .image_builder import compiled
from .paths import BOARDS, FIRMWARE, LIB, ROOT

# The agent's program, without which every user would write it; see docs/install.md.
_PROGRAM = "start.py"
_BOARD = "board.py"
_ALL = "instar"  # what package.json is, where no name is given
_FORMS = {"py": "py", "mpy": "6"}  # folder -> mip's word: the version of .mpy
_MARKER = ".instar-package"  # in a folder that build() made: what it wrote, a path a line
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
    """Make the folder, or make it anew: what an earlier run wrote is deleted, nothing else.
    optimise: mpy-cross's -O.

    Raises:
        click.ClickException: the folder holds something else, or mpy-cross refuses a file.
    """
    files = _files(optimise)
    _clear(out)
    # First, so that a run that was cut can be repeated.
    (out / _MARKER).write_text("\n".join([*files, ""]))
    for path, data in files.items():
        (out / path).parent.mkdir(parents=True, exist_ok=True)
        (out / path).write_bytes(data)


def _files(optimise: int) -> dict[str, bytes]:
    """Everything in the folder, by its path there."""
    files: dict[str, bytes] = {}
    for name in packages():
        source = contents(name)
        for form, found in (("py", source), ("mpy", compiled(source, optimise))):
            files |= {f"{form}/{path_of(name, path)}": data for path, data in found.items()}
            urls = {path: f"{form}/{path_of(name, path)}" for path in found}
            text = _package(urls=urls)
            files[f"{name}{'-mpy' if form == 'mpy' else ''}.json"] = text.encode()
            _add_to_index(files, name, form, found)
    return {**files, "package.json": files[f"{_ALL}.json"]}


def path_of(name: str, path: str) -> str:
    """Where a package's file lies below py/ or mpy/: each board has a `board`."""
    return path if name in sets.SETS else f"{name}/{path}"


def _add_to_index(
    files: dict[str, bytes], name: str, form: str, found: Mapping[str, bytes]
) -> None:
    # package/FORM/NAME/latest.json, and the files by their hashes.
    hashes = {}
    for path, data in found.items():
        hashes[path] = digits = hashlib.sha256(data).hexdigest()[:_SHORT]
        if files.setdefault(f"file/{digits[:2]}/{digits}", data) != data:
            raise click.ClickException(f"{path}: another file has the hash {digits}")
    for release in ("latest", version()):
        text = _package(hashes=hashes)
        files[f"package/{_FORMS[form]}/{name}/{release}.json"] = text.encode()


def _package(**files: Mapping[str, str]) -> str:
    lists = {key: sorted(map(list, pairs.items())) for key, pairs in files.items()}
    rows = [
        f'  "{key}": [\n    ' + ",\n    ".join(map(json.dumps, pairs)) + "\n  ],"
        for key, pairs in lists.items()
    ]
    return "\n".join(["{", *rows, f'  "version": "{version()}"', "}"]) + "\n"


def _clear(out: Path) -> None:
    # Deletes what an earlier run wrote: the folder may be somebody's home, with keys in it.
    if out.exists() and not out.is_dir():
        raise click.ClickException(f"{out}: expected a folder, got a file")
    out.mkdir(parents=True, exist_ok=True)
    if not any(out.iterdir()):
        return
    marker = out / _MARKER
    if not marker.is_file():
        raise click.ClickException(
            f"{out}: expected an empty folder, or one made by this command (with {_MARKER} in it)"
        )
    paths = [PurePosixPath(line) for line in marker.read_text().splitlines()]
    if any(path.is_absolute() or ".." in path.parts for path in paths):
        raise click.ClickException(f"{marker}: expected paths below it only; delete the folder")
    for path in paths:
        (out / path).unlink(missing_ok=True)
    folders = {parent for path in paths for parent in path.parents} - {PurePosixPath(".")}
    for folder in sorted(folders, reverse=True):  # the deepest first
        with contextlib.suppress(OSError):  # something else lies in it
            (out / folder).rmdir()
