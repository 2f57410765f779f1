"""The link to a board's REPL: what it answers, and every way in which it may fail."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest
from scripted_repl import ScriptedRepl

from instar_tools.cable import port as link_module
from instar_tools.cable import serial_line
from instar_tools.cable.port import BoardError, BoardGone, PortError, TooOld, WrongBoard, connect

SECRET = "a-secret-of-this-board"


@pytest.fixture
def there(monkeypatch):
    """The serial ports of this machine: a list to fill; one that is no board's is among them."""
    names = []

    def comports():
        boards = [SimpleNamespace(device=name, vid=0x303A) for name in names]
        return [*boards, SimpleNamespace(device="/dev/ttyS0", vid=None)]

    monkeypatch.setattr(serial_line.list_ports, "comports", comports)
    return names


def refused(kind, **more):
    """What connect() says of a board."""
    with ScriptedRepl(**more) as board, pytest.raises(kind) as error, connect(board.port):
        pass
    return error.value.message


# Which port


def test_auto_is_the_only_board(there):
    there.append("/dev/ttyACM7")
    assert serial_line.resolve("auto") == "/dev/ttyACM7"


def test_auto_without_a_board_and_with_two(there):
    with pytest.raises(PortError, match="found none; plug it in"):
        serial_line.resolve("auto")
    there += ["/dev/ttyUSB1", "/dev/ttyUSB0"]
    with pytest.raises(PortError, match="found /dev/ttyUSB0, /dev/ttyUSB1; choose one"):
        serial_line.resolve("auto")


def test_a_port_that_does_not_exist_says_which_do(there):
    with pytest.raises(PortError, match="no port /dev/nonexist: there is none; plug"):
        serial_line.resolve("/dev/nonexist")
    there.append("/dev/ttyUSB0")
    with pytest.raises(PortError, match="there are /dev/ttyUSB0; choose"):
        serial_line.resolve("/dev/nonexist")


def test_a_busy_port_names_who_has_it():
    with ScriptedRepl() as board, connect(board.port), pytest.raises(PortError) as error:
        with connect(board.port):
            pass
    assert error.value.message.startswith(f"{board.port} is busy: ")
    assert f"(process {os.getpid()}) has it" in error.value.message


def test_a_port_that_is_not_permitted_names_the_group(monkeypatch):
    with ScriptedRepl() as board:
        monkeypatch.setattr(serial_line, "Line", _raise)
        monkeypatch.setattr(serial_line.os, "access", lambda *args: False)
        with pytest.raises(PortError, match=r"not permitted; .* sudo usermod -aG \w+ \$USER"):
            with connect(board.port):
                pass


def _raise(*args, **more):
    raise PermissionError(13, "Permission denied")


# What is on it


def test_what_the_board_says_of_itself():
    with ScriptedRepl() as board:
        found = []
        with connect(board.port, on_port=found.append) as link:
            assert link.info.version == (1, 29, 0) and link.info.mpy_version == 6
            assert link.info.machine == "Generic ESP32 module with ESP32"
        assert found == [board.port]


def test_an_old_micropython_is_told_which_is_needed():
    message = refused(TooOld, about={"version": [1, 23, 0], "version_text": "1.23.0"})
    assert "expected MicroPython 1.24 or later" in message and "got 1.23.0" in message
    assert "instar flash" in message


def test_an_old_micropython_may_be_asked_for_what_it_is():
    with ScriptedRepl(about={"version": [1, 19, 1]}) as board:
        with connect(board.port, any_version=True) as link:
            assert link.info.version == (1, 19, 1)


def test_without_micropython(monkeypatch):
    monkeypatch.setattr(serial_line, "_TRY_SECONDS", 0.01)
    assert "expected MicroPython's prompt, got nothing; press" in refused(PortError, silent=True)


@pytest.mark.parametrize(
    "machine, name, found",
    [
        ("Generic ESP32 module with ESP32", None, "ESP32_GENERIC"),
        ("Simulated Raspberry Pi Pico W with RP2040", "RPI_PICO_W", "RPI_PICO_W"),
        ("Raspberry Pi Pico 2 W with RP2350", None, "RPI_PICO2_W"),
    ],
)
def test_which_board_it_is(machine, name, found):
    assert link_module.board_of(SimpleNamespace(machine=machine), name).name == found


@pytest.mark.parametrize(
    "machine, name, message",
    [
        ("Raspberry Pi Pico W with RP2040", "ESP32_GENERIC", "expected ESP32_GENERIC on the port"),
        ("PYBv1.1 with STM32F405RG", None, "expected one of ESP32_GENERIC"),
    ],
)
def test_another_board(machine, name, message):
    with pytest.raises(WrongBoard, match=message):
        link_module.board_of(SimpleNamespace(machine=machine), name)


# In the middle of the work


def test_an_exception_on_the_board_shows_no_secret():
    trace = f"\x04Traceback (most recent call last):\r\nValueError: {SECRET}\r\n\x04".encode()
    with ScriptedRepl({"1/0": trace}) as board:
        with connect(board.port, secrets=[SECRET]) as link:
            with pytest.raises(BoardError) as error:
                link.run("1/0")
    assert error.value.message == "the board says: ValueError: ****"
    assert SECRET not in error.value.trace


def test_an_answer_that_is_no_json():
    with ScriptedRepl({"version": b"oh\r\n\x04\x04"}) as board, connect(board.port) as link:
        with pytest.raises(BoardError, match="expected JSON, got 'oh"):
            link.ask("version")


@pytest.mark.parametrize(
    "says",
    [
        b"rst:0x1 (POWERON_RESET),boot:0x13\r\n",
        b'MicroPython v1.29.0\r\nType "help()" for more information.\r\n>>> ',
        b'@instar {"event": "boot"}\r\n',
    ],
)
def test_a_restart_is_noticed_at_once(says):
    with ScriptedRepl({"work": lambda board: board.say(says)}) as board:
        with connect(board.port) as link:
            with pytest.raises(BoardGone, match=r"restarted in the middle .* run this again"):
                link.run("work", seconds=100)
            link.reset()  # of what is gone: says nothing, and waits for nothing


def test_a_board_that_is_unplugged():
    with ScriptedRepl({"work": lambda board: board.unplug()}) as board:
        with connect(board.port) as link, pytest.raises(BoardGone, match=r"is gone .* again"):
            link.run("work", seconds=100)


def test_a_board_that_falls_silent(monkeypatch):
    monkeypatch.setattr(serial_line, "_PATIENCE", 0.01)
    with ScriptedRepl({"work": lambda board: None}) as board:
        with connect(board.port) as link, pytest.raises(BoardGone, match=r"silent for 0\.05 s"):
            link.run("work", seconds=0.05)
