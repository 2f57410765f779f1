"""What instar takes on a board is within the committed budget."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from instar_tools import sets, size_cmd
from instar_tools.cli import main


def run(*words):
    return CliRunner().invoke(main, ["size", *words], env={"COLUMNS": "120"})


@pytest.fixture
def budget(tmp_path, monkeypatch):
    path = tmp_path / "size-budget.json"
    monkeypatch.setattr(size_cmd, "BUDGET", path)
    return path


def test_the_sets_are_within_the_committed_budget():
    """After a change that is worth its bytes: `instar size --update`."""
    done = run()
    assert done.exit_code == 0, done.output
    for name in (*sets.SETS, "mender+firmware", "servers/murano/updates.py"):
        assert f" {name} " in done.output


def test_the_committed_budget_is_close_to_what_is_there():
    budget = json.loads(size_cmd.BUDGET.read_text())
    found = size_cmd.measured()
    assert set(budget) == set(found)
    for name, size in found.items():
        assert size.mpy <= budget[name] <= 1.1 * size.mpy


def test_a_set_that_grew_is_told(budget):
    assert run("--update", "--no-modules").exit_code == 0
    numbers = json.loads(budget.read_text())
    grown = numbers["instar-murano"] - 8000
    budget.write_text(json.dumps({**numbers, "instar-murano": grown}))
    done = run("--no-modules")
    assert done.exit_code == 1
    assert f"instar-murano: expected at most {grown} bytes of .mpy, got " in done.output
    assert "instar size --update" in done.output and "instar-mender:" not in done.output


def test_a_set_without_a_budget_is_told(budget):
    budget.write_text("{}")
    done = run("--no-modules")
    assert done.exit_code == 1 and done.output.count("expected at most 0 bytes") == 5


def test_what_is_measured_is_what_is_there():
    path = "senml.py"
    size = size_cmd.size_of((path,))
    assert (size.files, size.py) == (1, (sets.PACKAGE / path).stat().st_size)
    assert size.stripped < size.mpy < size.romfs < size.py
