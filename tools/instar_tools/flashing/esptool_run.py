"""Espressif's esptool on a port: each of its commands as a line that can be shown or run.

    tool = Esptool("/dev/ttyUSB0", folder)
    chip = tool.identify()                       # Chip(name="esp32", mac=..., flash_mib=4)
    tool.run(tool.write([(0x1000, path)]))       # its progress bar is to be seen
    print(shlex.join(tool.write(...)))

    with tool.before_writing(): ...              # what fails in here leaves the chip running

A real chip gets esptool's stub, which is fast; a pty (a simulated board, or socat) is spoken to as
the chip's ROM alone can: it has no lines to reset a chip with, and a simulated chip runs no stub.
After every command but the last the chip stays in its loader: nothing that is half written runs.

Limits: what esptool says is read from its text, that of version 5.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from .partition_table import TABLE_ADDRESS, TABLE_SIZE

Part = tuple[int, Path]  # address, what is to be there

_BAUD = 460800  # what MicroPython's own instructions say
_ROM_BAUD = 115200
_READ = "found.bin"
_SHOWN = 6  # lines of what a failed esptool said
_FACTS = {
    "name": r"^Connected to (ESP\S+) on ",
    "description": r"^Chip type:\s+(.+)$",
    "mac": r"^MAC:\s+([0-9a-f:]{17})",
    "flash": r"^Auto-detected flash size:\s+(\w+)",
}
# What to try where it did not come through.
BETTER_CABLE = "a shorter cable, another port, or a lower --baud (115200, 57600)"


class EsptoolError(click.ClickException):
    """esptool failed: its own words, and what to try."""


class NoChip(EsptoolError):
    """It found no chip that answers."""


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
        self._starts = "hard-reset"
        if self._pty:  # only a ROM can be told to leave its loader
            self._starts = "soft-reset" if self.no_stub else "no-reset"

    def _line(self, *words: object, last: bool = False, slow: bool = False) -> list[str]:
        # Not relative: it runs in another folder.
        port = os.path.abspath(self.port) if os.path.exists(self.port) else self.port
        line = [sys.executable, "-m", "esptool", "--chip", self.chip, "--port", port]
        line += ["--baud", str(min(self._baud, _ROM_BAUD) if slow else self._baud)]
        line += ["--before", "no-reset"] if self._pty else []
        line += ["--after", self._starts if last else "no-reset"]
        line += ["--no-stub"] if self.no_stub else []
        return line + [str(word) for word in words]

    # The commands. slow: it moves little, on a cable that nobody knows yet.

    def look(self, address: int = TABLE_ADDRESS, size: int = TABLE_SIZE) -> list[str]:
        """Which chip is there, its MAC address, the size of its flash; its partition table, or
        what else lies at `address`, into a file."""
        where = (hex(address), hex(size), _READ)
        return self._line("read-flash", "--flash-size", "detect", *where, slow=True)

    def start(self) -> list[str]:
        """The chip leaves its loader and runs what is in its flash."""
        return self._line("read-mac", last=True, slow=True)

    def write(self, parts: Iterable[Part]) -> list[str]:
        """In this order, but for what is there already; esptool compares an MD5 of each before and
        after. So the partition table of a board that keeps its files is not touched."""
        # The ROM can inflate as well as the stub; esptool only does not think of it by itself.
        return self._line("write-flash", "--compress", "--skip-flashed", *_words(parts))

    def verify(self, parts: Iterable[Part]) -> list[str]:
        """Once more from flash; then the chip starts."""
        return self._line("verify-flash", *_words(parts), last=True)

    # Running them.

    @contextlib.contextmanager
    def before_writing(self) -> Iterator[None]:
        """While nothing is written yet: whatever fails in here, Ctrl-C too, the chip is not left
        in its loader but started again."""
        try:
            yield
        except NoChip:
            raise
        except BaseException:
            self._start_again()
            raise

    def _start_again(self) -> None:
        try:
            self.ask(self.start())
            what = "the board starts again as it was; if it does not"
        except EsptoolError:
            what = "the board still waits in its loader"
        click.echo(f"Nothing was written, {what}, press its RESET button.", err=True)

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
        table = (self.folder / _READ).read_bytes()
        return Chip(**facts, flash_mib=int(size.group(1)), table=table)

    def read(self, address: int, size: int) -> bytes:
        """What lies on the chip.

        Raises:
            EsptoolError: it could not be read.
        """
        self.ask(self.look(address, size))
        return (self.folder / _READ).read_bytes()

    def ask(self, line: Sequence[str]) -> str:
        """Run it unseen; what it said. For what writes nothing.

        Raises:
            EsptoolError: it failed.
        """
        done = subprocess.run(
            line, cwd=self.folder, capture_output=True, text=True, env=_plain(), check=False
        )
        if done.returncode:
            raise _failure(done.stdout + done.stderr)
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


def _failure(said: str) -> EsptoolError:
    if re.search(_FACTS["name"], said, re.MULTILINE):
        return EsptoolError(
            f"esptool found a chip, but could not read from it:\n{_last_lines(said)}\n"
            f"Take {BETTER_CABLE}, and run this again."
        )
    return NoChip(
        f"esptool found no chip that answers:\n{_last_lines(said)}\n"
        "Nothing was written. Hold the board's BOOT button down while you plug it in (or press"
        " its RESET button), then run this again."
    )


def _last_lines(said: str) -> str:
    lines = [line.rstrip() for line in said.splitlines() if line.strip()]
    return "\n".join(f"  {line}" for line in lines[-_SHOWN:]) or "  nothing"
