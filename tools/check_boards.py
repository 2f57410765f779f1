"""Reads every file of boards/ as MicroPython's build would, and says what is wrong with them:
`make lint` calls this.

Neither ESP-IDF nor the Pico's SDK is needed: partition tables, manifests, CMake files, sdkconfig,
headers, board.json and board.py are held against each other and against what MicroPython knows.
Limits: that a firmware compiles is not shown by this.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import sys
from pathlib import Path

from boardcheck import build, frozen, module, tables

from instar_tools.paths import ROOT
from instar_tools.real_boards import BOARDS

_CHECKS = (tables, build, frozen, module)
_NO_BOARD = "UNIX"  # the emulation


def check(root: Path) -> list[str]:
    """What is wrong with the boards of the checkout `root`, a line each."""
    folders = {path.name for path in (root / "boards").iterdir() if path.is_dir()}
    found = [f"boards/{name}: expected, found none" for name in sorted(BOARDS.keys() - folders)]
    for name in sorted(folders - BOARDS.keys() - {_NO_BOARD}):
        found.append(f"boards/{name}: a board of real_boards.py expected")
    for name in sorted(BOARDS.keys() & folders):
        for part in _CHECKS:
            folder = root / "boards" / name
            found += [f"boards/{name}: {text}" for text in part.problems(BOARDS[name], folder)]
    return found


def main() -> int:
    found = check(ROOT)
    print("\n".join(found) or f"boards: {len(BOARDS)} boards can be built, as far as files tell")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
