"""Sweeps power cuts over everything; see --help. Ends with 1 if anything was found, or a planted
bug was not."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import functools
import os
import sys
import tempfile
from pathlib import Path

import click
from rich.console import Console

from . import table
from .campaign import Campaign
from .mutants import MUTANTS
from .scenarios import SCENARIOS
from .sweep import Sweep, Told, again, make_keys, prepare

_FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command()
@click.option("--scenario", "names", multiple=True, type=click.Choice(list(SCENARIOS)))
@click.option("--seconds", default=1100.0, show_default=True, help="Then no second cut begins.")
@click.option("--depth2", type=int, help="Second cuts at most; else as many as there is time for.")
@click.option("--soak", type=int, help="Chains of five cuts; one of each scenario.", default=-1)
@click.option("--mutants/--no-mutants", default=True, help="Plant bugs, and find them.")
@click.option("--mutant", "only_mutants", multiple=True, type=click.Choice(list(MUTANTS)))
@click.option("--seed", default=1, show_default=True)
@click.option("--jobs", default=2 * (os.cpu_count() or 1), show_default=True)
@click.option("--markdown", type=click.Path(dir_okay=False, path_type=Path), help="A file.")
@click.option("--keep", type=_FOLDER, default=Path("build/powercut-failed"), show_default=True)
@click.option("--only", metavar="LABEL|FILE", help="Show this one state of a scenario.")
def main(names, seconds, depth2, soak, mutants, only_mutants, seed, jobs, markdown, keep, only):
    """Cut the power at every flash operation of every scenario but some of plain data, and see
    what comes of it.

    The ends of a long download or removal are cut, and some operations between; see thinning.py.
    Bad states are kept in a folder, each in a file that --only takes.
    """
    names = names or tuple(SCENARIOS)
    console = Console()
    with tempfile.TemporaryDirectory(prefix="powercut-") as root:
        if only:
            sys.exit(show_one(Path(root), names[0], only))
        print(f"seed {seed}")
        say = functools.partial(print, flush=True)
        campaign = Campaign(Path(root), names, jobs, seed, say, keep.absolute())
        hunted = (only_mutants or tuple(MUTANTS)) if mutants else ()
        report = campaign.run(hunted, len(names) if soak < 0 else soak, depth2, seconds)
    table.show(report, console)
    if any(row.bad for row in report.rows.values()):
        print(f"bad states: {keep}/*.state; again with --only FILE")
    if markdown:
        markdown.write_text(table.markdown(report))
    sys.exit(not report.is_good())


def show_one(root: Path, name: str, label: str) -> bool:
    """Go there again, and tell everything about each recovery on the way. Whether the last one
    had findings."""
    if Path(label).is_file():
        return show_told(again(Path(label), root))
    golden = prepare(root / "golden", SCENARIOS[name], make_keys(root / "keys"))
    with Sweep(golden, root / "sweep") as sweep:
        return [show_told(told) for told in sweep.find(label.split(" > "))][-1]


def show_told(told: Told) -> bool:
    """Whether there were findings."""
    print(f"== {told.verdict.label}: {told.verdict.ran}")
    print(*told.said, "-- console:", *told.console[-30:], "-- the server:", sep="\n")
    for deployment in told.deployments:
        print(deployment["history"], *deployment["log"], sep="\n")
    for finding in told.verdict.findings:
        print(f"{finding.kind}: {finding.text}")
    return bool(told.verdict.findings)


if __name__ == "__main__":
    main()
