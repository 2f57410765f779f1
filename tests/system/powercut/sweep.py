"""A scenario run once without a cut, and then from every state that a power cut can leave.

    golden = prepare(folder, SCENARIOS["firmware-good"], keys)
    with Sweep(golden, folder) as sweep:
        for cut in golden.cuts:
            verdict = sweep.check(cut)

A board is started from the state until it is quiet, judged by the scenario's oracle, and started
once more: nothing may change by that. Recoveries can be recorded like the first run, so that the
power is cut in them, too: deeper() and chain().

Limits: one process; one scenario at a time. A `Golden` can be pickled, for others.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .failed import Failed
from .oracle import UNSTABLE, Finding
from .scenario import Scenario
from .software import Mutation
from .thinning import left_out
from .trace import Cut, Recording, Trace
from .world import Ran, World

CHAIN = 5  # cuts in a row


@dataclass(frozen=True)
class Verdict:
    """Of one recovery. path: the labels of its cuts. digest: of the state it began in."""

    path: tuple[str, ...]
    findings: tuple[Finding, ...]
    ran: Ran
    seconds: float
    digest: bytes = b""

    @property
    def label(self) -> str:
        return " > ".join(self.path) or "no cut"


@dataclass(frozen=True)
class Told:
    """A verdict with what the board said, the other lines of its console, and what the server has
    of the deployments."""

    verdict: Verdict
    said: list[str]
    console: list[str]
    deployments: list[dict[str, Any]]


@dataclass
class Golden:
    """The run without a cut: what it was prepared with, its trace, the states in it; sampled: on
    so many of its operations cuts fall."""

    scenario: Scenario
    server: Path
    trace: Trace
    cuts: list[Cut]
    verdict: Verdict
    said: list[str]
    sampled: int

    def by_risk(self, seed: int) -> list[Cut]:
        """The cuts in another order, for who stops at the first finding: those of plain data,
        which are many and alike, last."""
        ranges = self.scenario.sampled
        order = list(self.cuts)
        random.Random(f"{self.scenario.name} {seed}").shuffle(order)
        return sorted(order, key=lambda cut: self._in(cut, ranges))

    def _in(self, cut: Cut, ranges: Sequence[tuple[int, int]]) -> bool:
        if cut.request or cut.ops == len(self.trace.ops):
            return False
        address = self.trace.ops[cut.ops].address
        return any(start <= address < end for start, end in ranges)


def make_keys(folder: Path) -> Path:
    """A server's folder with nothing in it but keys, which take long to make."""
    with World(folder) as world:
        return world.server_folder


def prepare(
    folder: Path, scenario: Scenario, keys: Path, mutation: Mutation | None = None
) -> Golden:
    """Make a board and a server ready, and record the run without a cut.

    keys: of `make_keys`. The server's folder stays in ``folder``.
    """
    with World(folder, scenario.board, like=keys) as world:
        scenario.prepare(world.lab, mutation)
        world.beliefs.settle()
        world.forget()
        attempt = _Attempt(world, scenario, recorded=True)
        verdict, said = attempt.judged(), world.lab.said()
    assert attempt.trace is not None
    trace = attempt.trace
    left = left_out(trace, scenario.sampled)
    sampled = len(trace.ops) - len(left)
    return Golden(scenario, world.server_folder, trace, trace.cuts(left), verdict, said, sampled)


class _Attempt:
    """One run from where the world is, until it is quiet. path: the cuts that led there."""

    def __init__(
        self, world: World, scenario: Scenario, recorded: bool = False, path: Sequence[Cut] = ()
    ) -> None:
        self._world, self._scenario, self._path = world, scenario, path
        self._started = time.monotonic()
        owed = scenario.owed(world.flash(), world.view(scenario), len(path)) if path else None
        scenario.during(world.lab)
        recording = Recording(world) if recorded else None
        self.ran = world.boot_until_quiet(scenario.max_boots)
        self.ran.cuts, self.ran.owed = [cut.label for cut in path], owed
        self.trace = recording.end() if recording else None

    def judged(self) -> Verdict:
        flash, view = self._world.flash(), self._world.view(self._scenario)
        findings = list(self._scenario.judge(flash, view, self.ran))
        if self.ran.quiet:
            findings += self._once_more(flash, view)
        seconds = time.monotonic() - self._started
        digest = self._path[-1].digest if self._path else b""
        return Verdict(tuple(self.ran.cuts), tuple(findings), self.ran, seconds, digest)

    def told(self) -> Told:
        """The verdict, and what there was to read."""
        said, console = self._world.lab.said(), list(self._world.lab.console)
        view = self._world.view(self._scenario)
        return Told(self.judged(), said, console, list(view["deployments"].values()))

    def _once_more(self, flash: bytes, view: dict[str, Any]) -> Iterator[Finding]:
        again = self._world.boot_until_quiet(self._scenario.max_boots)
        if not again.quiet:
            yield Finding(UNSTABLE, f"started once more, it is not quiet: {again.why}")
        if again.boots != 1:
            yield Finding(UNSTABLE, f"started once more, it needs {again.boots} boots")
        after = self._world.flash()
        if after != flash:
            yield Finding(UNSTABLE, f"another start changed the flash{_first(flash, after)}")
        believed = self._world.view(self._scenario)
        for part, before in view.items():
            if believed[part] != before:
                text = f"another start changed the server's {part}: {before} became"
                yield Finding(UNSTABLE, f"{text} {believed[part]}")


