"""``instar monitor``: a board's events live, from its serial port."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import time
from collections.abc import Callable

import click

from .cable.monitoring import Lines
from .cable.port import AUTO
from .event_view import View
from .events import board_event, condition
from .sim_cmd import NOT_MET


@click.command()
@click.option("--port", default=AUTO, show_default=True, help="/dev/ttyUSB0, COM3, ...")
@click.option("--json", "as_json", is_flag=True, help="One JSON event per line on stdout.")
@click.option("--reset", is_flag=True, help="Restart the board first.")
@click.option("--until", type=click.Choice(["idle", "success", "failure"]))
@click.option("--seconds", type=float, help="End after this time.")
@click.pass_context
def monitor(
    ctx: click.Context,
    port: str,
    as_json: bool,
    reset: bool,
    until: str | None,
    seconds: float | None,
) -> None:
    """Show what a board says, while it works: the agent's events, and all else on stderr.

    Neither stops nor restarts the board, and waits where it is unplugged. Ctrl-C ends it.

    Exit code: 0 the condition was met, or none was asked for; 3 it was not met.
    """
    view = View(as_json, quiet=False)
    deadline = time.monotonic() + seconds if seconds is not None else float("inf")
    lines = Lines(port, lambda text: view.say(f"monitor: {text}"), reset)
    try:
        with view.progress:
            met = _show(lines, deadline, view, until)
    except KeyboardInterrupt:
        ctx.exit(0)
    ctx.exit(0 if met or until is None else NOT_MET)


def _show(lines: Lines, deadline: float, view: View, until: str | None) -> bool:
    """Show them all; whether the condition was met, which ends it."""
    met = condition(until) if until else lambda event: False
    for line in lines.until(deadline):
        event = board_event(line)
        if event is None:
            view.console(line)
            continue
        view.event(event)
        if met(event):
            return True
    return False
