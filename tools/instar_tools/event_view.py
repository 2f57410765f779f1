"""What a board says, live: its events, its console, a bar for its downloads.

    view = View(events=False, quiet=False)
    with view.progress:
        view.event({"event": "state", "state": "download"})
        view.console(b"hello")

Limits: one download at a time, as an agent does it.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
import sys

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

from .events import Event


class View:
    """events: as JSON on stdout, else in words on stderr, with all else and, on a terminal, a bar.
    quiet: nothing but events and the bar."""

    def __init__(self, events: bool, quiet: bool) -> None:
        self._events = events
        self._quiet = quiet
        self._told_heap = False
        self._err = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
        bar = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
        self.progress = Progress(*bar, console=self._err, disable=not sys.stderr.isatty())
        self._task = None

    def say(self, text: str) -> None:
        if not self._quiet:
            self._err.print(text)

    def console(self, line: bytes) -> None:
        self.say(line.decode(errors="replace").rstrip("\r"))

    def event(self, event: Event) -> None:
        if self._events:
            click.echo(json.dumps(event))
        if event["event"] == "progress" and _is_progress(event):
            self._progress(event)
        elif event["event"] == "heap" and event.get("from") == "simulator":
            self._heap(event)
        elif not self._events:
            words = [f"{key}={event[key]}" for key in event if key not in ("event", "from")]
            self.say(" ".join([event["event"], *words]))

    def _progress(self, event: Event) -> None:
        total = event.get("total") or None
        if self._task is None:
            self._task = self.progress.add_task("download", total=total)
        self.progress.update(self._task, completed=event["done"], total=total)

    def _heap(self, event: Event) -> None:
        if not self._told_heap:
            self._told_heap = True
            self.say(
                f"simulator: heap {event['size']} bytes, {event['tls']} of them held for TLS;"
                f" beside it {event['romfs']} for the ROMFS"
                f" and {event['emulation']} for the emulation"
            )


def _is_progress(event: Event) -> bool:
    """Whether its numbers are some: a line may be damaged on its way, and is text then."""
    return isinstance(event.get("done"), int) and isinstance(event.get("total"), int | None)
