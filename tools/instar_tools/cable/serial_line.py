"""mpremote's transport on a serial port to a board, made to end whatever the board does.

    with open_line("/dev/ttyUSB0") as line:     # a Line: mpremote's SerialTransport
        line.enter()                            # into the raw REPL, whatever the board is doing
    with open_repl("auto") as line:             # both, and through restarts of the board
        line.exec("1 + 1")

Every error is one of those below or in ports.py: what was expected, what came, and the next step.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import contextlib
import io
import time
from collections.abc import Callable, Iterator

import click
import serial
from mpremote.transport import TransportError
from mpremote.transport_serial import SerialTransport

from .ports import AUTO, VANISHED, NoPort, Place, PortError, resolve, why_closed

__all__ = ["AUTO", "BoardGone", "Line", "PortError", "open_line", "open_repl", "resolve"]

_PATIENCE = 3.0  # seconds that one read waits: a board collects garbage, or writes to its flash
_TAKES = 5.0  # seconds for one write: a board that runs takes what is sent within milliseconds
_PAUSES = (0.05, 0.15, 0.3, 0.5, 0)  # seconds: a port that just came, or was closed, may be busy
_RESTARTS = 5  # of the board while it is entered
_TRIES = 32
_TRY_SECONDS = 0.5  # for the prompt: what comes while a board starts is lost
_RESET_SECONDS = 10.0  # for a soft reset, in which boot.py runs
_INTERRUPTS = 4  # tries to end what was not finished
_AFTER_SECONDS = 2.0  # what a board says as it starts has come by then
_QUIET_SECONDS = 0.3
_PROMPT = b"raw REPL; CTRL-B to exit\r\n"
# What a board says of itself when it starts, and nobody else: boot loaders, REPL, agent.
_STARTS = (b"rst:0x", b"ESP-ROM:", b'Type "help()" for more', b"@instar {")
_SHOWN = 200  # bytes of what came instead


class BoardGone(click.ClickException):
    """The board restarted, was unplugged, or fell silent in the middle of the work."""

    def __init__(self, why: str) -> None:
        super().__init__(f"{why}; see that it is plugged in, then run this again")


@contextlib.contextmanager
def open_line(port: str) -> Iterator[Line]:
    """The port, for nobody else while this lasts.

    Raises:
        PortError: it is busy or not permitted, or cannot be opened.
    """
    line = _opened(port)
    try:
        yield line
    finally:
        _close(line)


def _opened(port: str) -> Line:
    for pause in _PAUSES:
        with contextlib.suppress(TransportError, ValueError, *VANISHED):
            return Line(port, timeout=_TRY_SECONDS)  # pyright: ignore[reportArgumentType]
        time.sleep(pause)
    raise why_closed(port)


@contextlib.contextmanager
def open_repl(
    port: str, on_port: Callable[[str], None], told: Callable[[str], None]
) -> Iterator[Line]:
    """The port with its board in the raw REPL; a port that is missing is waited for.

    A board whose program fails restarts every few seconds, and one with USB of its own takes its
    port with it: it is entered as soon as the port is back. on_port, told: as connect()'s.

    Raises:
        PortError: as open_line(), and no MicroPython answers. BoardGone: it restarts for ever.
    """
    place = Place(port, told)
    on_port(place.name)
    line = _entered(place)
    try:
        yield line
    finally:
        _close(line)


def _entered(place: Place) -> Line:
    gone = None
    for _ in range(_RESTARTS):
        name = place.wait()
        try:
            line = _opened(name)
        except NoPort:  # again
            continue
        try:
            line.enter()
            return line
        except BoardGone as error:
            gone = error
            _close(line)
        except BaseException:
            _close(line)
            raise
    raise gone or NoPort(f"{place.name} comes and goes; plug the board in again")


def _close(line: Line) -> None:
    with contextlib.suppress(*VANISHED):
        line.close()


class Line(SerialTransport):
    """mpremote's transport that never waits for ever, and notices when the board restarts."""

    def __init__(self, *args, **kwargs) -> None:
        self.entered = False  # from here on a restart is an error
        self.heard = bytearray()
        super().__init__(*args, **kwargs)
        self.serial.write_timeout = _TAKES

    def close(self) -> None:
        """Let go of the port, whatever has become of it: mpremote's leaves a dead one open."""
        with contextlib.suppress(*VANISHED):
            self.serial.rts = False  # before DTR, as mpremote has it: else it may be a reset
            self.serial.dtr = False
        self.serial.close()

    def send(self, data: bytes) -> None:
        """Raises PortError: nobody takes it."""
        try:
            self.serial.write(data)
        except serial.SerialTimeoutException:
            raise self.stuck() from None

    def stuck(self) -> PortError:
        """The error of a write that came to no end."""
        return PortError(
            f"{self.device_name}: the board takes nothing that is sent; press its RESET button,"
            " then run this again"
        )

    def read_until(
        self, min_num_bytes, ending, timeout=10, data_consumer=None, timeout_overall=None
    ):
        """As mpremote's. Its own blocks on a pty, whatever the timeout.

        Raises:
            BoardGone: the board restarted.
        """
        self.heard = heard = bytearray()
        begin = last = time.monotonic()
        while not heard.endswith(ending):
            byte = self.serial.read(1)
            now = time.monotonic()
            if byte:
                last = now
                heard += byte
                if byte == b"\n" and self.entered:
                    self._notice_restart()
            if timeout is not None and now - last >= timeout:
                break
            if timeout_overall is not None and now - begin >= timeout_overall:
                break
        return bytes(heard)

    def _notice_restart(self) -> None:
        if any(word in self.heard for word in _STARTS):
            raise _restarted()

    def lost(self) -> BoardGone:
        """The error of an exchange that broke off: a board that restarts says so after it."""
        heard = bytearray()
        end = time.monotonic() + _AFTER_SECONDS
        self.serial.timeout = _QUIET_SECONDS
        try:
            while time.monotonic() < end and (data := self.serial.read(1)):
                heard += data
                if data == b"\n" and any(word in heard for word in _STARTS):
                    return _restarted()
        except VANISHED:
            return self.vanished()
        if heard:
            return BoardGone(f"the board said {_quoted(heard)} in the middle of the work")
        return BoardGone("the board fell silent in the middle of the work")

    def vanished(self) -> BoardGone:
        """The error of a port that is there no more."""
        return BoardGone(f"{self.device_name} is gone in the middle of the work")

    def interrupt(self) -> None:
        """End what the board was told to do, as it was not waited for: the raw REPL again.

        Raises:
            TransportError: no prompt came. OSError.
        """
        self.entered = False
        self.serial.timeout = _TRY_SECONDS
        for _ in range(_INTERRUPTS):
            with contextlib.suppress(TransportError):
                self._to_raw_repl(False, _TRY_SECONDS)
                self.serial.timeout = _PATIENCE
                return
        raise TransportError("expected the prompt of the raw REPL")

    def _to_raw_repl(self, soft_reset: bool, seconds: float) -> None:
        with contextlib.redirect_stdout(io.StringIO()):  # mpremote prints what came
            self.enter_raw_repl(soft_reset, seconds)

    def enter(self) -> None:
        """Stop what the board is doing; soft reset, so that only boot.py has run; raw REPL.

        Raises:
            PortError: no MicroPython answers.
            BoardGone: the port is gone.
        """
        said = b""
        self.entered = False
        self.serial.timeout = _TRY_SECONDS
        for _ in range(_TRIES):
            try:
                self._to_raw_repl(False, _TRY_SECONDS)
                self._to_raw_repl(True, _RESET_SECONDS)
                self.entered = True
                self.serial.timeout = _PATIENCE
                return
            except TransportError:
                said = bytes(self.heard) or said
            except serial.SerialTimeoutException:
                raise self.stuck() from None
            except VANISHED:
                raise BoardGone(f"{self.device_name} is gone") from None
        raise PortError(
            f"{self.device_name}: expected MicroPython's prompt, got {_quoted(said)}; press the"
            " board's RESET button and run this again, or flash MicroPython (instar flash)"
        )


def _restarted() -> BoardGone:
    return BoardGone("the board restarted in the middle of the work")


def _quoted(said: bytes) -> str:
    return repr(said[-_SHOWN:].decode(errors="replace")) if said else "nothing"
