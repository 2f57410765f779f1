"""What the tables say of a campaign, and when it was a good one."""

from __future__ import annotations

from dataclasses import replace

from . import table
from .campaign import Report, Row
from .oracle import BRICK, LEFTOVER, LIE, Finding
from .sweep import Verdict
from .workers import Hunt, Summary
from .world import Ran

FINE = Verdict(("op 1 erase before",), (), Ran(1, "ota_0", True), 0.5)


def bad(label: str, *kinds: str) -> Verdict:
    return replace(FINE, path=(label,), findings=tuple(Finding(kind, "why") for kind in kinds))


def report(*verdicts: Verdict) -> Report:
    row = Row("log", Summary(20, 12, 30, FINE), depth1=30, soak=2, bad=list(verdicts))
    row.depth2 = {b"1", b"2", b"3"}
    return Report(1, {"log": row})


def test_a_state_counts_once_for_each_kind_of_finding():
    found = report(bad("a", BRICK, LIE), bad("b", BRICK), bad("c", LEFTOVER), bad("d", LIE, LIE))
    numbers = ("20", "12", "30", "30", "3", "2", "2", "2", "1")
    assert table.rows(found) == [("log", *numbers), ("together", *numbers)]
    assert not found.is_good()


def test_a_finding_is_told_once_with_the_states_that_have_it():
    told = list(table.findings(report(bad("a", LIE), bad("b", LIE))))
    assert told == ["log: lie: why\n    in 2 states; a"]


def test_nothing_found_is_good_if_every_planted_bug_was():
    good = report()
    assert good.is_good()
    good.hunts.append(Hunt("late", "log", 4, 1.0, bad("x", LIE)))
    assert good.is_good()
    good.hunts.append(Hunt("early", "log", 31, 9.0, None))
    assert not good.is_good()
    good.hunts[1] = Hunt("early", "", 0, 0.1, None, "ValueError: the product has changed")
    assert not good.is_good()


def test_a_scenario_without_a_second_cut_or_a_chain_is_not_good():
    lacking = report()
    lacking.rows["log"].depth2 = set()
    assert not lacking.is_good()
    assert list(table.findings(lacking)) == ["log: not one second cut was tried"]
    lacking = report()
    lacking.rows["log"].soak = 0
    assert not lacking.is_good()
    assert list(table.findings(lacking)) == ["log: not one chain of cuts was tried"]


def test_the_markdown_has_both_tables():
    found = report()
    found.hunts.append(Hunt("late", "log", 4, 1.0, bad("x", LIE)))
    found.hunts.append(Hunt("early", "log", 31, 9.0, None))
    found.seconds = 61.4
    lines = table.markdown(found).splitlines()
    assert lines[0] == "Seed 1, 61 s."
    named = {name for name, _ in table.LEGEND if f"- **{name}**: " in "\n".join(lines)}
    assert set(", ".join(sorted(named)).split(", ")) == {*table.HEAD[1:], *table.FOUND}
    assert "| log | 20 | 12 | 30 | 30 | 3 | 2 | 0 | 0 | 0 |" in lines
    assert "1 of 2 planted bugs were caught." in lines
    assert lines[-2:] == ["| early | SURVIVED |  | 31 |", "| late | log | x | 4 |"]
