"""Which files of lib/instar an agent needs for what it has to do.

    files_of("instar-mender")             # ["instar/__init__.py", "instar/agent.py", ...]
    modules({"mender", "app"})            # for parts of your own choice, below lib/instar
    board_files("RPI_PICO_W")             # what its board.py imports

An agent has a core and parts. The core imports a part only where a setting or a payload asks for
it, at that part's doors, and says what is missing where it is not there. So what belongs to a part
is what its doors import, and need not be listed: the source says it.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import ast
import functools
from collections.abc import Collection, Iterator
from pathlib import Path

from .paths import BOARDS, LIB

PACKAGE = LIB / "instar"
# Where everything begins: the agent, and what a board of your own may extend.
_CORE = ("__init__.py", "parts.py", "wifi_board.py")
# The doors that several parts open: to a configuration, and to updates from any server.
_BOOTSTRAP = ("bootstrap.py", "configuration.py")
_UPDATES = ("intake.py", "closing.py", "artifact/reader.py")
# Part -> its doors.
PARTS: dict[str, tuple[str, ...]] = {
    "firmware": ("installers/firmware.py", "checkpoint.py", "resuming.py"),
    "app": ("installers/app.py", "installers/leftovers.py"),
    "files": ("installers/files.py", "installers/leftovers.py"),
    "signatures": ("artifact/signature.py",),
    "certificates": ("servers/murano/pairs.py",),  # a Murano product's, made by the board
    "mender": ("servers/mender/__init__.py", *_UPDATES),
    "bootstrap": _BOOTSTRAP,
    "magistrala": (*_BOOTSTRAP, "publisher.py"),
    "murano": (
        "joining.py",
        "recorder.py",
        "watcher.py",
        "servers/murano/__init__.py",
        "servers/murano/updates.py",
        "artifact/raw.py",
        *_UPDATES,
    ),
    "boards": tuple(sorted(path.name for path in PACKAGE.glob("*_board.py"))),
}
_PAYLOADS = ("firmware", "app", "files", "signatures")
SETS: dict[str, tuple[str, ...]] = {
    "instar": tuple(PARTS),
    "instar-mender": ("mender", "boards", *_PAYLOADS),
    "instar-magistrala": ("magistrala", "boards"),
    "instar-murano": ("murano", "certificates", "boards", *_PAYLOADS),
}
# What a slot holds only if it is asked for: slots with instar are on boards without firmware
# slots, and a Pico W has 848 KiB for two of them.
_NOT_IN_SLOTS = frozenset(("firmware", "certificates", "boards"))
# The boot guard has its own copy of these, beside the slots: see lib/instar/boot.py.
GUARD = ("__init__.py", "errors.py", "store.py", "boot.py")


def files_of(name: str) -> list[str]:
    """A set's files by their paths under lib/, sorted."""
    return [f"{PACKAGE.name}/{path}" for path in modules(SETS[name])]


def slot_files_of(name: str, more: Collection[str] = ()) -> list[str]:
    """As files_of(), of what lies in a slot where the firmware is without instar, beside what
    board_files() names. more: PARTS that it is to have, too."""
    parts = {*SETS[name]} - _NOT_IN_SLOTS | {*more}
    return [f"{PACKAGE.name}/{path}" for path in modules(parts)]


@functools.cache
def _modules(parts: frozenset[str]) -> tuple[str, ...]:
    closed = {door for doors in PARTS.values() for door in doors}
    opened = {door for part in parts for door in PARTS[part]}
    closed -= opened
    found: set[str] = set()
    waiting = {*_CORE, *opened}
    while waiting:
        path = waiting.pop()
        found.add(path)
        waiting |= {other for other, _ in imports(PACKAGE / path)} - found - closed
    return tuple(sorted(found))


def modules(parts: Collection[str]) -> tuple[str, ...]:
    """The files of an agent with these parts, by their paths under lib/instar, sorted."""
    return _modules(frozenset(parts))


def board_files(board: str) -> list[str]:
    """The files that a board's module needs of lib/, by their paths there, sorted."""
    found: set[str] = set()
    waiting = {path for path, _ in imports(BOARDS / board / "board.py")}
    while waiting:
        found.add(path := waiting.pop())
        waiting |= {other for other, _ in imports(PACKAGE / path)} - found
    return sorted(f"{PACKAGE.name}/{path}" for path in found)


@functools.cache
def imports(file: Path) -> frozenset[tuple[str, bool]]:
    """(path below lib/instar, whether at the top level) of each module of instar that a file of
    it, or of a board, imports."""
    folder = Path(".")
    if file.is_relative_to(PACKAGE):
        folder = file.relative_to(PACKAGE).parent
    found = _imports(ast.parse(file.read_text()), top=True)
    return frozenset((other, top) for node, top in found for other in _targets(folder, node))


def _imports(node: ast.AST, top: bool) -> Iterator[tuple[ast.ImportFrom, bool]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ImportFrom):
            yield child, top
        inside = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        yield from _imports(child, top and not inside)


def _targets(folder: Path, node: ast.ImportFrom) -> set[str]:
    # `from .a import b`: a, and b if that is a module; each package on the way to them runs, too.
    names = (node.module or "").split(".")
    if node.level == 0:
        if names.pop(0) != PACKAGE.name:
            return set()
        folder = Path(".")
    for _ in range(node.level - 1):
        folder = folder.parent
    base = folder.joinpath(*names)
    stems = (base, *(base / alias.name for alias in node.names))
    files = {Path(f"{stem}{end}") for stem in stems for end in (".py", "/__init__.py")}
    found = {file for file in files if (PACKAGE / file).is_file()}
    packages = {parent / "__init__.py" for file in found for parent in file.parents}
    return {file.as_posix() for file in found | packages}
