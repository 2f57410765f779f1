"""The link to a board's REPL: what it answers, and every way in which it may fail."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from types import SimpleNamespace

import pytest
import serial
from scripted_repl import ScriptedRepl

from instar_tools.cable import port as link_module
from instar_tools.cable import ports, serial_line
from instar_tools.cable.doctor_checks import Examination
from instar_tools.cable.port import BoardError, BoardGone, PortError, TooOld, WrongBoard, connect

SECRET = "a-secret-of-this-board"


def usb(device, vid=0x303A, serial_number=None, location=None):
    return SimpleNamespace(
        device=device, vid=vid, pid=1, serial_number=serial_number, location=location
    )


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """What never comes is not waited for."""
    monkeypatch.setattr(ports, "WAIT", 0)
    monkeypatch.setattr(serial_line, "_PAUSES", (0,))


@pytest.fixture
def there(monkeypatch):
    """The serial ports of this machine: a list to fill; one that is no board's is among them."""
    names = []

    def comports():
        boards = [usb(name) if isinstance(name, str) else name for name in names]
        return [*boards, usb("/dev/ttyS0", vid=None)]

    monkeypatch.setattr(ports.list_ports, "comports", comports)
    return names


def refused(kind, **more):
    """What connect() says of a board."""
    with ScriptedRepl(**more) as board, pytest.raises(kind) as error, connect(board.port):
        pass
    return error.value.message


# Which port


def test_auto_is_the_only_board(there):
    there.append("/dev/ttyACM7")
    assert ports.resolve("auto") == "/dev/ttyACM7"


def test_auto_without_a_board_and_with_two(there):
    with pytest.raises(PortError, match="found none; plug it in"):
        ports.resolve("auto")
    there += ["/dev/ttyUSB1", "/dev/ttyUSB0"]
    with pytest.raises(PortError, match="found /dev/ttyUSB0, /dev/ttyUSB1; choose one"):
        ports.resolve("auto")


def test_a_port_that_does_not_exist_says_which_do(there):
    with pytest.raises(PortError, match="no port /dev/nonexist: there is none; plug"):
        ports.resolve("/dev/nonexist")
    there.append("/dev/ttyUSB0")
    with pytest.raises(PortError, match="there are /dev/ttyUSB0; choose"):
        ports.resolve("/dev/nonexist")


def test_a_busy_port_names_who_has_it():
    with ScriptedRepl() as board, connect(board.port), pytest.raises(PortError) as error:
        with connect(board.port):
            pass
    assert error.value.message.startswith(f"{board.port} is busy: ")
    assert f"(process {os.getpid()}) has it" in error.value.message


def test_a_port_that_is_not_permitted_names_the_group(monkeypatch):
    with ScriptedRepl() as board:
        monkeypatch.setattr(serial_line, "Line", _raise)
        monkeypatch.setattr(ports.os, "access", lambda *args: False)
        with pytest.raises(PortError, match=r"not permitted; .* sudo usermod -aG \w+ \$USER"):
            with connect(board.port):
                pass


def _raise(*args, **more):
    raise PermissionError(13, "Permission denied")


@pytest.mark.parametrize("port", ["/dev/null", "/dev", __file__])
def test_what_is_no_port_is_called_so(port):
    with pytest.raises(PortError, match=f"{port} is no serial port: there"), connect(port):
        pass


def test_a_url_is_no_file(there):
    with pytest.raises(PortError, match="socket://localhost:1 cannot be opened"):
        with connect("socket://localhost:1"):
            pass


# A port that goes and comes


@pytest.fixture
def patient(monkeypatch):
    """Ports are waited for, and that is told at once."""
    monkeypatch.setattr(ports, "WAIT", 20)
    monkeypatch.setattr(ports, "_TELL_AFTER", 0)
    monkeypatch.setattr(ports, "_LOOK", 0.01)


@pytest.mark.parametrize("asked", ["name", "auto"])
def test_a_port_that_is_missing_is_waited_for(patient, there, tmp_path, asked):
    port = str(tmp_path / "ttyACM0")
    with ScriptedRepl() as board:

        def told(text):
            said.append(text)
            os.symlink(board.port, port)
            there.append(port)

        said = []
        with connect("auto" if asked == "auto" else port, told=told) as link:
            assert link.port == port
    assert said == [f"waiting for {port if asked == 'name' else 'a board'}"]


def test_a_board_that_restarts_while_it_is_entered_is_entered_again(patient, tmp_path):
    port = tmp_path / "ttyACM0"
    with ScriptedRepl() as first, ScriptedRepl() as second:
        port.symlink_to(first.port)

        def restart(board):
            port.unlink()
            board.unplug()

        def told(text):
            port.symlink_to(second.port)

        first.at_ctrl_c = restart
        with connect(str(port), told=told) as link:
            assert link.info.platform == "esp32"


