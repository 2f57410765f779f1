"""``instar doctor``: what keeps the board on a port from working, and how to mend it."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
import sys

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from .cable.doctor_checks import Examination
from .cable.doctor_flash import Check
from .cable.port import AUTO, connect
from .real_boards import BOARDS

_WORDS = {True: ("yes", "green"), False: ("NO", "bold red"), None: ("-", "yellow")}
_WIDTH = 100  # where the output is no terminal


@click.command()
@click.option("--port", default=AUTO, show_default=True, help="/dev/ttyUSB0, COM3, ...")
@click.option("--board", type=click.Choice(list(BOARDS)), help="Which board it has to be.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@click.option("--no-reset", is_flag=True, help="Leave the board in its REPL.")
@click.pass_context
def doctor(
    ctx: click.Context, port: str, board: str | None, as_json: bool, no_reset: bool
) -> None:
    """Look for what keeps a board from working.

    Stops the board's program, looks at it from its REPL and lets it go on: by a reset, or where
    its firmware is on trial, which a reset would take back, by a soft one. Nothing is written to
    its flash, but the starts that an application on trial gets back. A watchdog that instar uses
    runs on in the REPL, and restarts the board there, within two minutes.

    Exit code: 0 all is fine, 1 something is not.
    """
    err = Console(stderr=True)
    with connect(port, any_version=True) as link:
        examination = Examination(link, board)
        with err.status(Text(f"{link.port}: {link.info.machine}")) as status:
            found = []
            for check in examination.checks():
                found.append(check)
                status.update(Text(f"{link.port}: {check.what} {check.found}"))
        if not no_reset:
            link.reset()
    fine = all(check.fine is not False for check in found)
    if as_json:
        click.echo(json.dumps({"port": link.port, "fine": fine, "checks": _plain(found)}))
    else:
        Console(width=None if sys.stdout.isatty() else _WIDTH).print(_table(found))
    ctx.exit(0 if fine else 1)


def _plain(found: list[Check]) -> list[dict]:
    return [vars(check) for check in found]


def _table(found: list[Check]) -> Table:
    table = Table("what", "fine?", "found", "what mends it")
    for check in found:
        word, style = _WORDS[check.fine]
        step = Text("" if check.fine else check.step, overflow="fold")
        table.add_row(
            check.what, Text(word, style=style), Text(check.found, overflow="fold"), step
        )
    return table
