"""The whole sweep, on a pool of processes: goldens, all states of one cut, mutants, chains, and
second cuts in what is left of the time.

    campaign = Campaign(root, names, jobs=4, seed=1, told=print)
    report = campaign.run(mutants=MUTANTS, soak=20, depth2=None, seconds=1100)
    report.is_good()
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import itertools
import math
import multiprocessing
import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

from . import workers
from .sweep import Verdict, make_keys
from .workers import Hunt, Summary

_TOGETHER = 4  # states a job
_THEN = 4  # second cuts for a first one
_TOLD = 500  # states between two lines about how far it is

Call = tuple  # (function of workers, its arguments)


@dataclass
class Row:
    """What came of one scenario. depth1: states run. depth2: digests of those run after a second
    cut. soak: chains."""

    name: str
    summary: Summary
    depth1: int = 0
    depth2: set[bytes] = field(default_factory=set)
    soak: int = 0
    bad: list[Verdict] = field(default_factory=list)

    def count(self, kind: str) -> int:
        """States with a finding of this kind."""
        return sum(any(found.kind == kind for found in verdict.findings) for verdict in self.bad)

    def missing(self) -> list[str]:
        """What has to be there of every scenario, and is not."""
        tried = {"second cut": self.depth2, "chain of cuts": self.soak}
        return [what for what, count in tried.items() if not count]


@dataclass
class Report:
    seed: int
    rows: dict[str, Row] = field(default_factory=dict)
    hunts: list[Hunt] = field(default_factory=list)
    seconds: float = 0

    def is_good(self) -> bool:
        """Nothing was found, every scenario had a second cut and a chain, and every mutant was
        caught."""
        clean = not any(row.bad or row.missing() for row in self.rows.values())
        return clean and all(hunt.verdict for hunt in self.hunts)


class Campaign:
    """See the module. root: an empty folder. told: called with lines for people.
    keep: a folder for the states that are bad."""

    def __init__(
        self,
        root: Path,
        names: Sequence[str],
        jobs: int,
        seed: int,
        told: Callable[[str], None],
        keep: Path | None = None,
    ) -> None:
        self.names, self.jobs, self.seed, self.told = names, jobs, seed, told
        self.report = Report(seed)
        make_keys(root / workers.KEYS)
        self._pool = ProcessPoolExecutor(
            jobs,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=workers.begin,
            initargs=(root, seed, keep),
        )

    def run(self, mutants: Iterable[str], soak: int, depth2: int | None, seconds: float) -> Report:
        """soak: chains. depth2: second cuts at most; None: as many as there is time for.
        seconds: after that no second cut begins in a scenario that had one; everything else is
        done whatever it takes."""
        self._began = time.monotonic()
        with self._pool:
            self._record()
            self._first_cuts(mutants)
            self._chains(soak)
            self._second_cuts(depth2, self._began + seconds)
        self.report.seconds = time.monotonic() - self._began
        return self.report

    def _flow(self, calls: Iterable[Call]) -> Iterator[tuple[Call, object]]:
        # Results as they come; never many more jobs waiting than there are processes.
        running: dict[Future, Call] = {}
        calls = iter(calls)
        while True:
            room = 2 * self.jobs - len(running)
            for call in itertools.islice(calls, room):
                running[self._pool.submit(*call)] = call
            if not running:
                return
            for done in wait(running, return_when=FIRST_COMPLETED).done:
                yield running.pop(done), done.result()

    def _record(self) -> None:
        for call, summary in self._flow((workers.record, name) for name in self.names):
            assert isinstance(summary, Summary)
            row = self.report.rows[call[1]] = Row(call[1], summary)
            self._take(row, [summary.verdict])
            counts = f"{summary.operations} operations, {summary.states} states"
            self.told(f"{row.name}: {counts}, {summary.verdict.seconds:.1f} s")
        self.report.rows = {name: self.report.rows[name] for name in self.names}

    def _take(self, row: Row, verdicts: Iterable[Verdict]) -> None:
        for verdict in verdicts:
            if verdict.findings:
                row.bad.append(verdict)
                for finding in verdict.findings:
                    self.told(f"{row.name}: {verdict.label}: {finding.kind}: {finding.text}")

    def _first_cuts(self, mutants: Iterable[str]) -> None:
        calls: list[Call] = []
        for row in self.report.rows.values():
            places = list(range(row.summary.states))
            for at in range(0, len(places), _TOGETHER):
                calls.append((workers.check, row.name, places[at : at + _TOGETHER]))
        # Scenarios that wait and scenarios that work take turns.
        random.Random(self.seed).shuffle(calls)
        hunts = [(workers.hunt, name) for name in mutants]
        done, states = 0, sum(row.summary.states for row in self.report.rows.values())
        for call, result in self._flow([*hunts, *calls]):
            if isinstance(result, Hunt):
                self._caught(result)
                continue
            row = self.report.rows[call[1]]
            row.depth1 += len(result)
            self._take(row, result)
            done += len(result)
            if done % _TOLD < len(result):
                self.told(f"{done} of {states} states, {time.monotonic() - self._began:.0f} s")

    def _caught(self, hunt: Hunt) -> None:
        self.report.hunts.append(hunt)
        how = f"caught by {hunt.scenario}, {hunt.verdict.label}" if hunt.verdict else "SURVIVED"
        how = hunt.error or how
        self.told(f"mutant {hunt.name}: {how} ({hunt.states} states, {hunt.seconds:.0f} s)")

    def _chains(self, count: int) -> None:
        names = itertools.islice(itertools.cycle(self.names), count)
        calls = ((workers.chain, name, number) for number, name in enumerate(names))
        for call, verdicts in self._flow(calls):
            row = self.report.rows[call[1]]
            row.soak += 1
            self._take(row, verdicts)

    def _second_cuts(self, most: int | None, deadline: float) -> None:
        for call, verdicts in self._flow(self._deeper(most, deadline)):
            row = self.report.rows[call[1]]
            row.depth2 |= {verdict.digest for verdict in verdicts}
            self._take(row, verdicts)

    def _deeper(self, most: int | None, deadline: float) -> Iterator[Call]:
        # Breadth first: a few second cuts for a first one of every scenario, and again.
        orders = {}
        for row in self.report.rows.values():
            orders[row.name] = list(range(row.summary.states))
            random.Random(f"{self.seed} {row.name}").shuffle(orders[row.name])
        rounds = itertools.zip_longest(*([(n, at) for at in o] for n, o in orders.items()))
        firsts = (first for turn in rounds for first in turn if first)
        jobs = None if most is None else math.ceil(most / _THEN)
        for name, place in itertools.islice(firsts, jobs):
            # After the deadline only until each scenario has met something new.
            if time.monotonic() < deadline or not self.report.rows[name].depth2:
                yield workers.deeper, name, place, _THEN
