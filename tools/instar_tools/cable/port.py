"""A board's REPL as a library: connect, run code there, read and write its files.

    with connect("/dev/ttyUSB0") as link:      # or COM3, or auto; main.py is not running then
        link.info.machine                      # "Raspberry Pi Pico W with RP2040"
        link.run("print(1)")                   # "1\r\n"
        link.ask("print(json.dumps(os.listdir()))")
        link.write("/a/app.py", b"...")
        link.reset()                           # the board goes back to its work

Built on mpremote's transport (serial_line.py). The board has the functions of board/hands.py.

Limits: one user of a port. Where the last start of an application's trial is under way, a
connection ends it.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import base64
import contextlib
import json
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import click
import serial
from mpremote.transport import TransportError

from ..board_code import BOARD
from ..masking import Veil
from ..real_boards import BOARDS, RealBoard
from .ports import AUTO, VANISHED, PortError
from .serial_line import BoardGone, Line, open_repl

__all__ = [
    "AUTO",
    "BoardError",
    "BoardGone",
    "Info",
    "Link",
    "PortError",
    "TooOld",
    "WrongBoard",
    "board_of",
    "connect",
]

PYTHON = "micropython"
OLDEST = (1, 24)  # MicroPython that instar runs on
_SECONDS = 10.0
_SOFT_RESET = b"\x04"
_LOST = (TransportError, click.ClickException, *VANISHED)
_PIECE = 1536  # bytes of a file in one piece of code


class BoardError(click.ClickException):
    """The code that was run on the board raised; `trace` is the board's traceback."""

    def __init__(self, trace: str) -> None:
        self.trace = trace
        last = trace.strip().splitlines() or ["no traceback"]
        super().__init__(f"the board says: {last[-1]}")


class WrongBoard(click.ClickException):
    """Another board than the one that was asked for."""


class TooOld(click.ClickException):
    """MicroPython on the board is older than instar needs."""


@dataclass(frozen=True)
class Info:
    """What the board says of itself.

    mpy: sys.implementation._mpy, None where no bytecode can be loaded. instar: the version that
    would be imported, None without one; frozen_instar: the same where the firmware brings it.
    watched: a watchdog runs, see Link.feed(). implementation: sys.implementation.name. on_trial:
    the firmware has to prove itself before the chip restarts, or it is taken back.
    """

    platform: str
    machine: str
    version: tuple[int, int, int]
    version_text: str
    mpy: int | None
    instar: str | None
    frozen_instar: str | None
    watched: bool
    implementation: str = PYTHON
    on_trial: bool = False

    @classmethod
    def of(cls, answer: dict) -> Info:
        return cls(**{**answer, "version": tuple(answer["version"])})

    @property
    def mpy_version(self) -> int | None:
        """Of the bytecode that it loads: 6 since MicroPython 1.23."""
        return self.mpy & 0xFF if self.mpy else None


def _tell(text: str) -> None:
    click.echo(text, err=True)


@contextlib.contextmanager
def connect(
    port: str,
    on_port: Callable[[str], None] = lambda name: None,
    any_version: bool = False,
    secrets: Iterable[str] = (),
    told: Callable[[str], None] = _tell,
) -> Iterator[Link]:
    """The board on this port, in its raw REPL after a soft reset. A missing port is waited for.

    on_port: is told the port's name, before anything else happens on it. any_version: the board's
    Python may be older than instar needs, or another one. secrets: texts that no error may show.
    told: hears what is waited for.

    Raises:
        PortError, BoardGone, WrongBoard, TooOld: the first two also later, in the link's methods.
    """
    with open_repl(port, on_port, told) as line:
        link = Link(line, line.device_name, secrets)
        try:
            if not any_version:
                _check_version(link)
            yield link
        except KeyboardInterrupt:
            told("interrupted; run this again")
            raise
        finally:
            link.leave()


def _check_version(link: Link) -> None:
    info = link.info
    needed = ".".join(map(str, OLDEST))
    expected = f"expected MicroPython {needed} or later on the board, got"
    step = "write a newer one first: instar flash"
    if info.implementation != PYTHON:
        link.reset()
        raise WrongBoard(f"{expected} {info.implementation} {info.version_text}; {step}")
    if info.version[:2] < OLDEST:
        link.reset()  # it may have had work
        raise TooOld(f"{expected} {info.version_text}; {step}")


