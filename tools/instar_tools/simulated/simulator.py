"""Runs a simulated board: gives it power again after a reset or a cut, and hears what it says.

    simulator = Simulator("board.flash", heap="80wk", on_event=print)
    outcome = simulator.run(until="success", seconds=60)

Each boot is one process that runs boards/UNIX; the flash file is all that survives it. This module
is the world around the board: power, the RTC's battery, the number of the next flash operation.
What a board does is not known here.

Events are dicts with an "event" key: the board's own (lines `@instar {json}` on its console), and
the simulator's, which have "from": "simulator": boot (slot if the board has firmware slots, cause,
boot), heap (size, tls, romfs, emulation: bytes), op (number, kind, address, length), pin (name,
value), reset, soft_reset, watchdog, bootloader, cut (op, how), panic, repl, stuck, dead, died
(each of these five with why).

Limits: POSIX. A board in its REPL with the watchdog running is reset at once, not only after the
timeout; without a watchdog it would sit there for ever, so the run ends.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click

from .. import image_builder
from ..events import Condition, Event, board_event, condition, event_of
from .board_kinds import kind_of
from .board_process import BoardProcess
from .flash_builder import parse_table

CAUSES = {1: "PWRON_RESET", 2: "HARD_RESET", 3: "WDT_RESET", 5: "SOFT_RESET"}
_POWER_ON = 1
# What leaves a board standing as it is, until its watchdog bites.
_STANDING = ("repl", "panic")

# Room for boards/UNIX itself in the interpreter's heap. What it does not use is taken by the board
# process before the program starts: the program has what --heap says, as on a board whose modules
# lie in flash.
EMULATION = 144 << 10

_EPOCH_2000_US = 946684800 * 1_000_000


@dataclass(frozen=True)
class Outcome:
    """How a run ended. met: its condition came true. reason: the condition's event; else deadline,
    boots, or what the board ended in for good: repl, bootloader, panic, stuck, dead, died."""

    met: bool
    reason: str


def heap_bytes(text: str) -> int:
    """`64wk` in bytes. MicroPython's -X heapsize: a `w` counts pointers where a board has 4 bytes.

    Raises:
        ValueError: not a number with an optional w and an optional k or m.
    """
    number = text.lower()
    scale = {"k": 1 << 10, "m": 1 << 20}.get(number[-1:], 1)
    number = number[:-1] if scale > 1 else number
    words = number.endswith("w")
    number = number.removesuffix("w")
    if not number.isdigit():
        raise ValueError(f"a heap like 64wk, 128k or 2M expected, got {text!r}")
    return int(number) * scale * (2 if words else 1)


def largest_romfs(flash: bytes) -> int:
    """Size of the largest ROMFS among the app partitions: what a boot may have to mount."""
    apps = [(row[2], row[2] + row[3]) for row in parse_table(flash) if row[0] == 0]
    return max((len(image_builder.find_romfs(flash[a:b])) for a, b in apps), default=0)


class Simulator:
    """One board with its flash file, which says what kind of board it is.

    heap: as MicroPython's -X heapsize, None: as the kind has; the ROMFS's size is added, and what
    the emulation takes. seed: of the board's randomness.
    rtc_us: microseconds since 2000-01-01 on the RTC at every power-on, "host": the host's time,
    None: as the kind has.
    on_event: called with each event; console: with each other line of the board's console (bytes).
    power_cut_at: (operation, "before" | "torn" | "ragged" | "after"); happens once. ops: number of
    the latest flash operation, the boot loader's included. trace: an op event for each of them.
    on_op: called with that event while the board waits: the flash is still as it was before it.
    It may be set between two runs.
    options: more of power_on.py's.
    """

    def __init__(
        self,
        flash: str | Path,
        *,
        heap: str | None = None,
        seed: int | None = None,
        rtc_us: int | str | None = None,
        on_event: Callable[[Event], None] = lambda event: None,
        console: Callable[[bytes], None] = lambda line: None,
        power_cut_at: tuple[int, str] | None = None,
        trace: bool = False,
        on_op: Callable[[Event], None] | None = None,
        options: dict[str, object] | None = None,
    ) -> None:
        self.flash = Path(flash).resolve()
        self.power_cut_at = power_cut_at
        self.ops = 0
        self.boots = 0
        self._asked_heap = heap
        self._seed = seed
        self._rtc_us = rtc_us
        self._on_event = on_event
        self._console = console
        self._trace = trace
        self.on_op = on_op
        self._options = options or {}

    def _switch_on(self) -> None:
        self._cause = _POWER_ON
        self._soft = False
        self._slot = ""
        self._watchdog_ms: int | None = None
        self._start_rtc()

    def _start_rtc(self) -> None:
        # RTC minus host clock: what a real RTC loses with the power.
        now = time.time_ns() // 1000 - _EPOCH_2000_US
        start = self._kind.rtc_us if self._rtc_us is None else self._rtc_us
        self._rtc_offset = 0 if isinstance(start, str) else start - now

    def run(
        self,
        until: str | Condition | None = None,
        seconds: float | None = None,
        boots: int | None = None,
    ) -> Outcome:
        """Boot after boot until the condition, the time, the number of boots, or a dead end.

        The board is switched off when this returns; another run() switches it on again.

        Raises:
            click.ClickException: the flash file is no board's, or the heap too small for one.
        """
        self._take_board()
        met = condition(until)
        deadline = time.monotonic() + seconds if seconds is not None else float("inf")
        last_boot = self.boots + boots if boots is not None else None
        self._switch_on()
        while self.boots != last_boot:
            end, event = self._boot(deadline, met)
            if event:
                return Outcome(True, event["event"])
            if not self._goes_on(end):
                return Outcome(False, end)
        return Outcome(False, "boots")

    def _take_board(self) -> None:
        self._kind = kind_of(self.flash)
        self._heap = heap_bytes(self._asked_heap or self._kind.heap)
        if self._heap <= self._kind.tls:
            raise click.ClickException(
                f"heap: more than the {self._kind.tls} bytes that TLS takes expected,"
                f" got {self._heap}"
            )

    def _goes_on(self, end: str) -> bool:
        # Whether another boot follows that end; if so, what it finds.
        if end not in self._kind.causes and end in _STANDING and self._watchdog_ms:
            end = "watchdog"
        if end not in self._kind.causes:
            return False
        self._after(end)
        return True

    def _after(self, end: str) -> None:
        self._soft = end == "soft_reset"
        if end == "cut":
            self._switch_on()
        elif not self._soft:
            self._watchdog_ms = None
            if not self._kind.keeps_rtc:
                self._start_rtc()
        cause = self._kind.causes[end]
        self._cause = self._cause if cause is None else cause

    def _boot(self, deadline: float, met: Condition) -> tuple[str, Event | None]:
        # (how the boot ended, the event that met the condition)
        self.boots += 1
        romfs = largest_romfs(self.flash.read_bytes())
        process = self._start(
            self.flash,
            heap=self._heap + romfs + EMULATION,
            options=self._boot_options(romfs),
            watchdog_ms=self._watchdog_ms,
            **({"paced": True} if self.on_op else {}),
        )
        for source, line in process.lines(deadline):
            event = self._hear(source, line, romfs)
            if event and self._tell(event, met):
                return "", event
        self._watchdog_ms = process.watchdog_ms
        event = self._end_event(process.end)
        return event["event"], event if self._tell(event, met) else None

    def _start(self, *args, **options) -> BoardProcess:
        return BoardProcess(*args, **options)

    def _boot_options(self, romfs: int) -> dict[str, object]:
        options: dict[str, object] = {
            "cause": self._cause,
            "ops": self.ops,
            "heap": self._heap - self._kind.tls,
            "rom": romfs,
            "boot": self.boots,
            "rtc": self._rtc_offset,
            **self._options,
        }
        if self._seed is not None:
            options["seed"] = self._seed
        if self.power_cut_at:
            options["cut"] = "{}:{}".format(*self.power_cut_at)
        if self._trace or self.on_op:
            options["trace"] = 1
        if self._soft:
            options["soft"] = self._slot
        return options

    def _tell(self, event: Event, met: Condition) -> bool:
        self._on_event(event)
        return met(event)

    # What the board says.

    def _hear(self, source: str, line: bytes, romfs: int) -> Event | None:
        if source == "control":
            word, *values = line.decode().split()
            return self._control(word, values, romfs)
        event = board_event(line)
        if not event:
            self._console(line)
        return event

    def _control(self, word: str, values: list[str], romfs: int) -> Event | None:
        if word == "op":
            self.ops += 1
            if values:
                return self._operation(values[0], int(values[1]), int(values[2]))
        elif word == "rtc":
            self._rtc_offset = int(values[0])
        elif word == "boot":
            self._slot = values[0] if values else ""
            where = {"slot": self._slot} if values else {}
            return event_of("boot", **where, cause=CAUSES[self._cause], boot=self.boots)
        elif word == "pin":
            return event_of("pin", name=values[0], value=int(values[1]))
        elif word == "repl":  # where that is not the end: see plugged.py
            return event_of("repl", why=" ".join(values))
        elif word == "heap":
            held = self._kind.tls
            return event_of(
                "heap", size=self._heap, tls=held, romfs=romfs, emulation=int(values[0])
            )
        return None

    def _operation(self, kind: str, address: int, length: int) -> Event | None:
        event = event_of("op", number=self.ops, kind=kind, address=address, length=length)
        if self.on_op:
            self.on_op(event)
        return event if self._trace else None

    def _end_event(self, end: str) -> Event:
        word, _, why = end.partition(" ")
        if word != "cut":
            return event_of(word, **({"why": why} if why else {}))
        self.power_cut_at = None
        number, how = why.split()
        return event_of("cut", op=int(number), how=how)
