"""A simulated board that has power until it is told otherwise, and a serial line (see plugged.py).

    board = LiveBoard("board.flash", on_event=print)
    board.take()
    board.plug_in(link=None)
    threading.Thread(target=board.live).start()
    board.ask("button")                  # or loader, off; from any thread

Two threads: the board's own, in live(), and the line's. What the line brings goes to the board's
process or to the loader in its ROM; a process that is to end is killed, and the board's thread
finds the reason in what was asked. A board without a USB bridge takes its port with it when its
chip restarts.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import threading
import time
from pathlib import Path

from ..events import event_of
from .pty_line import PtyLine
from .repl_process import ReplProcess
from .rom_loader import SYNC, RomLoader
from .simulator import Simulator

_ABSENT_S = 0.2  # without a port: one to two seconds on real ones
_UART = 256  # bytes that wait for a program that starts
_SOFT_REBOOT = b"MPY: soft reboot\r\n"
# What an ESP32's ROM says at a start.
_ROM = b"ets Jul 29 2019 12:21:46\r\n\r\nrst:%s,boot:%s\r\n"
_POWERED, _SOFTWARE = b"0x1 (POWERON_RESET)", b"0xc (SW_CPU_RESET)"
_FROM_FLASH = b"0x13 (SPI_FAST_FLASH_BOOT)"
_FROM_LINE = b"0x3 (DOWNLOAD_BOOT(UART0/UART1/SDIO_REI_REO_V2))\r\nwaiting for download"


class LiveBoard(Simulator):
    """Arguments: the Simulator's, and boots_at_close (see plugged.py). line: what it is plugged
    into; see plug_in()."""

    line: PtyLine

    def __init__(self, *args, boots_at_close: bool = True, **options) -> None:
        super().__init__(*args, **options)
        self._boots_at_close = boots_at_close
        self._changed = threading.Condition()
        self._asked = ""
        self._process: ReplProcess | None = None
        self._loader: RomLoader | None = None
        self._spoken_to = False
        self._tail = b""
        self._early = b""
        self._raw = False

    def take(self) -> None:
        """Look at the flash file.

        Raises:
            click.ClickException: it is no board's, or the heap is too small for one.
        """
        self._take_board()

    def plug_in(self, link: Path | None) -> None:
        """Give it a port, and a symbolic link to that. Before live().

        Raises:
            click.ClickException: there is something at `link` that is no symbolic link.
        """
        self._link = link
        self.line = PtyLine(self.receive, self.line_closed, link)

    @property
    def own_usb(self) -> bool:
        """The port is the chip's own, and not that of a bridge beside it."""
        return not self._kind.firmware_slots

    def ask(self, what: str) -> None:
        """button: RESET; loader: RESET with BOOT held; boot: out of the loader; off: the end."""
        with self._changed:
            if self._asked != "off":
                self._asked = what
            self._early = b""
            if self._process:
                self._process.switch_off(what)
            self._changed.notify_all()

    # The board's thread.

    def live(self) -> None:
        """Boot after boot, until `off`."""
        asked = "boot"
        while asked != "off":
            if asked == "loader":
                asked = self._load()
                continue
            if asked:
                self._switch_on()
            end = self._boot_once()
            asked = self._next(end, wait=not self._goes_on(end))

    def _boot_once(self) -> str:
        if self._soft:
            self.line.send(_SOFT_REBOOT)
        elif self._kind.firmware_slots:
            reset = _POWERED if self._cause == 1 else _SOFTWARE
            self.line.send(_ROM % (reset, _FROM_FLASH))
        elif self.boots:
            self._replug()
        end, _ = self._boot(float("inf"), lambda event: False)
        with self._changed:
            assert self._process
            self._raw = self._process.text.in_raw
            self._process = None
        return end

    def _replug(self) -> None:
        # The USB of a chip that restarts goes, and comes as another.
        self.line.close()
        time.sleep(_ABSENT_S)
        self.plug_in(self._link)

    def _next(self, end: str, wait: bool) -> str:
        # What was asked, "" if nothing; wait: until something is.
        if end == "bootloader" and self._kind.firmware_slots:
            return "loader"
        with self._changed:
            if wait:
                self._changed.wait_for(lambda: self._asked)
            asked = self._asked
            if asked != "off":
                self._asked = ""
            self._loader, self._spoken_to = None, False
        if asked not in ("", "boot", end):
            self._on_event(event_of(asked))
        return asked

    def _load(self) -> str:
        # A Pico W is a USB drive then: its serial port is silent.
        if self._kind.firmware_slots:
            self.line.send(_ROM % (_POWERED, _FROM_LINE))
            with self._changed:
                self._loader = RomLoader(self.flash, self._kind)
                self._changed.notify_all()
        return self._next("", wait=True)

    def _start(self, *args, **options) -> ReplProcess:
        with self._changed:
            self._process = ReplProcess(self.line.send, *args, **options)
            if self._asked:
                self._process.switch_off(self._asked)
            self._process.type(self._early)
            self._early = b""
            return self._process

    def _boot_options(self, romfs: int) -> dict[str, object]:
        options = super()._boot_options(romfs) | {"port": 1}
        return options | {"raw": 1} if self._soft and self._raw else options

    # The line's thread.

    def receive(self, data: bytes) -> None:
        """What came over the line: to the loader, or to the board's program."""
        if not self._loader and (frame := self._sync_in(data)):
            self._enter_loader()
            data = frame
        with self._changed:
            loader, process = self._loader, None if self._asked else self._process
            self._spoken_to = bool(loader)
            if not loader and not process:  # between two boots
                self._early = (self._early + data)[:_UART]
        if loader:
            self.line.send(loader.receive(data))
            if loader.finished:
                self._spoken_to = False
                self.ask("boot")
        elif process:
            process.type(data)

    def _sync_in(self, data: bytes) -> bytes:
        seen = self._tail + data
        self._tail = seen[1 - len(SYNC) :]
        at = seen.find(SYNC) if self._kind.firmware_slots else -1
        return seen[at:] if at >= 0 else b""

    def _enter_loader(self) -> None:
        self.ask("loader")
        with self._changed:
            self._changed.wait_for(lambda: self._loader or self._asked == "off")

    def line_closed(self) -> None:
        """The last user of the line is gone: what stands for his last pull at RTS."""
        if self._spoken_to and self._boots_at_close:
            self.ask("boot")