@pytest.mark.parametrize("number, other", [("E661", "E77"), ("0001", "0001"), (None, None)])
def test_a_board_is_known_again_under_another_name(there, number, other):
    neighbour = usb("/dev/ttyACM1", serial_number=other, location="2-1")
    there += [usb("/dev/null", serial_number=number, location="1-1"), neighbour]
    place = ports.Place("/dev/null", told=print)
    there[:] = [neighbour]
    with pytest.raises(PortError, match="no port /dev/null: there are /dev/ttyACM1"):
        place.find()
    socket = "1-2" if number == "E661" else "1-1"
    there.append(usb("/dev/ttyACM2", serial_number=number, location=socket))
    assert place.find() == "/dev/ttyACM2"


def test_no_descriptor_of_a_dead_port_stays_open():
    before = _ptys_open()
    with ScriptedRepl() as board:
        with serial_line.open_line(board.port) as line:
            assert _ptys_open() == before + 2  # the board's own, and this
            board.unplug()
            with pytest.raises(serial.SerialException):
                line.serial.read(1)
        assert _ptys_open() == before + 1


def _ptys_open():
    count = 0
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):
            count += os.readlink(f"/proc/self/fd/{number}").startswith("/dev/pts/")
    return count


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


def test_another_python_is_refused_whatever_its_version():
    message = refused(
        WrongBoard, about={"implementation": "circuitpython", "version_text": "9.2.1"}
    )
    assert "expected MicroPython 1.24 or later" in message and "got circuitpython 9.2.1" in message


def test_another_python_is_told_by_the_doctor():
    with ScriptedRepl(about={"implementation": "circuitpython"}) as board:
        with connect(board.port, any_version=True) as link:
            found = {check.what: check.fine for check in Examination(link).checks()}
    assert found == {"MicroPython": False, "board": True}


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


@pytest.fixture
def hasty(monkeypatch):
    monkeypatch.setattr(serial_line, "_PATIENCE", 0.05)
    monkeypatch.setattr(serial_line, "_QUIET_SECONDS", 0.05)


def test_a_board_that_falls_silent(hasty):
    with ScriptedRepl({"work": lambda board: None}) as board:
        with connect(board.port) as link, pytest.raises(BoardGone, match="the board fell silent"):
            link.run("work", seconds=0.05)


@pytest.mark.parametrize("raw_paste", [True, False])
def test_code_of_every_length_arrives(raw_paste):
    with ScriptedRepl(raw_paste=raw_paste) as board, connect(board.port) as link:
        for length in (63, 64, 65, 1000):
            link.run("#" * length)
            assert board.ran[-1] == "#" * length


def test_a_restart_while_code_is_sent_is_called_so():
    says = b"ets Jul 29 2019 12:21:46\r\n\r\nrst:0x1 (POWERON_RESET),boot:0x13\r\n"
    with ScriptedRepl(pasted={"half": says}) as board, connect(board.port) as link:
        with pytest.raises(BoardGone, match=r"restarted in the middle .* run this again"):
            link.run("half" + "#" * 1000)


def test_a_board_that_dies_before_it_takes_any_code(hasty):
    with ScriptedRepl() as board, connect(board.port) as link:
        board.window = b""
        with pytest.raises(BoardGone, match="the board fell silent"):
            link.run("pass")


def test_a_board_that_takes_nothing(monkeypatch):
    monkeypatch.setattr(serial_line, "_TAKES", 0.05)
    with ScriptedRepl() as board, connect(board.port) as link:
        with board.stopped(), pytest.raises(PortError, match=r"takes nothing .* press its RESET"):
            link.run("pass")
    with ScriptedRepl() as board, board.stopped():
        with pytest.raises(PortError, match=r"takes nothing .* press its RESET"):
            with connect(board.port):
                pass


# At the end


def test_after_ctrl_c_in_the_middle_the_board_is_reset():
    told = []

    def work(board):
        raise_in_main()

    with ScriptedRepl({"work": work}) as board, pytest.raises(KeyboardInterrupt):
        with connect(board.port, told=told.append) as link:
            try:
                link.run("work", seconds=100)
            finally:
                link.reset()
    assert board.ran[-1] == "import machine\nmachine.reset()"
    assert told == ["interrupted; run this again"]


def raise_in_main():
    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)


@pytest.mark.parametrize("given_up", [False, True])
def test_firmware_on_trial_is_left_by_a_soft_reset(given_up):
    with ScriptedRepl(about={"on_trial": True}) as board:
        with connect(board.port) as link:
            link.reset(given_up=given_up)
            board.settle()
    hard = "import machine\nmachine.reset()"
    ends = [hard] if given_up else ["outlast_trial()", "friendly", "soft reset"]
    assert board.ran[-len(ends) :] == ends
    assert (hard in board.ran) is given_up


def test_a_board_too_old_with_firmware_on_trial_is_not_taken_back():
    about = {"on_trial": True, "version": [1, 23, 0]}
    with ScriptedRepl(about=about) as board, pytest.raises(TooOld), connect(board.port):
        pass
    assert "import machine\nmachine.reset()" not in board.ran
