"""A simulated board with a USB cable in it: a serial port for mpremote, esptool and the like.

    with Plugged("board.flash") as board:
        subprocess.run(["mpremote", "connect", board.port, "exec", "print(1)"])
        board.wait("idle", seconds=20)
        board.press_reset()

The board has power until the `with` ends, whatever its program does: one that ends in its REPL
stays in it. Its events are the simulator's (simulator.py), and `button` (RESET), `loader` (it
waits in its ROM's serial loader) and `off` (the end).

A pty has no DTR and RTS, which reset an ESP32 for esptool. Instead: its SYNC frame on the line
resets the chip into the ROM's loader; when the last user closes the port after that, it resets
into what is in its flash, as by `--after hard-reset`, whatever he said. With boots_at_close=False
it does so only when the loader is told to (`--after soft-reset`), and else waits in it, as a real
one that is left there.

The USB of a Pico W is the chip's own: when that restarts, its port is gone for a moment. The new
one may have another number; `port` is a link to it there, as /dev/ttyACM0 comes back.

Limits: Linux. In its USB boot loader (machine.bootloader()) a Pico W answers nothing until RESET
is pressed. A board that found nothing to start, or a damaged file system, does nothing until RESET
or esptool.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from ..events import Condition, Event, condition
from .live_board import LiveBoard

_SHOWN = 20  # lines of console in an error


class Plugged:
    """flash: the board's flash file. heap and further options: as LiveBoard's.

    port: the path of its serial port. link: a symbolic link to it. on_event: called with each
    event, console with each other line of the board's console. events: all events so far.
    """

    def __init__(
        self,
        flash: str | Path,
        heap: str | None = None,
        *,
        on_event: Callable[[Event], None] = lambda event: None,
        console: Callable[[bytes], None] = lambda line: None,
        link: str | Path | None = None,
        **options,
    ) -> None:
        self.events: list[Event] = []
        self._lines: list[bytes] = []
        self._on_event, self._console = on_event, console
        self._seen = 0
        self._news = threading.Condition()
        self._link = Path(link) if link else None
        self._folder = ""
        self._board = LiveBoard(
            flash, heap=heap, on_event=self._tell, console=self._hear, **options
        )
        self._thread = threading.Thread(target=self._live, name=f"board {flash}", daemon=True)
        self._failed: BaseException | None = None

    def __enter__(self) -> Plugged:
        """Plug it in.

        Raises:
            click.ClickException: the flash file is no board's, or the heap too small for one; or
                there is something at `link` that is no symbolic link.
        """
        self._board.take()
        link = self._link
        if self._board.own_usb and not link:
            self._folder = tempfile.mkdtemp(prefix="board-")
            link = Path(self._folder) / "ttyACM0"
        self._board.plug_in(link)
        self.port = str(link) if self._board.own_usb else self._board.line.path
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._board.ask("off")
        self._thread.join()
        self._board.line.close()
        if self._folder:
            shutil.rmtree(self._folder)
        if self._failed and not error[0]:
            raise self._failed

    def press_reset(self, boot: bool = False) -> None:
        """The RESET button; boot: with BOOT held, so that an ESP32 waits in its ROM's loader.

        A later wait() does not look at what came before it.
        """
        with self._news:
            self._seen = len(self.events)
        self._board.ask("loader" if boot else "button")

    def stay(self) -> None:
        """Wait for ever: for Ctrl-C."""
        self._thread.join()

    def wait(self, until: str | Condition, seconds: float = 30) -> Event:
        """Wait for an event: its name, success or failure (simulator.condition), or a function.

        Each event counts once: those up to the one that the latest wait() returned are not looked
        at again. Returns the event.

        Raises:
            TimeoutError: it did not come; with the last lines of the console.
        """
        met = condition(until)
        deadline = time.monotonic() + seconds
        with self._news:
            while True:
                while self._seen < len(self.events):
                    self._seen += 1
                    if met(self.events[self._seen - 1]):
                        return self.events[self._seen - 1]
                if not self._news.wait(deadline - time.monotonic()) or self._failed:
                    raise self._too_late(until, seconds) from self._failed

    def _too_late(self, until: str | Condition, seconds: float) -> TimeoutError:
        lines = b"\n".join(self._lines[-_SHOWN:]).decode(errors="replace")
        names = [event["event"] for event in self.events[-_SHOWN:]]
        return TimeoutError(
            f"{until} expected within {seconds} s; the latest events were {names},"
            f" the console's last lines:\n{lines}"
        )

    def _live(self) -> None:
        try:
            self._board.live()
        except BaseException as error:
            self._failed = error
            with self._news:
                self._news.notify_all()

    def _tell(self, event: Event) -> None:
        with self._news:
            self.events.append(event)
            self._news.notify_all()
        self._on_event(event)

    def _hear(self, line: bytes) -> None:
        self._lines.append(line)
        del self._lines[:-_SHOWN]
        self._console(line)