def _first(old: bytes, new: bytes) -> str:
    at = next(at for at, pair in enumerate(zip(old, new, strict=True)) if pair[0] != pair[1])
    return f" from {at:#x} on: {old[at : at + 16].hex()} became {new[at : at + 16].hex()}"


def again(file: Path, folder: Path) -> Told:
    """Recover once more from a state that was kept."""
    failed = Failed.load(file)
    with failed.world(folder) as world:
        return _Attempt(world, failed.scenario, path=failed.path).told()


class Sweep:
    """Recoveries of one golden run's states, in a world of its own."""

    def __init__(self, golden: Golden, folder: Path, keep: Path | None = None) -> None:
        """keep: a folder for the states that are found to be bad; see failed.py."""
        self.golden, self._keep = golden, keep
        self.scenario = golden.scenario
        self.world = World(folder, self.scenario.board, like=golden.server)

    def __enter__(self) -> Sweep:
        return self

    def __exit__(self, *_: object) -> None:
        self.world.close()

    def check(self, cut: Cut) -> Verdict:
        """Recover from one of the golden run's cuts."""
        return self._judged(self.golden.trace, cut)

    def _run(self, trace: Trace, *path: Cut, recorded: bool = False) -> _Attempt:
        # trace: that of the last cut.
        self.world.load(*trace.state(path[-1]))
        return _Attempt(self.world, self.scenario, recorded, path)

    def _judged(self, trace: Trace, *path: Cut) -> Verdict:
        verdict = self._run(trace, *path).judged()
        if verdict.findings and self._keep:
            Failed.of(self.golden, path, *trace.state(path[-1])).save(self._keep)
        return verdict

    def _trace(self, trace: Trace, *path: Cut) -> Trace:
        recorded = self._run(trace, *path, recorded=True).trace
        assert recorded is not None
        return recorded

    def _cuts(self, trace: Trace) -> list[Cut]:
        return trace.cuts(left_out(trace, self.scenario.sampled, look=False))

    def deeper(self, cut: Cut, count: int, seen: set[bytes], draw: random.Random) -> list[Verdict]:
        """Record the recovery from this cut, and check ``count`` of the states in it that are
        not in ``seen``, to which they are added."""
        trace = self._trace(self.golden.trace, cut)
        fresh = [found for found in self._cuts(trace) if found.digest not in seen]
        chosen = draw.sample(fresh, min(count, len(fresh)))
        seen |= {found.digest for found in chosen}
        return [self._judged(trace, cut, found) for found in chosen]

    def chain(self, draw: random.Random, length: int = CHAIN) -> Verdict:
        """Cuts in a row: each falls anywhere in the recovery from the one before."""
        trace, path = self.golden.trace, [draw.choice(self.golden.cuts)]
        while len(path) < length:
            trace = self._trace(trace, *path)
            path.append(draw.choice(self._cuts(trace)))
        return self._judged(trace, *path)

    def find(self, labels: Sequence[str]) -> Iterator[Told]:
        """Go a path of labels, and tell what became of the board after each.

        Raises:
            LookupError: no state has this label.
        """
        trace, path = self.golden.trace, ()
        for label in labels:
            cuts = list(trace.all())
            cut = next((found for found in cuts if found.label == label), None)
            if cut is None:
                like = [found.label for found in cuts if found.label[:6] == label[:6]]
                raise LookupError(f"no state {label!r} here; there are {like}")
            path = (*path, cut)
            attempt = self._run(trace, *path, recorded=True)
            assert attempt.trace is not None
            trace = attempt.trace
            yield attempt.told()
