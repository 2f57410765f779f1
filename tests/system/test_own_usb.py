"""A board whose USB is its chip's own: its port goes and comes at every restart of the chip."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import os

import pytest
import serial
from workbench import PicoBench

from instar_tools.cable.port import connect
from instar_tools.simulated.plugged import Plugged


def pico(folder, main):
    return Plugged(PicoBench(folder).make(main).flash)


def test_the_port_of_a_pico_goes_with_a_reset_and_comes_again(tmp_path):
    with pico(tmp_path, "say('up')") as board:
        board.wait("repl")
        with serial.Serial(board.port, timeout=10) as held:
            before = os.readlink(board.port)
            board.press_reset()
            board.wait("repl")
            assert os.readlink(board.port) != before  # this name is still taken
            with pytest.raises(serial.SerialException):
                held.read(100_000)
        with serial.Serial(board.port, timeout=10) as port:
            port.write(b"\r")
            assert port.read_until(b">>> ").endswith(b">>> ")
    assert not os.path.lexists(board.port)


def test_one_command_after_the_other_finds_the_board(tmp_path):
    with pico(tmp_path, "say('up')") as board:
        for _ in range(2):
            with connect(board.port) as link:
                assert link.info.platform == "rp2"
                link.reset()


def test_a_board_that_restarts_by_itself_again_and_again_is_entered(tmp_path):
    main = "import machine, time\nsay('up')\ntime.sleep_ms(100)\nmachine.reset()"
    with pico(tmp_path, main) as board:
        board.wait("reset")
        with connect(board.port) as link:
            assert link.ask("print(6 * 7)") == 42
