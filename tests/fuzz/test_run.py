"""`make fuzz` says what it did: how much it tried, and what it could not."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import importlib.util
import itertools
import os
import subprocess

import board

# isort: split
import clocked
import pytest
import run
from hypothesis import given, settings
from hypothesis import strategies as st


@pytest.fixture
def without_atheris(monkeypatch):
    """main(names) in a place where atheris is not installed, and hypothesis finds nothing."""
    monkeypatch.delenv("INSTAR_REQUIRE_ALL", raising=False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(run, "structured", lambda seconds: run.Result("structured", 7, 1, ""))
    return run.main


def test_it_counts_what_was_tried_and_ends_by_the_clock():
    tried = []

    @settings(max_examples=10, database=None)
    @given(st.integers())
    def test(number):
        tried.append(number)

    clock = clocked.Clock(50, itertools.count().__next__)
    clock.run([test])
    assert clock.executions == len(tried) > 20


def test_a_failure_when_the_time_is_over_is_still_that_failure():
    @settings(max_examples=100, database=None)
    @given(st.integers())
    def test(number):
        if number > 3:
            raise KeyError(number)

    with pytest.raises(KeyError, match="4"):
        clocked.Clock(50, itertools.count().__next__).run([test])


def test_structured_artifacts_for_a_second():
    result = run.structured(1)
    assert result.failure == ""
    assert 0 < result.runs != 150  # as it is, and not as many as were asked for


def test_the_last_line_says_that_atheris_is_missing(without_atheris, capsys):
    assert without_atheris([]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == (
        "atheris is not installed: no wheel for this Python, or no network. Only structured ran."
    )


def test_what_was_asked_for_has_to_run(without_atheris, monkeypatch, capsys):
    assert without_atheris(["reader"]) == 1
    assert capsys.readouterr().out.splitlines()[-1].endswith("Nothing ran.")
    monkeypatch.setenv("INSTAR_REQUIRE_ALL", "1")
    assert without_atheris([]) == 1
    assert without_atheris(["reeder"]) == 2


def test_a_failed_installation_of_atheris_is_tried_again(tmp_path):
    """`make fuzz` with a pip that fails, then one that does not."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (tmp_path / ".ready").touch()
    for name in ("pip", "python"):
        (programs / name).write_text(f'#!/bin/sh\necho "{name} was run"\nexit ${{FAILS:-0}}\n')
        (programs / name).chmod(0o755)
    (programs / "python").write_text("#!/bin/sh\necho fuzzing\n")
    said = [make(tmp_path, FAILS=code) for code in ("1", "0", "0")]
    assert ["atheris is not installed" in text for text in said] == [True, False, False]
    assert ["pip was run" in text for text in said] == [True, True, False]
    assert all("fuzzing" in text for text in said)


def make(venv, **environment) -> str:
    # A make around this one must not tell it what to do.
    plain = {name: text for name, text in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(
        ["make", "--silent", f"VENV={venv}", "fuzz"],
        cwd=board.ROOT,
        env={**plain, "MFLAGS": "", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr
