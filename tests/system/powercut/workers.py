"""What a process of the pool does: each call is one job, each result can be pickled.

    pool = ProcessPoolExecutor(initializer=begin, initargs=(root, seed))
    pool.submit(record, "firmware-good"); pool.submit(check, "firmware-good", [0, 1, 2])

A process keeps a world for each scenario that it was given states of. What fails here is no
product's fault, and is told as a finding of the kind `harness`.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import os
import pickle
import random
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .mutant import Mutant
from .mutants import MUTANTS
from .oracle import Finding
from .scenarios import SCENARIOS
from .sweep import Golden, Sweep, Verdict, prepare
from .world import Ran

HARNESS = "harness"
KEYS = "keys"


@dataclass(frozen=True)
class Summary:
    """Of a golden run. sampled: operations that are cut, of all that there were."""

    operations: int
    sampled: int
    states: int
    verdict: Verdict


@dataclass(frozen=True)
class Hunt:
    """What became of a mutant. verdict: the first one with findings, None: it survived, or
    could not be hunted (error says why). states: how many were tried. scenario: in which it was
    caught, or the last one."""

    name: str
    scenario: str
    states: int
    seconds: float
    verdict: Verdict | None
    error: str = ""


class _Place:
    """Where this process works."""

    root: Path
    seed: int
    keep: Path | None = None
    sweeps: dict[str, Sweep] = {}
    seen: dict[str, set[bytes]] = {}


def begin(root: Path, seed: int, keep: Path | None = None) -> None:
    """Of a process: ``root`` has the keys, and gets everything else but the states that are bad,
    which go to ``keep``."""
    _Place.root, _Place.seed, _Place.keep = root, seed, keep


def _own(name: str) -> Path:
    return _Place.root / f"process-{os.getpid()}" / f"{name}-{time.monotonic_ns()}"


def _golden(name: str) -> Path:
    return _Place.root / f"{name}.golden"


def record(name: str) -> Summary:
    """Make the golden run of a scenario, for all processes."""
    folder, keys = _Place.root / name, _Place.root / KEYS / "server"
    try:
        golden = prepare(folder, SCENARIOS[name], keys)
    except Exception:
        return Summary(0, 0, 0, _failed(("no cut",)))
    _golden(name).write_bytes(pickle.dumps(golden))
    return Summary(len(golden.trace.ops), golden.sampled, len(golden.cuts), golden.verdict)


def _sweep(name: str) -> Sweep:
    if name not in _Place.sweeps:
        golden: Golden = pickle.loads(_golden(name).read_bytes())
        _Place.sweeps[name] = Sweep(golden, _own(name), _Place.keep)
        _Place.seen[name] = {cut.digest for cut in golden.cuts}
    return _Place.sweeps[name]


def _guarded(
    name: str, path: tuple[str, ...], work: Callable[[Sweep], list[Verdict]]
) -> list[Verdict]:
    try:
        return work(_sweep(name))
    except Exception:
        if broken := _Place.sweeps.pop(name, None):
            broken.world.close()
        return [_failed(path)]


def _failed(path: tuple[str, ...]) -> Verdict:
    finding = Finding(HARNESS, traceback.format_exc())
    return Verdict(path, (finding,), Ran(0, None, False), 0)


def check(name: str, places: list[int]) -> list[Verdict]:
    """Of these of the golden run's cuts."""
    found = []
    for place in places:
        path = (f"state {place}",)
        found += _guarded(name, path, lambda sweep, at=place: [sweep.check(sweep.golden.cuts[at])])
    return found


def deeper(name: str, place: int, count: int) -> list[Verdict]:
    """Of ``count`` second cuts in the recovery from this one. No process tries a state twice."""
    draw = random.Random(f"{_Place.seed} {name} {place}")

    def work(sweep: Sweep) -> list[Verdict]:
        return sweep.deeper(sweep.golden.cuts[place], count, _Place.seen[name], draw)

    return _guarded(name, (f"deeper than state {place}",), work)


def chain(name: str, number: int) -> list[Verdict]:
    """Of cuts in a row."""
    draw = random.Random(f"{_Place.seed} {name} chain {number}")
    return _guarded(name, (f"chain {number}",), lambda sweep: [sweep.chain(draw)])


def hunt(name: str) -> Hunt:
    """Look for a mutant, until there is a finding."""
    began, states, where, found, error = time.monotonic(), 0, "", None, ""
    try:
        for scenario, verdict in _hunted(MUTANTS[name]):
            states, where = states + 1, scenario
            if verdict.findings:
                found = verdict
                break
    except Exception:
        error = traceback.format_exc()
    return Hunt(name, where, states, time.monotonic() - began, found, error)


def _hunted(mutant: Mutant) -> Iterator[tuple[str, Verdict]]:
    keys = _Place.root / KEYS / "server"
    for name in mutant.scenarios:
        folder = _own(f"{mutant.name}-{name}")
        golden = prepare(folder / "golden", SCENARIOS[name], keys, mutant.mutation)
        if golden.verdict.findings:
            raise ValueError(f"{name} shows it without a power cut: {golden.verdict.findings}")
        with Sweep(golden, folder / "sweep") as sweep:
            for cut in golden.by_risk(_Place.seed):
                yield name, sweep.check(cut)
