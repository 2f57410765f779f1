"""One boot of a simulated board with a serial port: its REPL comes after its program.

    process = ReplProcess(send, flash, heap=.., options={"port": 1, ..})
    process.type(b"print(1)\\r")        # from any thread
    for source, line in process.lines(deadline): ...

MicroPython's own REPL runs on a pair of pipes. Ctrl-C (0x03) is what it is on a board's serial
port: an interrupt while a program runs that has not switched that off, else a byte as any other.
Which of the two is told by the process itself: it has a handler for SIGINT, or it has not.

Limits: Linux (/proc). A program that never waits is interrupted after 0.1 s; one that does nothing
but write files after 3 s, and may hang then: RESET helps.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from .board_process import BoardProcess
from .console_text import ConsoleText
from .safe_point import SafePoints

_CTRL_C = b"\x03"
_CTRL_A = b"\x01"
_SIGINT = 1 << (signal.SIGINT - 1)
_STEP_S = 0.0005
_WAITS_S = 0.1  # after it a program is looked at as one that never waits
_PATIENCE_S = 3.0


class ReplProcess(BoardProcess):
    """send: gets what the board sends over its port. raw: the REPL begins in raw mode."""

    ARGUMENTS = ("-i",)
    STDIN = subprocess.PIPE

    def __init__(self, send: Callable[[bytes], None], flash: Path, *, options, **more) -> None:
        self._send = send
        self._lock = threading.Lock()
        self._started = False
        self._held = b""
        raw = "raw" in options
        self.text = ConsoleText(raw)
        super().__init__(flash, options=options, **more)
        assert self._process.stdin
        self._stdin = self._process.stdin
        self._points = SafePoints(self._process.pid)
        os.set_blocking(self._stdin.fileno(), False)
        if raw:
            self._put(_CTRL_A)

    def type(self, data: bytes) -> None:
        """Give the board what came over its port. Before its program starts it is kept."""
        with self._lock:
            if self._started:
                self._deliver(data)
            else:
                self._held += data

    def switch_off(self, why: str) -> None:
        """End the process at once; `end` becomes why."""
        self.end = why
        self._process.kill()

    def lines(self, deadline: float) -> Iterator[tuple[str, bytes]]:
        """As in BoardProcess; a `repl` is not the end here."""
        try:
            yield from super().lines(deadline)
        finally:
            with self._lock:
                self._started = False
                self._stdin.close()

    def _is_last(self, line: bytes) -> bool:
        if line == b"running":
            with self._lock:
                self._started = True
                self._deliver(self._held)
        return super()._is_last(line) and not line.startswith(b"repl")

    def _printed(self, data: bytes) -> bytes:
        text, sent = self.text.feed(data)
        self._send(sent)
        return text

    def _deliver(self, data: bytes) -> None:
        for number, part in enumerate(data.split(_CTRL_C)):
            if number:
                self._press_ctrl_c()
            self._put(part)

    def _put(self, data: bytes) -> None:
        # What does not fit is lost, as in a UART. Nobody reads it any more when the boot is over.
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            while data:
                data = data[os.write(self._stdin.fileno(), data) :]

    def _press_ctrl_c(self) -> None:
        start = time.monotonic()
        while not self._pressed(time.monotonic() - start):
            time.sleep(_STEP_S)

    def _pressed(self, tried_s: float) -> bool:
        # False: not at a safe point, to be tried again.
        self._process.send_signal(signal.SIGSTOP)
        try:
            if not _stopped(self._process.pid):
                return True
            if not _handles_sigint(self._process.pid):
                if not self._points.waiting() and tried_s < 2 * _PATIENCE_S:
                    return False  # it writes to its flash
                self._put(_CTRL_C)
            elif self._points.waiting() or self._is_busy(tried_s):
                self._process.send_signal(signal.SIGINT)
            else:
                return False
            return True
        except (FileNotFoundError, ProcessLookupError):  # it was switched off
            return True
        finally:
            self._process.send_signal(signal.SIGCONT)

    def _is_busy(self, tried_s: float) -> bool:
        # A program that never waits.
        busy = tried_s > _WAITS_S and self._points.in_bytecode()
        return busy or tried_s > _PATIENCE_S


def _stopped(pid: int) -> bool:
    """Wait until the process stands still: what it does then cannot change. False: it is gone."""
    deadline = time.monotonic() + _PATIENCE_S
    while (state := _status(pid, "State")[:1]) not in ("", "Z", "X", "T"):
        if time.monotonic() > deadline:
            raise TimeoutError(f"process {pid}: a stop expected, but its state is {state}")
    return state == "T"


def _handles_sigint(pid: int) -> bool:
    return bool(int(_status(pid, "SigCgt") or "0", 16) & _SIGINT)


def _status(pid: int, field: str) -> str:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            name, _, value = line.partition(":")
            if name == field:
                return value.strip()
    return ""