def board_of(info: Info, name: str | None) -> RealBoard:
    """The board that `info` speaks of; name: what was asked for.

    Raises:
        WrongBoard: it is none that is known, or not that one.
    """
    found = [board for board in BOARDS.values() if board.is_on(info.machine)]
    if name is None and len(found) == 1:
        return found[0]
    if name is None:
        raise WrongBoard(
            f"the board says it is {info.machine!r}: expected one of {', '.join(BOARDS)};"
            " say which with --board"
        )
    if BOARDS[name] not in found:
        raise WrongBoard(
            f"expected {name} on the port, got a board that says it is {info.machine!r};"
            " choose another --port or --board"
        )
    return BOARDS[name]


class Link:
    """The raw REPL of one board. Its methods raise BoardGone and, where the code does, BoardError.

    `port`: its name. `info`: what the board says of itself.
    """

    def __init__(self, line: Line, port: str, secrets: Iterable[str] = ()) -> None:
        self.port = port
        self._line = line
        self._veil = Veil(secrets)
        self._gone = False
        self._unfinished = False
        self._introduce()

    def _introduce(self) -> None:
        self.run((BOARD / "hands.py").read_text())
        self.info = Info.of(self.ask("about()"))
        self.run("give_boots_back()")

    def restart(self) -> None:
        """Soft reset: boot.py runs, main.py does not, and what was run here is forgotten."""
        self._line.enter()
        self._introduce()

    def run(self, code: str, seconds: float = _SECONDS) -> str:
        """What the code prints. seconds: of silence, until the board counts as gone."""
        self._unfinished = self._gone = True
        try:
            out, err = self._line.exec_raw(code, seconds)  # pyright: ignore[reportArgumentType]
        except serial.SerialTimeoutException:
            raise self._line.stuck() from None
        except (TransportError, struct.error):  # mpremote takes apart what did not come
            raise self._line.lost() from None
        except VANISHED:
            raise self._line.vanished() from None
        except KeyboardInterrupt:
            self._gone = False
            raise
        self._unfinished = self._gone = False
        if err:
            raise BoardError(self._veil.over(err.decode(errors="replace")))
        return out.decode(errors="replace")

    def ask(self, code: str, seconds: float = _SECONDS) -> Any:
        """The last line that the code prints, which is JSON."""
        said = self.run(code, seconds)
        lines = said.strip().splitlines()
        try:
            return json.loads(lines[-1])
        except (IndexError, ValueError):
            raise BoardError(f"expected JSON, got {self._veil.over(said[-200:])!r}") from None

    def call(self, name: str, *args: Any, seconds: float = _SECONDS) -> Any:
        """What a function on the board returns, as JSON. args: strings, numbers, lists of them."""
        words = ", ".join(repr(arg) for arg in args)
        return self.ask(f"print(json.dumps({name}({words})))", seconds)

    def feed(self) -> None:
        """Feed the board's watchdog, if one may be running: to be called every few seconds."""
        self.run("feed()")

    def sha256(self, path: str, seconds: float = _SECONDS) -> str | None:
        """Of a file, in hex, as the board computes it; None if there is no such file."""
        return self.call("sha256", path, seconds=seconds)

    def read(self, path: str) -> bytes:
        """A whole file."""
        return b"".join(base64.b64decode(line) for line in self.run(f"read({path!r})").split())

    def write(self, path: str, data: bytes, progress: Callable[[int], None] | None = None) -> None:
        """A whole file; its folder is there. progress: is told the bytes of each piece."""
        self.run(f"begin({path!r})")
        for at in range(0, len(data), _PIECE):
            piece = data[at : at + _PIECE]
            self.run(f"put({base64.b64encode(piece).decode()!r})")
            if progress:
                progress(len(piece))
        self.run("end()")

    def reset(self, given_up: bool = False) -> None:
        """Let the board go back to its work, if it is still there: by a restart of the chip, or
        where its firmware is on trial, which that would take back, by a soft reset that runs
        main.py. given_up: the trial's end is wanted. Nothing more can be asked of this link."""
        if self._gone:
            return
        with contextlib.suppress(*_LOST):
            self._finish()
            if self.info.on_trial and not given_up:
                self._resume()
            else:
                self._line.exec_raw_no_follow("import machine\nmachine.reset()")
        self._gone = True

    def _finish(self) -> None:
        # Ctrl-C came here in the middle of an exchange.
        if self._unfinished:
            self._line.interrupt()
            self._unfinished = False

    def _resume(self) -> None:
        self.run("outlast_trial()")
        self._line.exit_raw_repl()
        self._line.serial.write(_SOFT_RESET)

    def leave(self) -> None:
        """Leave the board in its friendly REPL, unless it was reset."""
        if not self._gone:
            self._gone = True
            with contextlib.suppress(*_LOST):
                self._finish()
                self._line.exit_raw_repl()
