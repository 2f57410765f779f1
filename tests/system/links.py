"""A whole update with its link cut, in each place that makes a difference, and in random ones.

    PYTHONPATH=tests/system .venv/bin/python -m links [--seed N] [--cuts 200] [--jobs N]

A session without a cut is recorded first. Then, for every mark in it (link_marks.py) and for
random bytes, the update is done again with the connection cut there. Each has to end with success,
told truly, and what the object store's link carries twice has to stay below 64 KiB. The table
shows where was cut, how often, and what it cost at most; the exit code is 1 if anything failed.

Bytes twice are counted on the wire: the handshake and the head of a second connection are in them.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import logging
import multiprocessing
import random
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

import click
from lab import image
from link_faults import DOWN, UP, AfterAll, cut, reset
from link_marks import At, Mark, Marks
from link_world import World
from rich.console import Console
from rich.table import Table

TWICE = 64 << 10  # bytes of an Artifact that a cut may cost
LINKS = API, STORAGE = "api", "storage"


@dataclass(frozen=True)
class Session:
    """One way to do an update."""

    plain: bool
    compression: str

    def __str__(self) -> str:
        return f"{'plain HTTP' if self.plain else 'TLS'}, {self.compression}"


# What is compressed makes no difference to the API's link: there one of them is enough.
SESSIONS = {
    Session(plain=False, compression="none"): LINKS,
    Session(plain=False, compression="gzip"): (STORAGE,),
    Session(plain=True, compression="none"): LINKS,
}
RANDOM = [session for session in SESSIONS if not session.plain]


@dataclass(frozen=True)
class Cut:
    """One cut. row: of the table. mark: or else a byte of all that goes this way."""

    session: Session
    row: str
    link: str
    direction: str
    connection: int = 0
    mark: Mark | None = None
    byte: int = 0

    def fault(self):
        if self.mark:
            return cut(At(self.direction, self.connection, self.mark))
        kind = cut if self.byte % 2 else reset
        return kind(AfterAll(self.byte, self.direction))


@dataclass
class Golden:
    """A session in which nothing was cut. marks: (link, connection, direction) -> its marks;
    passed: (link, direction) -> bytes."""

    sent: int
    requests: int
    marks: dict[tuple[str, int, str], list[Mark]]
    passed: dict[tuple[str, str], int]


@dataclass
class Row:
    """A line of the table."""

    cuts: int = 0
    failures: list[str] = field(default_factory=list)
    twice: int = 0
    repeated: int = 0


# ---- in a worker: a world for each kind, made when it is first needed

_worlds: dict[bool, World] = {}


def world(session: Session) -> World:
    if session.plain not in _worlds:
        logging.getLogger("aiohttp").setLevel(logging.CRITICAL)  # requests that are cut: all day
        folder = Path(tempfile.mkdtemp(prefix="links-"))
        _worlds[session.plain] = World(folder, plain=session.plain).__enter__()
    return _worlds[session.plain]


def record(session: Session) -> Golden:
    """The session without a cut. Raises AssertionError if even that ends badly."""
    here = world(session)
    seen: dict[tuple[str, int, str], Marks] = defaultdict(lambda: Marks(not session.plain))
    proxies = {name: getattr(here.network, name) for name in LINKS}
    for name, proxy in proxies.items():
        proxy.look = lambda flow, chunk, name=name: seen[
            name, flow.pair.number, flow.direction
        ].feed(chunk)
    story = here.update(compression=session.compression)
    for proxy in proxies.values():
        proxy.look = lambda flow, chunk: None
    assert not story.wrong(), story.wrong()
    marks = {key: found.found for key, found in seen.items()}
    passed = {(name, way): proxies[name].passed[way] for name in LINKS for way in (UP, DOWN)}
    return Golden(story.sent, story.requests, marks, passed)


def play(each: Cut, golden: Golden) -> tuple[Cut, str, int, int]:
    """(the cut, what went wrong or empty, bytes twice, requests repeated)"""
    story = world(each.session).update(
        **{each.link: [each.fault()]}, compression=each.session.compression
    )
    twice = max(0, story.sent - golden.sent)
    wrong = story.wrong()
    if not wrong and not story.struck:
        wrong = "the link was not cut"
    if not wrong and twice >= TWICE:
        wrong = f"{twice} bytes twice"
    return each, wrong, twice, story.requests - golden.requests


# ---- what is cut


def boundaries(session: Session, golden: Golden) -> Iterator[Cut]:
    for (link, connection, direction), marks in sorted(golden.marks.items()):
        if link not in SESSIONS[session]:
            continue
        for mark in marks:
            place = mark.position if session.plain else mark.name
            row = f"{'HTTP' if session.plain else 'TLS'} {direction}: {place}"
            yield Cut(session, row, link, direction, connection, mark)


def anywhere(golden: dict[Session, Golden], count: int, seed: int) -> Iterator[Cut]:
    """Random bytes; most of them on the way where most bytes are."""
    chance = random.Random(seed)
    ways = [(STORAGE, DOWN)] * 5 + [(API, UP), (API, DOWN), (STORAGE, UP)]
    for number in range(count):
        session = RANDOM[number % len(RANDOM)]
        link, direction = chance.choice(ways)
        byte = chance.randrange(golden[session].passed[link, direction] * 98 // 100)
        row = f"random byte, {session.compression}"
        yield Cut(session, row, link, direction, byte=byte)


def sweep(count: int, seed: int, jobs: int) -> dict[str, Row]:
    rows: dict[str, Row] = defaultdict(Row)
    # Forked, so that images that were built are there.
    pool = ProcessPoolExecutor(jobs, multiprocessing.get_context("fork"))
    with pool:
        golden = dict(zip(SESSIONS, pool.map(record, SESSIONS), strict=True))
        cuts = [each for session in SESSIONS for each in boundaries(session, golden[session])]
        cuts += anywhere(golden, count, seed)
        tasks = [pool.submit(play, each, golden[each.session]) for each in cuts]
        for each in cuts:
            rows[each.row].cuts += 1  # in the table's order
        for task in as_completed(tasks):
            each, wrong, twice, repeated = task.result()
            row = rows[each.row]
            row.twice, row.repeated = max(row.twice, twice), max(row.repeated, repeated)
            if wrong:
                row.failures.append(f"{each}: {wrong}")
                click.echo(row.failures[-1], err=True)
    return rows


def show(rows: dict[str, Row], console: Console) -> None:
    table = Table("cut", "cuts", "failures", "bytes twice at most", "requests again at most")
    for name, row in sorted(rows.items()):
        figures = row.cuts, len(row.failures), row.twice, row.repeated
        table.add_row(name, *map(str, figures))
    console.print(table)


@click.command()
@click.option("--seed", default=1, help="Of the random bytes.")
@click.option("--cuts", default=200, help="How many random bytes.")
@click.option("--jobs", default=6, help="Boards at a time; they mostly wait.")
def main(seed: int, cuts: int, jobs: int) -> None:
    """Cut an update's links wherever it makes a difference."""
    began = time.monotonic()
    for name in ("release-1", "release-2", "release-3", "release-4", "release-5"):
        image(name)
    rows = sweep(cuts, seed, jobs)
    console = Console(width=99)
    show(rows, console)
    failures = sum(len(row.failures) for row in rows.values())
    total = sum(row.cuts for row in rows.values())
    seconds = time.monotonic() - began
    console.print(f"{total} cuts, {failures} failures, seed {seed}, {seconds:.0f} s")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
