"""``instar size``: what instar takes on a board, and whether that is within the budget.

The budget is `size-budget.json`: bytes of .mpy per set, with a little room, so that growing is a
decision and not an accident.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import click
from rich.console import Console
from rich.table import Table

from . import sets
from .image_builder import build_romfs, compile_mpy
from .paths import ROOT

BUDGET = ROOT / "size-budget.json"
# No set of its own, but the least that takes firmware from Mender: no signatures, no other
# payloads. `instar package` builds it by its parts.
SMALLEST = ("mender", "firmware")
_ROOM = 1.02
_STEP = 256
_STRIPPED = 3  # mpy-cross -O3: no line numbers, no assertions


@dataclass(frozen=True)
class Size:
    """Bytes of some modules: source, bytecode, bytecode of -O3, a ROMFS of the bytecode."""

    files: int
    py: int
    mpy: int
    stripped: int
    romfs: int


def size_of(paths: tuple[str, ...]) -> Size:
    """The size of these modules of lib/instar together."""
    source = {f"{sets.PACKAGE.name}/{path}": (sets.PACKAGE / path).read_bytes() for path in paths}
    code = {name: compile_mpy(data, name) for name, data in source.items()}
    stripped = [compile_mpy(data, name, _STRIPPED) for name, data in source.items()]
    return Size(
        files=len(source),
        py=sum(map(len, source.values())),
        mpy=sum(map(len, code.values())),
        stripped=sum(map(len, stripped)),
        romfs=len(build_romfs(code)),
    )


def measured() -> dict[str, Size]:
    """The size of each set, and of the smallest agent."""
    parts = {**sets.SETS, "+".join(SMALLEST): SMALLEST}
    return {name: size_of(sets.modules(needed)) for name, needed in parts.items()}


def over(found: Mapping[str, Size], budget: Mapping[str, int]) -> list[str]:
    """What is larger than the budget says, or is not in it, one sentence each."""
    return [
        f"{name}: expected at most {budget.get(name, 0)} bytes of .mpy, got {size.mpy}"
        for name, size in found.items()
        if size.mpy > budget.get(name, 0)
    ]


def _with_room(size: int) -> int:
    return -(-int(size * _ROOM) // _STEP) * _STEP


@click.command()
@click.option("--modules/--no-modules", default=True, help="A row for each module, too.")
@click.option("--update", is_flag=True, help="Take the sizes of now as the budget, with 2 % room.")
def size(modules: bool, update: bool) -> None:
    """Show bytes per module and per set; fail if a set is over its budget."""
    console = Console()
    if modules:
        console.print(_modules_table())
    found = measured()
    if update:
        budget = {name: _with_room(size.mpy) for name, size in found.items()}
        BUDGET.write_text(json.dumps(budget, indent=2) + "\n")
    budget = json.loads(BUDGET.read_text())
    console.print(_sets_table(found, budget))
    if problems := over(found, budget):
        mend = "Make it smaller, or decide that it is worth it: instar size --update"
        raise click.ClickException("\n".join([*problems, mend]))


def _modules_table() -> Table:
    table = _table("module")
    for path in sets.modules(sets.SETS["instar"]):
        one = size_of((path,))
        table.add_row(path, *map(str, (one.py, one.mpy, one.stripped)))
    return table


def _sets_table(found: Mapping[str, Size], budget: Mapping[str, int]) -> Table:
    table = _table("set", "ROMFS", "files", "budget")
    for name, one in found.items():
        counts = (one.py, one.mpy, one.stripped, one.romfs, one.files, budget.get(name, "none"))
        table.add_row(name, *map(str, counts))
    return table


def _table(what: str, *more: str) -> Table:
    table = Table()
    table.add_column(what, no_wrap=True)
    for column in (".py", ".mpy", "-O3", *more):
        table.add_column(column, justify="right")
    return table
