"""Counts what a simulated board's flash goes through, from the events of its operations.

    wear = Wear("board.flash")
    Simulator("board.flash", trace=True, on_event=wear.hear).run(until="success")
    wear.total("ota_1").most            # erases of the sector that had most of them
    wear.total("vfs").programs          # calls, as the file system makes them to the chip
    wear.table()                        # a rich Table, for `instar sim run --wear`

A place is a row of the partition table, or `vfs`, the file system. A phase is what the board was
at: `boot` from its start on, then the state of the update that it said last, `idle` from the end
of a poll on. The journal is saved before a state is said, so that this counts to the one before.
An operation lies in one sector. Limits: counting begins with what is in the flash file. What a
board says and what its chip does come on two pipes: on a busy computer an operation may count to
the phase beside its own. To its place it always does.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from rich.table import Table

from ..events import Event
from .board_kinds import RPI_PICO_W, kind_of
from .flash_builder import parse_table

SECTOR = 4096
BOOT = "boot"
_VFS = "vfs"
_FIRMWARE = "firmware"
_PICO_VFS = 848 << 10  # at the end of the chip: ports/rp2's RPI_PICO_W
_BLANK = 0xFF
# Events after which the next operation is that of another start.
_ENDS = ("reset", "soft_reset", "watchdog", "cut", "panic")


@dataclass
class Count:
    """erases: by sector's address. programs: number of calls; programmed: bytes of them. twice:
    bytes that were programmed while they had not been erased since they were programmed."""

    erases: Counter[int] = field(default_factory=Counter)
    programs: int = 0
    programmed: int = 0
    twice: int = 0

    @property
    def operations(self) -> int:
        return self.erases.total() + self.programs

    @property
    def most(self) -> int:
        """Erases of the sector that was erased most often."""
        return max(self.erases.values(), default=0)

    def __iadd__(self, other: Count) -> Count:
        self.erases += other.erases
        self.programs += other.programs
        self.programmed += other.programmed
        self.twice += other.twice
        return self


class Wear:
    """The operations on one flash file, by phase and place: counts[phase, place]."""

    def __init__(self, path: Path | str) -> None:
        flash = Path(path).read_bytes()
        self.places = _places(flash, kind_of(path) is RPI_PICO_W)
        self.phase = BOOT
        self.counts: dict[tuple[str, str], Count] = {}
        # One byte for each of the flash: whether it holds something.
        self._used = bytearray(flash).translate(bytes(n != _BLANK for n in range(256)))

    def hear(self, event: Event) -> None:
        """Take an event of the simulator or of the board."""
        name = event["event"]
        if name == "op":
            self._operation(event["kind"], event["address"], event["length"])
        elif name in _ENDS:
            self.phase = BOOT
        elif name == "state":
            self.phase = event["state"]
        elif name == "idle":
            self.phase = name

    def _operation(self, kind: str, address: int, length: int) -> None:
        count = self.counts.setdefault((self.phase, self.place(address)), Count())
        used = self._used
        if kind == "erase":
            count.erases[address] += 1
            used[address : address + length] = bytes(length)
        else:
            count.programs += 1
            count.programmed += length
            count.twice += used.count(1, address, address + length)
            used[address : address + length] = b"\1" * length

    def place(self, address: int) -> str:
        for label, begin, end in self.places:
            if begin <= address < end:
                return label
        return _FIRMWARE

    def total(self, place: str | None = None, phase: str | None = None) -> Count:
        """What happened at a place, in a phase; None: all of them."""
        total = Count()
        for (when, where), count in self.counts.items():
            if place in (None, where) and phase in (None, when):
                total += count
        return total

    def clear(self) -> None:
        """Count anew. What the flash holds by now is remembered, and what the board is at."""
        self.counts = {}

    def table(self) -> Table:
        """A row for each phase and place with operations, in the order of their first."""
        shown = Table("phase", "place", title="flash wear", title_justify="left")
        for column in ("sectors", "erases", "most of one", "programs", "bytes"):
            shown.add_column(column, justify="right")
        for (phase, place), one in self.counts.items():
            counts = (len(one.erases), one.erases.total(), one.most, one.programs, one.programmed)
            shown.add_row(phase, place, *map(str, counts))
        return shown


def _places(flash: bytes, pico: bool) -> list[tuple[str, int, int]]:
    """(label, first address, address behind it), for a table or for a Pico W, which has none."""
    if pico:
        return [(_VFS, len(flash) - _PICO_VFS, len(flash))]
    rows = [(row[4], row[2], row[2] + row[3]) for row in parse_table(flash)]
    end = max((row[2] for row in rows), default=0)
    if not any(label == _VFS for label, *_ in rows):
        rows.append((_VFS, end, len(flash)))  # as ports/esp32/main.c registers it
    return rows
