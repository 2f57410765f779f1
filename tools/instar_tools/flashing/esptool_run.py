"""Espressif's esptool on a port: each of its commands as a line that can be shown or run.

    tool = Esptool("/dev/ttyUSB0", folder)
    chip = tool.identify()                       # Chip(name="esp32", mac=..., flash_mib=4)
    tool.run(tool.write([(0x1000, path)]))       # its progress bar is to be seen
    print(shlex.join(tool.write(...)))

A real chip gets esptool's stub, which is fast; a pty (a simulated board, or socat) is spoken to as
the chip's ROM alone can: it has no lines to reset a chip with, and a simulated chip runs no stub.
After every command but the last the chip stays in its loader: nothing that is half written runs.

Limits: what esptool says is read from its text, that of version 5.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from .partition_table import TABLE_ADDRESS, TABLE_SIZE

Part = tuple[int, Path]  # address, what is to be there

_BAUD = 460800  # what MicroPython's own instructions say
_ROM_BAUD = 115200
_TABLE = "old-table.bin"
_SHOWN = 6  # lines of what a failed esptool said
_FACTS = {
    "name": r"^Connected to (ESP\S+) on ",
    "description": r"^Chip type:\s+(.+)$",
    "mac": r"^MAC:\s+([0-9a-f:]{17})",
    "flash": r"^Auto-detected flash size:\s+(\w+)",
}


class EsptoolError(click.ClickException):
    """esptool failed: its own words, and what to try."""


@dataclass(frozen=True)
class Chip:
    """What esptool found. name: as its --chip; description: with the revision; table: what lies
    where its partition table would be."""

    name: str
    description: str
    mac: str
    flash_mib: int
    table: bytes


class Esptool:
    """esptool's command lines for one port.

    folder: of the files, which are named without it. no_stub: None: where the port is a pty.
    baud: None: as the chip can. chip: its --chip, until a chip is identified.
    """

    def __init__(
        self,
        port: str,
        folder: Path,
        *,
        no_stub: bool | None = None,
        baud: int | None = None,
    ) -> None:
        self.port = port
        self.folder = folder
        self.chip = "auto"
        self._pty = os.path.realpath(port).startswith("/dev/pts/")
        self.no_stub = self._pty if no_stub is None else no_stub
        self._baud = baud or (_ROM_BAUD if self.no_stub else _BAUD)

    def _line(self, *words: object, last: bool = False) -> list[str]:
        # Not relative: it runs in another folder.
        port = os.path.abspath(self.port) if os.path.exists(self.port) else self.port
        line = [sys.executable, "-m", "esptool", "--chip", self.chip, "--port", port]
        line += ["--baud", str(self._baud)]
        line += ["--before", "no-reset"] if self._pty else []
        line += ["--after", "hard-reset" if last and not self._pty else "no-reset"]
        line += ["--no-stub"] if self.no_stub else []
        return line + [str(word) for word in words]

    # The commands.

    def look(self) -> list[str]:
        """Which chip is there, its MAC address, the size of its flash; its partition table, into
        a file."""
        where = (hex(TABLE_ADDRESS), hex(TABLE_SIZE))
        return self._line("read-flash", "--flash-size", "detect", *where, _TABLE)

    def write(self, parts: Iterable[Part]) -> list[str]:
        """In this order; esptool compares an MD5 of each when it is written."""
        # The ROM can inflate as well as the stub; esptool only does not think of it by itself.
        return self._line("write-flash", "--compress", *_words(parts))

    def verify(self, parts: Iterable[Part]) -> list[str]:
        """Once more from flash; then the chip starts."""
        return self._line("verify-flash", *_words(parts), last=True)

    # Running them.

    def identify(self) -> Chip:
        """Ask the chip; from here on only such a chip is spoken to.

        Raises:
            EsptoolError: no chip answers, or it does not say enough.
        """
        said = self.ask(self.look())
        found = {name: re.search(rule, said, re.MULTILINE) for name, rule in _FACTS.items()}
        facts = {name: match.group(1).strip() if match else "" for name, match in found.items()}
        size = re.fullmatch(r"(\d+)MB", facts.pop("flash"))
        if not size or not all(facts.values()):
            raise EsptoolError(
                f"expected esptool to name the chip, its MAC address and its flash of some MB,"
                f" it said:\n{_last_lines(said)}"
            )
        facts["name"] = self.chip = facts["name"].lower().replace("-", "")
        table = (self.folder / _TABLE).read_bytes()
        return Chip(**facts, flash_mib=int(size.group(1)), table=table)

    def ask(self, line: Sequence[str]) -> str:
        """Run it unseen; what it said.

        Raises:
            EsptoolError: it failed.
        """
        done = subprocess.run(
            line, cwd=self.folder, capture_output=True, text=True, env=_plain(), check=False
        )
        if done.returncode:
            raise _no_answer(done.stdout + done.stderr)
        return done.stdout

    def run(self, line: Sequence[str]) -> bool:
        """Run it with its words and its progress bar on our own output; whether it worked.
        Ctrl-C ends it: then it has not."""
        sys.stdout.flush()
        try:
            return subprocess.run(line, cwd=self.folder, check=False).returncode == 0
        except KeyboardInterrupt:
            return False


def _words(parts: Iterable[Part]) -> list[object]:
    return [word for address, path in parts for word in (hex(address), path.name)]


def _plain() -> dict[str, str]:
    # Its words are to be read: no colours, no line breaks of a narrow terminal.
    return {**os.environ, "NO_COLOR": "1", "COLUMNS": "200", "TERM": "dumb"}


def _no_answer(said: str) -> EsptoolError:
    return EsptoolError(
        f"esptool found no chip that answers:\n{_last_lines(said)}\n"
        "Nothing was written. Hold the board's BOOT button down while you plug it in (or press"
        " its RESET button), then run this again."
    )


def _last_lines(said: str) -> str:
    lines = [line.rstrip() for line in said.splitlines() if line.strip()]
    return "\n".join(f"  {line}" for line in lines[-_SHOWN:]) or "  nothing"
