"""A serial line that other programs open: a pty, with a thread that serves its board's end.

    line = PtyLine(on_data=print, on_close=print, link=None)
    line.path                     # "/dev/pts/7"
    line.send(b"hello")           # never blocks
    line.close()

While nobody has it open, what is sent is lost, as on a cable that nobody listens to; else up to
1 MiB waits for its reader. on_data and on_close (its last user closed it) are called in the
thread.

Limits: Linux. A pty has no baud rate, no DTR and no RTS. An open or a close is noticed within
20 ms.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import contextlib
import os
import pty
import select
import threading
import tty
from collections.abc import Callable
from pathlib import Path

import click

_BACKLOG = 1 << 20
_LOOK_MS = 20


class PtyLine:
    """link: a path that becomes a symbolic link to the port.

    Raises:
        click.ClickException: there is something at `link` that is no symbolic link.
    """

    def __init__(
        self,
        on_data: Callable[[bytes], None],
        on_close: Callable[[], None],
        link: Path | None = None,
    ) -> None:
        self._on_data, self._on_close = on_data, on_close
        self._master, slave = pty.openpty()
        tty.setraw(slave)  # before anybody opens it: no echo, no lines
        os.set_blocking(self._master, False)
        self.path = os.ttyname(slave)
        os.close(slave)
        self._link = link
        if link:
            self._make_link(link)
        self._lock = threading.Lock()
        self._backlog = b""
        self._used = False
        self._open = True
        self._failed: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name=f"line {self.path}", daemon=True)
        self._thread.start()

    def _make_link(self, link: Path) -> None:
        if link.is_symlink():
            link.unlink()
        try:
            link.symlink_to(self.path)
        except OSError as error:
            raise click.ClickException(f"--link: a free path expected, got {error}") from error

    def close(self) -> None:
        """The port vanishes. From any thread but the line's own callbacks.

        Raises:
            BaseException: what a callback raised, which had ended the line's thread.
        """
        self._open = False
        self._thread.join()
        os.close(self._master)
        if self._link and self._link.is_symlink() and os.readlink(self._link) == self.path:
            self._link.unlink()
        if self._failed:
            raise self._failed

    def send(self, data: bytes) -> None:
        """Give the port's user something to read; from any thread."""
        with self._lock:
            self._backlog = (self._backlog + data)[:_BACKLOG] if self._has_user() else b""
            self._push()

    def _has_user(self) -> bool:
        return not self._events() & select.POLLHUP

    def _events(self, timeout: int = 0, wanted: int = 0) -> int:
        poll = select.poll()
        poll.register(self._master, wanted)
        return next((events for _, events in poll.poll(timeout)), 0)

    def _push(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._backlog:
                self._backlog = self._backlog[os.write(self._master, self._backlog) :]

    def _work(self) -> None:
        try:
            self._serve()
        except BaseException as error:
            self._failed = error

    def _serve(self) -> None:
        pause = threading.Event()
        while self._open:
            wanted = select.POLLIN | (select.POLLOUT if self._backlog else 0)
            events = self._events(_LOOK_MS, wanted)
            if events & select.POLLIN:
                self._receive()
            if events & select.POLLOUT:
                with self._lock:
                    self._push()
            self._notice_users(not events & select.POLLHUP)
            if events & select.POLLHUP:  # poll() comes back at once then
                pause.wait(_LOOK_MS / 1000)

    def _receive(self) -> None:
        try:
            data = os.read(self._master, 65536)
        except OSError:  # nobody has it open, and nothing is left
            return
        self._used = True
        self._on_data(data)

    def _notice_users(self, present: bool) -> None:
        if self._used and not present:
            self._on_close()
        self._used = present
