"""Runs the board's Murano client under MicroPython, one call at a time, for `instar murano`.

    desk = Desk(settings, files, "24:0a:c4:00:00:01", state=Path("lab"))
    for found in desk.run("read", aliases=["thermostat"]):     # as it comes
        ...

Credentials are where the board's own Store has put them: below the folder ``state``.
Limits: one writer at a time in that folder; the host's disk decides how durable its files are.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from .board_code import BOARD, NotChecked, write_rom
from .image_builder import read_tree
from .murano_trace import Trace, printable
from .paths import micropython

_HEAP = 16 << 20  # bytes; a board has less, but this is no test of that
_PER_BYTE = 24  # of heap, for a byte of options


class Refused(click.ClickException):
    """The server does not want it, or the board's client does not send it."""

    exit_code = 1

    def format_message(self) -> str:
        return f"refused: {self.message}"


class Silent(click.ClickException):
    """There was no answer, or none that Murano gives."""

    exit_code = 3

    def format_message(self) -> str:
        return f"no answer: {self.message}"


_ENDS = {
    "usage": click.UsageError,
    "refused": Refused,
    "silent": Silent,
    "broken": NotChecked,
}


@dataclass
class Desk:
    """settings: the board's. files: those that the settings name, by path. identity: the board's
    name at the product. trace: takes each line of what -v shows, or None."""

    settings: Mapping[str, object]
    files: Mapping[str, bytes]
    identity: str
    state: Path
    trace: Callable[[str], None] | None = None

    def run(self, command: str, **options: Any) -> Iterator[Any]:
        """What board/murano.py's ``command`` brings, one after the other, as it comes.

        Raises:
            click.UsageError, Refused, Silent: what it ended with.
            NotChecked: MicroPython does not start, or ends early.
        """
        self.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as scratch:
            if "file" in options:  # a name in UTF-8, whatever the file's is
                Path(scratch, "file").symlink_to(os.path.realpath(options["file"]))
                options["file"] = f"{scratch}/file"
            state = Path(scratch, "state")
            state.symlink_to(os.path.realpath(self.state))
            rom = write_rom(Path(scratch, "rom"), read_tree(BOARD / "tracing.py"))
            task = {
                "rom": str(rom),
                "files": {path: data.hex() for path, data in self.files.items()},
                "state": str(state),
                "settings": self.settings,
                "identity": self.identity,
                "verbose": self.trace is not None,
                "command": command,
                **options,
            }
            try:
                line = json.dumps(task, ensure_ascii=False).encode() + b"\n"
            except UnicodeEncodeError as error:
                raise click.UsageError(f"expected text in UTF-8: {error.reason}") from None
            yield from self._results(line)

    def _results(self, task: bytes) -> Iterator[Any]:
        secrets = [
            str(self.settings.get(name, "")) for name in ("murano_token", "murano_password")
        ]
        trace = Trace(secrets, self.trace or (lambda line: None))
        for line in _lines(task):
            if "trace" in line:
                trace.take(*line["trace"])
            elif "result" in line:
                yield line["result"]
            elif line["end"]:
                kind, text = line["end"]
                raise _ENDS[kind](printable(text))


def _lines(task: bytes) -> Iterator[dict]:
    """Each line of the program, until its end."""
    heap = _HEAP + _PER_BYTE * len(task)
    try:
        process = subprocess.Popen(
            [micropython(), "-X", f"heapsize={heap}", str(BOARD / "murano.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "MICROPYPATH": ".frozen"},
            umask=0o077,  # the records hold tokens
            start_new_session=True,  # Ctrl-C is for this program
        )
    except OSError as error:
        raise NotChecked(f"MicroPython does not start: {error}") from None
    assert process.stdin and process.stdout
    last = b"it said nothing"
    try:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(task)
            process.stdin.flush()  # it stays open: the program ends when it is closed
        # As bytes: text has ends of lines that JSON leaves as they are, like U+2028.
        for last in process.stdout:
            if last.startswith(b"{"):  # else it is "ready", or a traceback
                yield json.loads(last)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
    if not last.startswith(b'{"end"'):
        text = printable(last.decode(errors="replace").strip())
        raise NotChecked(f"MicroPython ended early: {text}")
