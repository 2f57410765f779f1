"""Listens on a board's serial port, without disturbing the board; through resets and unplugging.

    for line in Lines("auto", told=print).until(deadline):
        ...                                      # bytes, without its end

Opening the port leaves DTR and RTS as mpremote has them, which no auto-reset circuit takes for a
reset. Nothing is written, unless a reset was asked for.

A board that comes back under another name is followed there, as far as the system knows it again
(ports.py).

Limits: what a board says while nobody listens is lost: between two plugs, and before the start.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

from .ports import VANISHED, Place, PortError
from .serial_line import Line, open_line

_PAUSE = 0.1  # seconds between two looks whether the port is back
_SLICE = 0.2  # seconds that one read waits
_MOST = 65536  # bytes of a line: more is no text
_PROMPT = b">>> "
_PROMPT_SECONDS = 5.0
# Friendly REPL, whatever there was: the first Ctrl-C interrupts, Ctrl-B leaves the raw REPL.
_TO_THE_PROMPT = b"\r\x03\x03\x02"
_RESET = b"import machine; machine.reset()\r"


class Lines:
    """port: its name, or auto. told: hears, in a sentence, what becomes of the port. reset:
    restart the board once it is heard."""

    def __init__(self, port: str, told: Callable[[str], None], reset: bool = False) -> None:
        self._port = port
        self._told = told
        self._reset = reset
        self._rest = b""

    def until(self, deadline: float) -> Iterator[bytes]:
        """Each line, until `deadline` on time.monotonic().

        Raises:
            PortError: at the start, the port does not come or cannot be opened, or the board does
                not restart; what goes later is waited for.
        """
        place = Place(self._port, self._told)
        first = True
        while time.monotonic() < deadline:
            with contextlib.ExitStack() as stack:
                try:
                    line = stack.enter_context(open_line(place.find()))
                except PortError:
                    if first:
                        raise
                    time.sleep(_PAUSE)
                    continue
                if not first:
                    self._told(f"{place.name} is back")
                first = False
                try:
                    yield from self._listen(line, deadline)
                except VANISHED:
                    self._told(f"{place.name} is gone; waiting for it")
                    self._rest = b""

    def _listen(self, line: Line, deadline: float) -> Iterator[bytes]:
        port = line.serial
        port.timeout = _SLICE
        if self._reset:
            self._reset = False
            _restart(line)
        while time.monotonic() < deadline:
            data = port.read(max(1, port.in_waiting))
            *whole, self._rest = (self._rest + data).split(b"\n")
            yield from (text.rstrip(b"\r") for text in whole)
            if len(self._rest) > _MOST:
                yield self._rest
                self._rest = b""


def _restart(line: Line) -> None:
    """Stop the board's program and restart the chip.

    Raises:
        PortError: no prompt came.
    """
    port = line.serial
    heard = b""
    end = time.monotonic() + _PROMPT_SECONDS
    line.send(_TO_THE_PROMPT)
    while not heard.endswith(_PROMPT):
        if time.monotonic() > end:
            raise PortError(
                f"{port.name}: expected MicroPython's prompt, got {heard[-80:]!r}; press the"
                " board's RESET button instead"
            )
        heard += port.read(max(1, port.in_waiting))
    line.send(_RESET)
