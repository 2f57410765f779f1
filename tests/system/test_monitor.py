"""`instar monitor` on simulated boards that are plugged in: it listens, and disturbs nothing."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner
from workbench import Bench

from instar_tools.cable import ports
from instar_tools.cable.monitoring import Lines
from instar_tools.cli import main
from instar_tools.simulated.plugged import Plugged

TALKS = """
import time
print('hello')
say('deployment', id='7')
say('progress', done=512, total=1024)
say('heap')
say('progress', done=None)
say('report', status='success')
while True:
    say('idle', seconds=1)
    time.sleep_ms(20)
"""
SECONDS = 30  # a limit, not a measure


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path).make(TALKS)


def monitor(board, *options):
    return CliRunner().invoke(main, ["monitor", "--port", board.port, *options])


def names(board):
    return [event["event"] for event in board.events]


def test_it_listens_and_the_board_does_not_notice(bench):
    with Plugged(bench.flash) as board:
        board.wait("idle")
        done = monitor(board, "--json", "--until", "idle", "--seconds", str(SECONDS))
        assert done.exit_code == 0, done.output
        assert {"event": "idle", "seconds": 1} in map(json.loads, done.stdout.splitlines())
        board.wait("idle")
        assert not {"repl", "reset", "soft_reset"} & set(names(board))
        missed = monitor(board, "--until", "failure", "--seconds", "0.1")
        assert missed.exit_code == 3


def test_reset_shows_the_start_with_all_it_says(bench):
    with Plugged(bench.flash) as board:
        board.wait("idle")
        done = monitor(board, "--reset", "--until", "success", "--seconds", str(SECONDS))
        assert done.exit_code == 0, done.output
        assert "reset" in names(board)
    said = done.stderr.splitlines()
    assert "hello" in said and "deployment id=7" in said and "report status=success" in said
    assert "heap" in said and "progress done=None" in said  # damaged: text as any other


def test_it_waits_for_a_board_that_is_unplugged(bench, tmp_path):
    told = []
    lines = Lines(str(tmp_path / "port"), told.append).until(time.monotonic() + SECONDS)
    with Plugged(bench.flash, link=tmp_path / "port") as board:
        board.wait("idle")
        assert b"idle" in next(line for line in lines if b"idle" in line)
    with Plugged(bench.flash, link=tmp_path / "port"):
        while len(told) < 2:
            next(lines)
        assert b"idle" in next(line for line in lines if b"idle" in line)
    lines.close()
    port = tmp_path / "port"
    assert told == [f"{port} is gone; waiting for it", f"{port} is back"]


def test_ctrl_c_ends_it_well(bench):
    program = "from instar_tools.cli import main; main()"
    with Plugged(bench.flash) as board:
        words = [sys.executable, "-c", program, "monitor", "--json", "--port", board.port]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            assert process.stdout and process.stdout.readline().startswith(b"{")
            process.send_signal(signal.SIGINT)
            assert process.wait(SECONDS) == 0
        finally:
            process.kill()
            process.stdout.close()


def test_no_such_port(monkeypatch):
    monkeypatch.setattr(ports, "WAIT", 0)
    done = CliRunner().invoke(main, ["monitor", "--port", "/dev/ttyNOBOARD"])
    assert done.exit_code == 1 and "no port /dev/ttyNOBOARD" in done.output
