"""``instar deploy``: instar and an application onto a board, over its serial port.

What is copied, and in which order, is in deploying.py and deploy_plan.py.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from . import slot_builder
from .cable import deploy_romfs
from .cable.deploy_plan import PROGRAMS, Wanted
from .cable.deploying import Job
from .cable.port import AUTO, Info, Link, WrongBoard, board_of, connect
from .image_builder import build_romfs
from .real_boards import BOARDS, RealBoard

_WATCHED = ", until its watchdog starts it again: within two minutes"
_BYTECODE = 6  # what mpy-cross writes, and MicroPython since 1.23 loads


@click.command()
@click.option("--port", default=AUTO, show_default=True, help="Like /dev/ttyUSB0 or COM3.")
@click.option(
    "--board", type=click.Choice(list(BOARDS)), help="Default: what the board says it is."
)
@click.option(
    "--app",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder with the application; without it the sample application.",
)
@click.option("--source", "form", flag_value="source", help="Copy .py files.")
@click.option("--mpy", "form", flag_value="mpy", default="mpy", help="Copy bytecode.  [default]")
@click.option("--romfs", "form", flag_value="romfs", help="instar as a ROMFS, where there is one.")
@slot_builder.slot_options
@click.option("--artifact-name", metavar="NAME", help="What the server is told runs now.")
@click.option("--in-place", is_flag=True, help="Change the running slot, not the other one.")
@click.option("--force", is_flag=True, help="Give up an update that is under way.")
@click.option("--dry-run", is_flag=True, help="Say what would be done; write nothing.")
@click.option("--reset/--no-reset", default=True, show_default=True, help="Start the board after.")
def deploy(
    port: str,
    board: str | None,
    app: Path | None,
    form: str,
    base: str,
    parts: tuple[str, ...],
    artifact_name: str | None,
    in_place: bool,
    force: bool,
    dry_run: bool,
    reset: bool,
) -> None:
    """Copy instar and an application onto the board at PORT.

    On a board that works already the slot that does not run is filled and then started; settings,
    keys and records stay. What was interrupted is mended by running this again.

    Exit 0: done, or nothing to do; 1: refused or failed; 2: wrong usage.
    """
    given_up = False
    with connect(port, on_port=lambda found: click.echo(f"{found}: connecting")) as link:
        try:
            kind = board_of(link.info, board)
            click.echo(f"{link.info.machine}, MicroPython {link.info.version_text}")
            files = wanted(link.info, kind, app, form, (base, parts))
            link.feed()
            new_romfs = bool(files.romfs) and deploy_romfs.differs(link, files.romfs)
            job = Job(link, files, in_place)
            if files.romfs:
                click.echo(f"ROMFS: {'to send' if new_romfs else 'there already'}")
            _tell_plan(job)
            job.check(force)
            if not dry_run:
                if new_romfs:
                    _write_romfs(link, files.romfs)
                    job = Job(link, files, in_place)  # the board was started anew
                    job.check(force)
                _run(job, artifact_name)
                given_up = force
        finally:
            if reset:
                link.reset(given_up)
    if not reset:
        click.echo(f"The board waits in its REPL{_WATCHED if link.info.watched else ''}")
    elif not dry_run:
        click.echo("The board starts. Next: instar monitor, or instar provision if it is new")


def wanted(
    info: Info, board: RealBoard, app: Path | None, form: str, instar: tuple[str, Collection[str]]
) -> Wanted:
    """What is to be on the board. Where the firmware brings instar, only the application; else a
    set of it and more parts, in the slot or in the ROMFS.

    Raises:
        WrongBoard: the board does not load the bytecode that there is.
    """
    if form != "source" and info.mpy_version != _BYTECODE:
        came = "no bytecode" if info.mpy_version is None else f"version {info.mpy_version}"
        raise WrongBoard(
            f"expected a board that loads bytecode of version {_BYTECODE}, got one that loads"
            f" {came}; copy the source: --source"
        )
    source = form == "source"
    own = slot_builder.slot_files(None, app, source)
    if info.frozen_instar and form != "romfs":
        return Wanted(own, {}, firmware=True)
    base, parts = instar
    files = slot_builder.slot_files(board.name, app, source, parts, base)
    root = slot_builder.root_files()
    if form != "romfs":
        return Wanted(files, root, firmware=False)
    romfs = build_romfs({path: data for path, data in files.items() if path not in own})
    return Wanted(own, {path: root[path] for path in PROGRAMS}, firmware=True, romfs=romfs)


def _write_romfs(link: Link, image: bytes) -> None:
    with _progress("romfs", len(image)) as sent:
        deploy_romfs.write(link, image, sent)
    click.echo(f"ROMFS: {len(image)} bytes, written and verified by SHA-256")


def _tell_plan(job: Job) -> None:
    work = job.work
    if job.nothing:
        click.echo("Nothing to do: the board has all of it")
        return
    where = f"slot /{work.slot}, in place" if work.in_place else f"slot /{work.slot}"
    if work.whole:
        click.echo(f"{where} has all of it; {len(work.root)} files to send beside the slots")
    else:
        click.echo(
            f"{where}: {len(work.sent)} files to send, {len(work.copied)} to copy on the board,"
            f" {len(work.kept)} there already; {len(work.root)} beside the slots"
        )
    for path in job.replaced:
        click.echo(f"{path} is replaced")
    for path, old in job.aside.items():
        click.echo(f"{path} is not instar's: it is kept as {old}, and does not run any more")
    for folder in work.dropped:
        click.echo(f"{folder} goes, for room: nothing starts from it")
    if work.in_place:
        click.echo(
            "Warning: there is no way back from a slot that is changed in place; if this is"
            " interrupted, run it again.",
            err=True,
        )


def _run(job: Job, name: str | None) -> None:
    if job.nothing:
        return
    with _progress("deploy", job.work.bytes_to_send) as sent:
        job.run(name, sent)
    work = job.work
    count = len(work.sent) + len(work.copied) + len(work.root)
    click.echo(
        f"Done: slot /{work.slot} runs from the next start; {work.bytes_to_send} bytes sent,"
        f" {count} files verified by SHA-256, {len(work.kept)} left as they were"
    )


@contextmanager
def _progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar, where there is a terminal; it is told the bytes of each piece."""
    bar = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*bar, console=console, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task(what, total=total)
        yield lambda count: progress.advance(task, count)
