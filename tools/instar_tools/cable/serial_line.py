"""A serial port to a board: which there are, who has it, and mpremote's transport on it.

    with open_line(resolve("auto")) as line:    # a Line: mpremote's SerialTransport
        line.enter()                            # into the raw REPL, whatever the board is doing

Every error is one of those below: what was expected, what came, and the next step.

Limits: who has a busy port is known on Linux only.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import contextlib
import io
import os
import time
from collections.abc import Iterator
from pathlib import Path

import click
import serial
from mpremote.transport import TransportError
from mpremote.transport_serial import SerialTransport
from serial.tools import list_ports

AUTO = "auto"
_PATIENCE = 3.0  # seconds that one read waits: a board collects garbage, or writes to its flash
_PAUSES = (0.05, 0.15, 0.3, 0)  # seconds: a port that was just plugged in or closed may be busy
_TRIES = 32
_TRY_SECONDS = 0.5  # for the prompt: what comes while a board starts is lost
_RESET_SECONDS = 10.0  # for a soft reset, in which boot.py runs
_PROMPT = b"raw REPL; CTRL-B to exit\r\n"
# What a board says of itself when it starts, and nobody else: boot loaders, REPL, agent.
_STARTS = (b"rst:0x", b"ESP-ROM:", b'Type "help()" for more', b"@instar {")
_SHOWN = 200  # bytes of what came instead


class PortError(click.ClickException):
    """No such port, or it is busy or not permitted, or no MicroPython answers on it."""


class BoardGone(click.ClickException):
    """The board restarted, was unplugged, or fell silent in the middle of the work."""

    def __init__(self, why: str) -> None:
        super().__init__(f"{why}; see that it is plugged in, then run this again")


def ports() -> list[str]:
    """The serial ports with something plugged in, in the order of their names."""
    return sorted(port.device for port in list_ports.comports() if port.vid is not None)


def resolve(port: str) -> str:
    """The port's name; "auto" is the only one there.

    Raises:
        PortError: it does not exist; with "auto", there is none or more than one.
    """
    there = ports()
    if port == AUTO:
        if len(there) == 1:
            return there[0]
        expected = "expected one serial port with a board"
        if there:
            raise PortError(f"{expected}, found {', '.join(there)}; choose one with --port")
        raise PortError(f"{expected}, found none; plug it in, with a cable that carries data")
    if _is_missing(port):
        raise PortError(f"no port {port}: {_choice(there)}")
    return port


def _is_missing(port: str) -> bool:
    # Elsewhere a port is no file; and pyserial knows some that are URLs.
    return os.name == "posix" and "://" not in port and not os.path.exists(port)


def _choice(there: list[str]) -> str:
    if there:
        return f"there are {', '.join(there)}; choose one with --port"
    return "there is none; plug the board in, with a cable that carries data"


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
        with contextlib.suppress(OSError, serial.SerialException):
            line.close()


def _opened(port: str) -> Line:
    for pause in _PAUSES:
        with contextlib.suppress(TransportError, OSError, ValueError):
            return Line(port, timeout=_TRY_SECONDS)  # pyright: ignore[reportArgumentType]
        time.sleep(pause)
    raise _why_closed(port)


def _why_closed(port: str) -> PortError:
    # mpremote says only that it failed.
    if _is_missing(port):
        return PortError(f"no port {port}: {_choice(ports())}")
    if os.name == "posix" and not os.access(port, os.R_OK | os.W_OK):
        return PortError(
            f"{port}: not permitted; add yourself to its group ({_group(port)}):"
            f" sudo usermod -aG {_group(port)} $USER, then log in again"
        )
    users = _users(port) if os.path.exists(port) else []
    if users:
        return PortError(f"{port} is busy: {', '.join(users)} has it; end that, then run again")
    return PortError(f"{port} cannot be opened; end what uses it, or plug the board in again")


def _group(port: str) -> str:
    try:
        return Path(port).group()
    except (KeyError, OSError, NotImplementedError):
        return "dialout"


def _users(port: str) -> list[str]:
    """Who has locked the port; where the system does not say, who has it open."""
    state = os.stat(port)
    name = f"{os.major(state.st_dev):02x}:{os.minor(state.st_dev):02x}:{state.st_ino}"
    try:
        locks = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    except OSError:
        return []
    # 1: FLOCK ADVISORY WRITE pid major:minor:inode 0 EOF
    pids = [int(words[4]) for words in locks if len(words) > 5 and words[5] == name]
    return [_program(pid) for pid in pids or _openers(os.path.realpath(port))]


def _openers(port: str) -> Iterator[int]:
    for fd in Path("/proc").glob("[0-9]*/fd/*"):
        pid = int(fd.parts[2])
        with contextlib.suppress(OSError):
            if pid != os.getpid() and os.readlink(fd) == port:
                yield pid


def _program(pid: int) -> str:
    try:
        return f"{Path(f'/proc/{pid}/comm').read_text().strip()} (process {pid})"
    except OSError:
        return f"process {pid}"


class Line(SerialTransport):
    """mpremote's transport that never waits for ever, and notices when the board restarts."""

    def __init__(self, *args, **kwargs) -> None:
        self.entered = False  # from here on a restart is an error
        self.heard = bytearray()
        super().__init__(*args, **kwargs)

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
            raise BoardGone("the board restarted in the middle of the work")

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
                with contextlib.redirect_stdout(io.StringIO()):  # mpremote prints what came
                    self.enter_raw_repl(False, _TRY_SECONDS)
                    self.enter_raw_repl(True, _RESET_SECONDS)
                self.entered = True
                self.serial.timeout = _PATIENCE
                return
            except TransportError:
                said = bytes(self.heard) or said
            except (OSError, serial.SerialException):
                raise BoardGone(f"{self.device_name} is gone") from None
        raise PortError(
            f"{self.device_name}: expected MicroPython's prompt, got {_quoted(said)}; press the"
            " board's RESET button and run this again, or flash MicroPython (instar flash)"
        )


def _quoted(said: bytes) -> str:
    return repr(said[-_SHOWN:].decode(errors="replace")) if said else "nothing"
