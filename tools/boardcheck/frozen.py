"""What a firmware for a board freezes: everything of instar, once, and nothing that a file of the
board's could hide."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from instar_tools.real_boards import RealBoard

from .manifest import BadManifest, Frozen

_PROGRAMS = ("boot.py", "main.py", "start.py", "board.py")
_APPLICATION = ("app", "payloads")


def problems(board: RealBoard, folder: Path) -> Iterator[str]:
    """What is wrong with its manifest, with the sample application and with one's own."""
    root = folder.resolve().parents[1]
    frozen, own = Frozen(), Frozen()
    try:
        frozen.run(folder / "manifest.py")
        own.run(folder / "manifest.py", app=str(root / "no such folder"))
    except BadManifest as error:
        yield f"manifest.py: {error}"
        return
    stock = [f"boards/{board.name}/manifest.py"]
    if board.port == "esp32":
        stock = ["boards/manifest.py"]  # what a generic module of it has
    if frozen.stock != stock:
        yield f"manifest.py: {stock} of the port expected, got {frozen.stock}"
    if "app.py" in own.files:
        yield "manifest.py: app=FOLDER: no sample application expected beside it"
    library = root / "lib"
    wanted = {path.relative_to(library).as_posix() for path in library.rglob("*.py")}
    for name in sorted({*wanted, *_PROGRAMS, "app.py"} - frozen.files.keys()):
        yield f"manifest.py: {name}: expected to be frozen, is not"
    if frozen.files.get("board.py", folder).parent != folder.resolve():
        yield "manifest.py: board.py: the board's own expected"
    reserved = _reserved(library / "instar" / "boot.py")
    for name in sorted({name.split("/")[0].removesuffix(".py") for name in frozen.files}):
        if name not in (*reserved, *_APPLICATION):
            yield f"manifest.py: {name}: a file could hide it; expected in RESERVED of boot.py"


def _reserved(path: Path) -> list[str]:
    text = re.search(r"(?s)^RESERVED = \((.*?)^\)", path.read_text(), re.MULTILINE)
    return " ".join(re.findall(r'"(.*?)"', text[1])).split() if text else []
