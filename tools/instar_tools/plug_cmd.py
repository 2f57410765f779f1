"""``instar sim plug``: a simulated board on a serial port, for mpremote, esptool and the like."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import contextlib
import signal
from pathlib import Path

import click

from .event_view import View
from .simulated.plugged import Plugged
from .simulated.simulator import heap_bytes


def heap_option(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """The callback of an option --heap."""
    try:
        heap_bytes(value or "0")
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    return value


@click.command()
@click.argument("flash", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--link", type=click.Path(path_type=Path), help="A symbolic link to the port.")
@click.option("--heap", callback=heap_option, help="As -X heapsize; without it as the board has.")
@click.option("--quiet", is_flag=True, help="Neither events nor the board's console are shown.")
def plug(flash: Path, link: Path | None, heap: str | None, quiet: bool) -> None:
    """Give the board in FLASH power and a serial port, until Ctrl-C.

    The port's path is the first line on stdout. What the board says is on stderr, too.
    """
    view = View(events=False, quiet=quiet)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    board = Plugged(flash, heap, on_event=view.event, console=view.console, link=link)
    with contextlib.suppress(KeyboardInterrupt), view.progress, board:
        click.echo(board.port)
        board.stay()
