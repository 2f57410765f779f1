"""What application slots hold, and what lies beside them on a board without firmware slots.

    files = slot_files("RPI_PICO_W", Path("my_app"))   # {"app.mpy": b"...", "instar/...": ...}
    data = update_tar(files)                           # the payload of a micropython-app
    files = device_files("RPI_PICO_W", Path("my_app")) # {"/boot.py": ..., "/a/app.mpy": ...}

On a board with firmware slots instar is in the firmware, and a slot holds the application only
(board None). On the others a slot holds instar too, so that it is updated with the application; at
the file system's root stay boot.py, main.py and the boot guard, which no update touches.

A file takes a block of 4 KiB there, and two slots have to fit. So what only some boards need is
left out unless it is asked for: see PARTS.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Collection, Mapping
from pathlib import Path, PurePosixPath

import click

from .board_kinds import KINDS
from .image_builder import compiled, read_tree
from .paths import BOARDS, FIRMWARE, LIB

UPDATE_TAR = "update.tar"
FIRST_SLOT = "/a"
# Boards whose firmware does not hold instar.
BOARDS_OF_SLOTS = tuple(kind.name for kind in KINDS.values() if not kind.firmware_slots)
# The boot guard has its own copy of these: old ones have to be able to start what is new.
GUARD = ("__init__", "errors", "store", "boot")
# What may be left out of a slot, by the beginnings of its modules' names: a Pico W's 848 KiB hold
# one slot with everything, but not two.
_QUEUE = ("entries.", "outbox.", "sender.", "stopwatch.")
PARTS = {
    "magistrala": (
        *_QUEUE,
        "bootstrap.",
        "certificates.",
        "configuration.",
        "content.",
        "crypto/cfb.",
        "fetching.",
        "publisher.",
        "senml.",
        "servers/magistrala/",
    ),
    "murano": (
        *_QUEUE,
        "artifact/raw.",
        "certificates.",
        "joining.",
        "recorder.",
        "servers/murano/",
        "watcher.",
    ),
}
# Of no use where there are no firmware slots.
_FIRMWARE_ONLY = ("installers/firmware.", "installers/otadata.")
WITH_HELP = (
    "A part of instar for the slot, too, where the slot holds instar."
    " A Pico W has no room for two slots with it."
)
_ROOT_PROGRAMS = ("boot.py", "main.py")
_APP = ("app.py", "app.mpy", "app/__init__.py", "app/__init__.mpy")
_BLOCK = 512


def app_files(app: Path | None = None) -> dict[str, bytes]:
    """The application's files by their path in the slot. app: its folder; None: the sample.

    Raises:
        click.ClickException: the folder has no module `app`.
    """
    if app is None:
        return read_tree(FIRMWARE / "app.py")
    files = read_tree(app, content_only=True)
    if not any(name in files for name in _APP):
        raise click.ClickException(f"{app}: expected one of {', '.join(_APP)} in it, found none")
    return files


def slot_files(
    board: str | None,
    app: Path | None = None,
    source: bool = False,
    parts: Collection[str] = (),
) -> dict[str, bytes]:
    """Everything in a slot, by its path there. board: None for one with instar in the firmware.

    source: modules stay .py; else they are compiled. parts: which of PARTS to put in. A file of
    the application stands instead of one of instar's that has its name.
    """
    files = {}
    if board:
        wanted = {name for part in parts for name in PARTS[part]}
        optional = {name for names in PARTS.values() for name in names}
        left_out = tuple(f"instar/{name}" for name in {*_FIRMWARE_ONLY, *optional} - wanted)
        tree = read_tree(LIB / "instar")
        files |= {name: data for name, data in tree.items() if not name.startswith(left_out)}
        files |= read_tree(BOARDS / board / "board.py")
        files |= read_tree(FIRMWARE / "start.py")
    files |= app_files(app)
    return files if source else compiled(files)


def root_files() -> dict[str, bytes]:
    """What lies beside the slots, by absolute path: boot.py, main.py and the boot guard."""
    files = {f"/{name}": (FIRMWARE / name).read_bytes() for name in _ROOT_PROGRAMS}
    guard = {f"instar/{name}.py": LIB / "instar" / f"{name}.py" for name in GUARD}
    content = {name: path.read_bytes() for name, path in guard.items() if path.exists()}
    return files | {f"/guard/{name}": data for name, data in compiled(content).items()}


def device_files(
    board: str, app: Path | None = None, parts: Collection[str] = ()
) -> dict[str, bytes]:
    """All of a board that was just deployed, by absolute path: root and first slot, no record."""
    files = slot_files(board, app, parts=parts)
    return root_files() | {f"{FIRST_SLOT}/{name}": data for name, data in files.items()}


def update_tar(files: Mapping[str, bytes]) -> bytes:
    """A plain ustar of the files, with entries for their folders; equal files give equal bytes.

    Raises:
        ValueError: a path is too long for ustar.
    """
    folders = {str(parent) for name in files for parent in PurePosixPath(name).parents}
    out = io.BytesIO()
    for name in sorted({*files, *(folders - {"."})}):
        info = tarfile.TarInfo(name)
        if name in files:
            info.mode, info.size = 0o644, len(files[name])
        else:
            info.mode, info.type = 0o755, tarfile.DIRTYPE
        out.write(info.tobuf(tarfile.USTAR_FORMAT))
        out.write(files.get(name, b""))
        out.write(bytes(-info.size % _BLOCK))
    out.write(bytes(2 * _BLOCK))
    return out.getvalue()
