"""Runs the board's own code on the host, under MicroPython: the programs in ``board/``.

    with tempfile.TemporaryDirectory() as scratch:
        rom = write_rom(Path(scratch, "rom"))
        lines = run("provision.py", {"rom": str(rom), ...}, heap=4 << 20)

Limits: no board is there, only its code: no radio, no slots.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import click

from .image_builder import build_romfs, compiled, read_tree
from .paths import LIB, micropython

BOARD = Path(__file__).parent / "board"
OWN = 96 << 10  # bytes of the interpreter's heap for a program itself, where the heap is a board's
SECONDS = 600
_READY = "ready"  # board/desk.py's first line: from here on it is the board that fails


class NotChecked(click.ClickException):
    """There is no verdict, because the check could not be made."""

    exit_code = 3

    def __init__(self, message: str) -> None:
        super().__init__(f"the check could not be made: {message}")


def write_rom(path: Path, more: Mapping[str, bytes] | None = None) -> Path:
    """A ROMFS with instar, as bytecode, and with ``more`` modules beside it."""
    code = read_tree(LIB / "instar") | dict(more or {})
    path.write_bytes(build_romfs(compiled(code)))
    return path


def run(program: str, options: dict, *, heap: int, seconds: float = SECONDS) -> list[str]:
    """The lines that a program in board/ prints. heap: of the interpreter, in bytes.

    Raises:
        NotChecked: MicroPython does not start, ends early, or takes longer than ``seconds``.
    """
    try:
        done = subprocess.run(
            [micropython(), "-X", f"heapsize={heap}", str(BOARD / program)],
            input=json.dumps(options).encode(),
            capture_output=True,
            env={**os.environ, "MICROPYPATH": ".frozen"},
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise NotChecked(f"MicroPython did not come to an end within {seconds} s") from None
    except OSError as error:
        raise NotChecked(f"MicroPython does not start: {error}") from None
    # As bytes: text has ends of lines that JSON leaves as they are, like U+2028.
    lines = [line.decode(errors="replace") for line in done.stdout.splitlines()]
    if done.returncode or lines[:1] != [_READY]:
        said = done.stderr.decode(errors="replace").splitlines() or ["it said nothing"]
        raise NotChecked(f"MicroPython ended with {done.returncode}: {said[-1]}")
    return lines[1:]


def answers(lines: list[str]) -> list[dict]:
    """The lines as JSON; at least one.

    Raises:
        NotChecked: there is none, or one is no JSON.
    """
    try:
        found = [json.loads(line) for line in lines]
    except ValueError as error:
        raise NotChecked(f"MicroPython answered what is no JSON: {error}") from None
    if not found:
        raise NotChecked("MicroPython answered nothing")
    return found
