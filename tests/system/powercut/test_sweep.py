"""The power-cut harness: that it says what is true, and a part of its sweep.

`python -m powercut` runs all of it, and longer; here each scenario has a few of its states, spread
over its whole run, and two planted bugs have to be caught.
"""

from __future__ import annotations

import random
import shutil
from dataclasses import dataclass, replace

import pytest

from . import workers
from .mutant import Mutant
from .mutants import MUTANTS
from .oracle import UNSTABLE
from .scenario import SETTINGS, Scenario
from .scenarios import SCENARIOS
from .software import WELL, firmware
from .sweep import Golden, Sweep, again, make_keys, prepare
from .trace import Recording
from .world import World

SEED = 1
PART = {
    "firmware-good": 8,
    "firmware-crash": 3,
    "firmware-unwell": 6,
    "firmware-aborted": 3,
    "app-good": 6,
    "app-bad": 8,
    "pico-app-good": 4,
    "pico-app-bad": 3,
    "single-file": 8,
    "directory": 6,
    "directory-aborted": 3,
    "provides": 5,
    "log": 5,
    "identity-key": 5,
    "bootstrap": 5,
    "murano-token": 5,
    "outbox": 5,
}


@pytest.fixture(scope="session")
def keys(tmp_path_factory):
    return make_keys(tmp_path_factory.mktemp("keys"))


def spread(golden: Golden, count: int):
    """So many of its cuts, at equal distances; where they begin is the seed's."""
    start = random.Random(SEED).random()
    step = len(golden.cuts) / count
    return [golden.cuts[int((number + start) * step)] for number in range(count)]


@pytest.mark.parametrize("name", PART)
def test_no_power_cut_loses_anything(tmp_path, keys, name):
    golden = prepare(tmp_path / "golden", SCENARIOS[name], keys)
    assert not golden.verdict.findings, golden.said
    with Sweep(golden, tmp_path / "sweep") as sweep:
        for cut in spread(golden, PART[name]):
            verdict = sweep.check(cut)
            assert not verdict.findings, (verdict.label, sweep.world.lab.said())


def test_nor_do_power_cuts_in_what_follows(tmp_path, keys):
    golden = prepare(tmp_path / "golden", SCENARIOS["provides"], keys)
    seen = {cut.digest for cut in golden.cuts}
    with Sweep(golden, tmp_path / "sweep") as sweep:
        draw = random.Random(SEED)
        first = golden.cuts[len(golden.cuts) // 3]
        verdicts = sweep.deeper(first, 4, seen, draw)
        assert len({verdict.digest for verdict in verdicts}) == len(verdicts) == 4
        verdicts.append(sweep.chain(draw))
        assert len(verdicts[-1].path) == 5
    assert not [(verdict.label, verdict.findings) for verdict in verdicts if verdict.findings]


@pytest.mark.parametrize("name", ["journal-before-report", "key-stored-late"])
def test_a_planted_bug_is_caught(tmp_path, keys, name):
    mutant = MUTANTS[name]
    scenario = SCENARIOS[mutant.scenarios[0]]
    golden = prepare(tmp_path / "golden", scenario, keys, mutant.mutation)
    assert not golden.verdict.findings, "it shows without a power cut"
    with Sweep(golden, tmp_path / "sweep", tmp_path / "bad") as sweep:
        verdicts = (sweep.check(cut) for cut in golden.by_risk(SEED))
        found = next(verdict for verdict in verdicts if verdict.findings)
    # And it is there again, long after the sweep.
    shutil.rmtree(golden.server)
    (file,) = (tmp_path / "bad").iterdir()
    verdict = again(file, tmp_path / "again").verdict
    assert (verdict.label, verdict.findings) == (found.label, found.findings)


def test_a_bug_that_shows_without_a_power_cut_is_not_caught_by_one(tmp_path, monkeypatch):
    make_keys(tmp_path / workers.KEYS)
    edit = ("closing.py", "    journal.close()\n", "    journal.closed()\n")
    monkeypatch.setitem(MUTANTS, "crude", Mutant("crude", "", ("provides",), (edit,)))
    workers.begin(tmp_path, SEED)
    hunt = workers.hunt("crude")
    assert hunt.verdict is None and hunt.states == 0
    assert "shows it without a power cut" in hunt.error


def test_a_trace_has_the_flash_at_each_of_its_operations(tmp_path, keys):
    scenario = SCENARIOS["log"]
    with World(tmp_path, scenario.board, like=keys) as world:
        scenario.prepare(world.lab)
        start = world.flash()
        recording = Recording(world)
        assert world.boot_until_quiet(scenario.max_boots).quiet
        trace = recording.end()
        assert trace.start == start != world.flash() == trace.state(trace.end())[0]
        for cut in trace.cuts():
            if not cut.request and not cut.shape:
                op, flash = trace.ops[cut.ops], trace.state(cut)[0]
                assert flash[op.address : op.address + len(op.before)] == op.before
        # Torn operations apart, the chip only ever does what a chip can.
        for op in trace.ops:
            if op.kind == "erase":
                assert set(op.after) == {0xFF}
            else:
                assert all(new & ~old == 0 for old, new in zip(op.before, op.after, strict=True))


def test_a_state_is_the_same_in_another_world(tmp_path, keys):
    golden = prepare(tmp_path / "golden", SCENARIOS["provides"], keys)
    last = golden.trace.end()
    with World(tmp_path / "other", like=golden.server) as world:
        flash, snapshot = golden.trace.state(last)
        world.load(flash, snapshot)
        assert world.flash() == flash and world.beliefs.take().key == snapshot.key
        after = world.view(golden.scenario)
        world.load(*golden.trace.state(golden.cuts[0]))
        before = world.view(golden.scenario)
    (done,), (to_do,) = after["deployments"].values(), before["deployments"].values()
    assert done["statuses"][-1] == "success" and to_do["statuses"] == []
    assert [found["id"] for found in after["devices"]] == [d["id"] for d in before["devices"]]


@dataclass(frozen=True)
class Meets(Scenario):
    """A board that is started with an application, and nothing more; all is well with that."""

    source: str = WELL

    def prepare(self, lab, mutation=None):
        lab.flash(firmware("release-1", {"mender"}, self.source), settings=SETTINGS)

    def judge(self, flash, view, ran):
        return []


COUNTS = "with open('/count', 'a') as f:\n    f.write('1')\n" + WELL


def test_what_another_start_changes_is_found(tmp_path, keys):
    calm = Meets("calm")
    assert not prepare(tmp_path / "calm", calm, keys).verdict.findings
    verdict = prepare(tmp_path / "counts", replace(calm, source=COUNTS), keys).verdict
    (finding,) = verdict.findings
    assert finding.kind == UNSTABLE and "another start changed the flash" in finding.text
