"""Listens on a board's serial port, without disturbing the board; through resets and unplugging.

    for line in Lines("/dev/ttyUSB0", told=print).until(deadline):
        ...                                      # bytes, without its end

Opening the port leaves DTR and RTS as mpremote has them, which no auto-reset circuit takes for a
reset. Nothing is written, unless a reset was asked for.

Limits: what a board says while nobody listens is lost: between two plugs, and before the start.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

import serial

from .serial_line import Line, PortError, open_line

_PAUSE = 0.1  # seconds between two looks whether the port is back
_SLICE = 0.2  # seconds that one read waits
_MOST = 65536  # bytes of a line: more is no text
_PROMPT = b">>> "
_PROMPT_SECONDS = 5.0
# Friendly REPL, whatever there was: the first Ctrl-C interrupts, Ctrl-B leaves the raw REPL.
_TO_THE_PROMPT = b"\r\x03\x03\x02"
_RESET = b"import machine; machine.reset()\r"


class Lines:
    """port: its name. told: hears, in a sentence, what becomes of the port. reset: restart the
    board once it is heard."""

    def __init__(self, port: str, told: Callable[[str], None], reset: bool = False) -> None:
        self._port = port
        self._told = told
        self._reset = reset
        self._rest = b""

    def until(self, deadline: float) -> Iterator[bytes]:
        """Each line, until `deadline` on time.monotonic().

        Raises:
            PortError: at the start, the port cannot be opened; later that is waited for.
        """
        first = True
        while time.monotonic() < deadline:
            try:
                with open_line(self._port) as line:
                    if not first:
                        self._told(f"{self._port} is back")
                    first = False
                    yield from self._listen(line, deadline)
            except PortError:
                if first:
                    raise
                time.sleep(_PAUSE)
            except (OSError, serial.SerialException):
                self._told(f"{self._port} is gone; waiting for it")
                self._rest = b""

    def _listen(self, line: Line, deadline: float) -> Iterator[bytes]:
        port = line.serial
        port.timeout = _SLICE
        if self._reset:
            self._reset = False
            _restart(port)
        while time.monotonic() < deadline:
            data = port.read(max(1, port.in_waiting))
            *whole, self._rest = (self._rest + data).split(b"\n")
            yield from (text.rstrip(b"\r") for text in whole)
            if len(self._rest) > _MOST:
                yield self._rest
                self._rest = b""


def _restart(port: serial.Serial) -> None:
    """Stop the board's program and restart the chip.

    Raises:
        PortError: no prompt came.
    """
    heard = b""
    end = time.monotonic() + _PROMPT_SECONDS
    port.write(_TO_THE_PROMPT)
    while not heard.endswith(_PROMPT):
        if time.monotonic() > end:
            raise PortError(
                f"{port.name}: expected MicroPython's prompt, got {heard[-80:]!r}; press the"
                " board's RESET button instead"
            )
        heard += port.read(max(1, port.in_waiting))
    port.write(_RESET)
