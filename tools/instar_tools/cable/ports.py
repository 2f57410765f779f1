"""The serial ports of this computer: which there are, where a board is, who has a busy one.

    place = Place("auto", told=print)    # waits for it
    place.name                           # "/dev/ttyACM0"
    place.find()                         # after a restart of the board: "/dev/ttyACM1"

A board with USB of its own (a Pico, an ESP32-S3 or -C3) has no port while it restarts, and may
come back under another name; the system knows it by its serial number.

Limits: who has a busy port is known on Linux only.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import click
from serial import SerialException
from serial.tools import list_ports

try:
    from termios import error as _TtyError
except ImportError:  # not on Windows
    _TtyError = OSError

AUTO = "auto"
# What using a port raises whose board has gone; termios has an error of its own.
VANISHED = (OSError, SerialException, _TtyError)
WAIT = 8.0  # seconds for a port to come: a board restarts in two, a slow computer sees it later
_TELL_AFTER = 1.0
_LOOK = 0.1


class PortError(click.ClickException):
    """No such port, or it is busy or not permitted, or no MicroPython answers on it."""


class NoPort(PortError):
    """There is no such port now."""


class Place:
    """Where a board is plugged in, through its restarts.

    port: its name, or auto. told: hears what is waited for. `name`: of the port, as last found.

    Raises:
        NoPort: it did not come. PortError: auto, and there is more than one.
    """

    def __init__(self, port: str, told: Callable[[str], None]) -> None:
        self.name = port
        self._told = told
        self._device: tuple | None = None
        self.wait()

    def wait(self) -> str:
        """find(), as soon as it is there."""
        begin = time.monotonic()
        told = False
        while True:
            try:
                return self.find()
            except NoPort:
                waited = time.monotonic() - begin
                if waited > WAIT:
                    raise
            if waited > _TELL_AFTER and not told:
                told = True
                self._told(f"waiting for {'a board' if self.name == AUTO else self.name}")
            time.sleep(_LOOK)

    def find(self) -> str:
        """The port's name now.

        Raises:
            NoPort: it is not there.
        """
        if self._device is None:
            self.name = resolve(self.name)
            self._device = _device_at(self.name)
        else:
            self.name = _moved(self.name, self._device)
        return self.name


def _device_at(name: str) -> tuple | None:
    """How the system knows the board again: (its adapter, where that is plugged in, None:
    anywhere). None: by the port's name only."""
    there = list_ports.comports()
    real = os.path.realpath(name)
    for port in there:
        if port.device in (name, real) and port.vid is not None:
            # Cheap adapters have all the same number, or none.
            alike = [other for other in there if _adapter(other) == _adapter(port)]
            unique = port.serial_number and len(alike) == 1
            return _adapter(port), None if unique else port.location
    return None


def _moved(name: str, device: tuple) -> str:
    adapter, location = device
    found = [
        port.device
        for port in list_ports.comports()
        if _adapter(port) == adapter and location in (None, port.location)
    ]
    if not found:
        raise NoPort(f"no port {name}: {_choice(ports())}")
    return name if os.path.realpath(name) in found else found[0]


def _adapter(port) -> tuple:
    return port.vid, port.pid, port.serial_number


def ports() -> list[str]:
    """The serial ports with something plugged in, in the order of their names."""
    return sorted(port.device for port in list_ports.comports() if port.vid is not None)


def resolve(port: str) -> str:
    """The port's name; "auto" is the only one there.

    Raises:
        NoPort: it does not exist; with "auto", there is none. PortError: there are several.
    """
    there = ports()
    if port == AUTO:
        if len(there) == 1:
            return there[0]
        expected = "expected one serial port with a board"
        if there:
            raise PortError(f"{expected}, found {', '.join(there)}; choose one with --port")
        raise NoPort(f"{expected}, found none; plug it in, with a cable that carries data")
    if _is_missing(port):
        raise NoPort(f"no port {port}: {_choice(there)}")
    return port


def _is_file(port: str) -> bool:
    # Elsewhere a port is no file; and pyserial knows some that are URLs.
    return os.name == "posix" and "://" not in port


def _is_missing(port: str) -> bool:
    return _is_file(port) and not os.path.exists(port)


def _choice(there: list[str]) -> str:
    if there:
        return f"there are {', '.join(there)}; choose one with --port"
    return "there is none; plug the board in, with a cable that carries data"


def why_closed(port: str) -> PortError:
    """Why it cannot be opened: mpremote says only that it failed."""
    if _is_missing(port):
        return NoPort(f"no port {port}: {_choice(ports())}")
    if not _is_file(port):
        return PortError(f"{port} cannot be opened; see that it is there, and that nobody has it")
    if not stat.S_ISCHR(os.stat(port).st_mode):
        return PortError(f"{port} is no serial port: {_choice(ports())}")
    if not os.access(port, os.R_OK | os.W_OK):
        return PortError(
            f"{port}: not permitted; add yourself to its group ({_group(port)}):"
            f" sudo usermod -aG {_group(port)} $USER, then log in again"
        )
    if not _is_terminal(port):
        return PortError(f"{port} is no serial port: {_choice(ports())}")
    if users := _users(port):
        return PortError(f"{port} is busy: {', '.join(users)} has it; end that, then run again")
    return PortError(f"{port} cannot be opened; end what uses it, or plug the board in again")


def _is_terminal(port: str) -> bool:
    try:
        descriptor = os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError:  # busy: that is another cause
        return True
    try:
        return os.isatty(descriptor)
    finally:
        os.close(descriptor)


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
