"""What application slots hold, and what lies beside them where the firmware is without instar.

    files = slot_files("RPI_PICO_W", Path("my_app"))   # {"app.mpy": b"...", "instar/...": ...}
    data = update_tar(files)                           # the payload of a micropython-app
    files = device_files("RPI_PICO_W", Path("my_app")) # {"/boot.py": ..., "/a/app.mpy": ...}

Where instar is in the firmware, a slot holds the application only (board None). On stock
MicroPython a slot holds instar too, so that it is updated with the application; at the file
system's root stay boot.py, main.py and the boot guard, which no update touches.

A file takes a block of 4 KiB there, and two slots have to fit. So a slot gets one of the sets of
sets.py, and more parts only where they are asked for.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Collection, Mapping
from pathlib import Path, PurePosixPath

import click

from . import sets
from .image_builder import compiled, read_tree
from .paths import BOARDS, FIRMWARE, LIB
from .real_boards import BOARDS as REAL_BOARDS

UPDATE_TAR = "update.tar"
FIRST_SLOT = "/a"
DEFAULT_SET = "instar-mender"
# Boards whose slots may hold instar: all that stock MicroPython runs on.
BOARDS_OF_SLOTS = tuple(REAL_BOARDS)
_ROOT_PROGRAMS = ("boot.py", "main.py")
_APP = ("app.py", "app.mpy", "app/__init__.py", "app/__init__.mpy")
_BLOCK = 512


def slot_options(command: Callable) -> Callable:
    """Options of every command that fills a slot: `base` and `parts` of slot_files()."""
    base = click.option(
        "--set",
        "base",
        type=click.Choice(list(sets.SETS)),
        default=DEFAULT_SET,
        show_default=True,
        help="What of instar goes into the slot, where the slot holds instar.",
    )
    parts = click.option(
        "--with",
        "parts",
        type=click.Choice(list(sets.PARTS)),
        multiple=True,
        help="A part of instar that is not in the set; may be repeated. A Pico W has no room for"
        " two slots with all of them.",
    )
    return base(parts(command))


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
    base: str = DEFAULT_SET,
) -> dict[str, bytes]:
    """Everything in a slot, by its path there. board: None for one with instar in its firmware.

    source: modules stay .py; else they are compiled. base: which of sets.SETS to put in; parts:
    which of sets.PARTS besides. A file of the application stands instead of one of instar's that
    has its name.
    """
    files = {}
    if board:
        more = {*parts, "firmware"} if board.startswith("ESP32") else parts
        names = (*sets.slot_files_of(base, more), *sets.board_files(board))
        files |= {name: (LIB / name).read_bytes() for name in names}
        files |= read_tree(BOARDS / board / "board.py")
        files |= read_tree(FIRMWARE / "start.py")
    files |= app_files(app)
    return files if source else compiled(files)


def root_files() -> dict[str, bytes]:
    """What lies beside the slots, by absolute path: boot.py, main.py and the boot guard."""
    files = {f"/{name}": (FIRMWARE / name).read_bytes() for name in _ROOT_PROGRAMS}
    content = {f"instar/{name}": (LIB / "instar" / name).read_bytes() for name in sets.GUARD}
    return files | {f"/guard/{name}": data for name, data in compiled(content).items()}


def device_files(
    board: str,
    app: Path | None = None,
    parts: Collection[str] = (),
    base: str = DEFAULT_SET,
) -> dict[str, bytes]:
    """All of a board that was just deployed, by absolute path: root and first slot, no record."""
    files = slot_files(board, app, parts=parts, base=base)
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
