"""A simulated board on its serial port, with the real mpremote and esptool at the other end."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import serial
from mpremote.transport import TransportError
from mpremote.transport_serial import SerialTransport
from workbench import instar

from instar_tools.simulated import stock_firmware
from instar_tools.simulated.board_kinds import ESP32_GENERIC, KINDS, RPI_PICO_W
from instar_tools.simulated.flash_builder import write_flash
from instar_tools.simulated.plugged import Plugged

SAY = "import json\ndef say(event): print('@instar ' + json.dumps({'event': event}))\n"
MAIN = SAY + "import time\nsay('main')\nwhile True: time.sleep(0.05)\n"
BOOT = SAY + "say('boot.py')\n"
TRACEBACK = "Traceback (most recent call last):"


def make(path: Path, kind=ESP32_GENERIC, main: str = MAIN) -> Path:
    image = stock_firmware.app_image("v1.29.0") if kind.firmware_slots else None
    files = {"/boot.py": BOOT.encode(), "/main.py": main.encode()}
    write_flash(path, image, kind=kind, files=files, seed=1)
    return path


def program(*words: str | Path, cwd: Path | None = None):
    return subprocess.run(
        [sys.executable, "-m", *words],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def mpremote(board, *words: str, cwd: Path | None = None):
    done = program("mpremote", "connect", board.port, *words, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@contextlib.contextmanager
def repl(board, soft_reset: bool = False):
    """The board's raw REPL in this process: mpremote's own code, without its start."""
    link = SerialTransport(board.port, timeout=10)
    try:
        link.enter_raw_repl(soft_reset=soft_reset)
        yield link
        link.exit_raw_repl()
    finally:
        link.close()


def run_for_ever(link, code: str) -> None:
    """Start code in the raw REPL; returns when it said `go`."""
    link.exec_raw_no_follow(f"print('go')\n{code}")
    assert link.read_until(1, b"go\r\n").endswith(b"go\r\n")


def interrupted(link) -> str:
    """Press Ctrl-C; what the REPL says."""
    link.serial.write(b"\x03")
    return link.follow(10)[1].decode()


@pytest.fixture(scope="module", params=list(KINDS))
def board(request, tmp_path_factory):
    """One board of each kind, whose program is interrupted by whoever connects."""
    flash = tmp_path_factory.mktemp("board") / "board.flash"
    with Plugged(make(flash, KINDS[request.param])) as board:
        board.wait("main")
        yield board


@pytest.fixture
def esp32(tmp_path):
    with Plugged(make(tmp_path / "board.flash")) as board:
        board.wait("main")
        yield board


def test_code_runs_with_and_without_a_soft_reset(board):
    assert mpremote(board, "exec", "x = 5; print(x)").stdout == "5\n"
    assert mpremote(board, "resume", "exec", "print(x + 1)").stdout == "6\n"
    assert mpremote(board, "eval", "'x' in globals()").stdout.strip() == "False"


def test_the_board_says_what_it_is(board):
    with repl(board) as link:
        machine = link.exec("import os, sys; print(sys.implementation._machine)").decode().strip()
        assert machine in (
            "Simulated ESP32 module with ESP32",
            "Simulated Raspberry Pi Pico W with RP2040",
        )
        assert link.eval("os.uname().machine") == machine
        assert link.eval("hasattr(sys, 'atexit')") is False


def test_a_script_with_an_error_ends_with_its_traceback_and_code_1(board, tmp_path):
    script = tmp_path / "bad.py"
    script.write_text("def f():\n    1 / 0\nf()\n")
    done = program("mpremote", "connect", board.port, "run", script)
    assert done.returncode == 1 and TRACEBACK in done.stdout
    assert 'File "<stdin>", line 2, in f' in done.stdout
    assert "ZeroDivisionError: divide by zero" in done.stdout


def test_files_go_there_and_back_byte_for_byte_and_survive_a_reset(board, tmp_path):
    data = random.Random(1).randbytes(100_000)
    (tmp_path / "big").write_bytes(data)
    (tmp_path / "part").write_bytes(data[:30_000])
    mpremote(board, "fs", "cp", "big", "part", ":", "+", "reset", cwd=tmp_path)
    board.wait("boot.py")
    board.wait("main")
    back = ["fs", "cp", ":part", "back", "+", "fs", "sha256sum", ":big"]
    assert hashlib.sha256(data).hexdigest() in mpremote(board, *back, cwd=tmp_path).stdout
    assert (tmp_path / "back").read_bytes() == data[:30_000]


def test_folders_packages_and_the_clock(board, tmp_path):
    (tmp_path / "tree" / "sub").mkdir(parents=True)
    (tmp_path / "tree" / "sub" / "note.txt").write_text("a note\n")
    (tmp_path / "mod.py").write_text("WHAT = 'installed'\n")
    (tmp_path / "package.json").write_text('{"urls": [["mod.py", "mod.py"]], "version": "1"}')
    work = ["fs", "cp", "-r", "tree", ":", "+", "fs", "mkdir", ":empty", "+", "fs", "ls", ":"]
    listed = mpremote(board, *work, "+", "fs", "cat", ":tree/sub/note.txt", cwd=tmp_path).stdout
    assert "tree/" in listed and "empty/" in listed and "a note" in listed
    work = ["fs", "rm", "-r", ":tree", "+", "fs", "ls", ":", "+", "df", "+", "rtc", "--set"]
    gone = mpremote(board, *work, "+", "rtc", cwd=tmp_path).stdout
    assert "tree/" not in gone and "VfsLfs2" in gone and f"({time.localtime().tm_year}," in gone
    work = ["mip", "install", "package.json", "+", "exec", "import mod; print(mod.WHAT)"]
    assert mpremote(board, *work, cwd=tmp_path).stdout.endswith("installed\n")


def test_a_mounted_folder_carries_bytes_of_every_kind(board, tmp_path):
    (tmp_path / "every").write_bytes(bytes(range(256)) * 2)
    (tmp_path / "remote.py").write_text("ANSWER = 42\n")
    code = (
        "import remote; data = open('/remote/every', 'rb').read();"
        "out = open('/remote/out', 'wb'); out.write(data); out.close(); print(remote.ANSWER)"
    )
    assert "42" in mpremote(board, "mount", ".", "exec", code, cwd=tmp_path).stdout
    assert (tmp_path / "out").read_bytes() == bytes(range(256)) * 2


def test_a_soft_reset_runs_boot_py_and_from_the_friendly_repl_main_py_too(board):
    with repl(board, soft_reset=True) as link:
        assert board.wait("soft_reset") and board.wait("boot.py")
        assert board.wait("repl")["why"] == "end of boot.py"
        link.exit_raw_repl()
        link.read_until(1, b">>> ")
        link.serial.write(b"\x04")
        said = link.read_until(1, b'"main"}\r\n')
        assert b"MPY: soft reboot\r\n" in said and b'"boot.py"}\r\n' in said
        link.enter_raw_repl(soft_reset=False)


def test_who_connects_while_it_starts_has_the_repl(esp32):
    for _ in range(3):
        esp32.press_reset()
        with repl(esp32, soft_reset=True) as link:
            assert link.eval("1 + 1") == 2


def test_what_is_typed_stays_on_the_board(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    with Plugged(make(tmp_path / "board.flash")) as board, serial.Serial(board.port) as port:
        board.wait("main")
        port.write(b"\x03")
        assert port.read_until(b">>> ").endswith(b">>> ")
        port.write(b"secret = 1\r\x04")
        board.wait("soft_reset")
        board.wait("main")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["board.flash"]


def test_ctrl_c_interrupts_what_waits_and_what_never_waits(board):
    with repl(board) as link:
        for code in ("import time\ntime.sleep(60)", "while True: pass"):
            run_for_ever(link, code)
            assert "KeyboardInterrupt" in interrupted(link)
        assert link.eval("1 + 1") == 2


def test_ctrl_c_leaves_the_file_system_whole(board):
    with repl(board) as link:
        code = (
            "import time\nwhile True:\n with open('/w', 'w') as f: f.write('x' * 5000)\n"
            " time.sleep(0.001)"
        )
        for _ in range(3):
            run_for_ever(link, code)
            assert "KeyboardInterrupt" in interrupted(link)
            assert link.eval("len(set(open('/w').read()))") in (0, 1)


def test_a_program_that_takes_ctrl_c_as_a_byte_gets_it(board):
    with repl(board) as link:
        code = "import micropython, sys\nmicropython.kbd_intr(-1)\nb = sys.stdin.buffer.read(3)"
        run_for_ever(link, code + "\nmicropython.kbd_intr(3)\nprint(b)")
        link.serial.write(b"\x01\x03\x04")
        assert link.follow(10) == (b"b'\\x01\\x03\\x04'\r\n", b"")


def test_a_watchdog_goes_on_in_the_repl(board):
    with repl(board, soft_reset=True) as link:
        link.exec("import machine\nmachine.WDT(timeout=300)")
    board.wait("watchdog")
    assert board.wait("boot")["cause"] == "WDT_RESET"
    board.wait("main")


def test_a_reset_in_the_middle_of_a_copy_is_an_error_and_the_board_boots(tmp_path):
    flash = make(tmp_path / "board.flash")
    with Plugged(flash, power_cut_at=(60, "torn")) as board:
        board.wait("main")
        with pytest.raises(TransportError), repl(board) as link:
            link.serial.timeout = 1
            link.exec_raw("for n in range(60): open('/%d' % n, 'w').write('x' * 900)", timeout=1)
        assert board.wait("cut")["op"] == 60
        board.wait("main")
        assert mpremote(board, "exec", "print('well')").stdout == "well\n"


def test_output_that_nobody_reads_blocks_nothing(tmp_path):
    main = SAY + "for _ in range(3000): print('x' * 1000)\nsay('done')\n"
    with Plugged(make(tmp_path / "board.flash", main=main)) as board:
        board.wait("done")
        with serial.Serial(board.port) as port:
            board.press_reset()
            board.wait("done")
            assert port.read(10_000).count(b"x") > 9_000


def test_the_reset_button_starts_the_program_and_with_boot_the_loader(esp32):
    esp32.press_reset()
    assert esp32.wait("boot")["cause"] == "PWRON_RESET" and esp32.wait("main")
    esp32.press_reset(boot=True)
    esp32.wait("loader")
    esp32.press_reset()
    esp32.wait("main")


def test_esptool_takes_over_and_the_board_boots_when_it_is_gone(esp32):
    done = program("esptool", "--port", esp32.port, "--no-stub", "flash-id")
    assert done.returncode == 0 and "Detected flash size: 4MB" in done.stdout
    names = [event["event"] for event in esp32.events]
    assert names.count("loader") == 1
    assert esp32.wait("loader") and esp32.wait("main")
    assert mpremote(esp32, "exec", "print('back')").stdout == "back\n"


def test_the_boot_loader_is_the_roms_on_an_esp32_and_silence_on_a_pico(tmp_path):
    for kind, loader in ((ESP32_GENERIC, True), (RPI_PICO_W, False)):
        with Plugged(make(tmp_path / kind.name, kind)) as board:
            board.wait("main")
            with repl(board) as link:
                link.exec_raw_no_follow("import machine\nmachine.bootloader()")
                board.wait("bootloader")
                link.serial.timeout = 0.1
                said = link.read_until(1, b"waiting for download\r\n", timeout=0.1)
                assert (b"DOWNLOAD_BOOT" in said) is loader
            board.press_reset()
            board.wait("main")


def test_what_did_not_come_is_told_with_the_console(tmp_path):
    main = "print('hello from main')\nraise ValueError('no')\n"
    with Plugged(make(tmp_path / "board.flash", main=main)) as board:
        assert board.wait("repl")["why"] == "error in main.py"
        with pytest.raises(TimeoutError, match=r"(?s)idle expected.*ValueError: no"):
            board.wait("idle", 0.01)


def test_pins_are_told(esp32):
    with repl(esp32) as link:
        link.exec("from machine import Pin\nled = Pin(2, Pin.OUT)\nled.on(); led.on(); led.off()")
    told = [esp32.wait("pin") for _ in range(2)]
    assert [(event["name"], event["value"]) for event in told] == [("2", 1), ("2", 0)]


def test_the_command_prints_the_port_and_ends_with_sigterm(tmp_path):
    link = tmp_path / "port"
    flash = make(tmp_path / "board.flash")
    code = "from instar_tools.cli import main; main()"
    command = [sys.executable, "-c", code, "sim", "plug", flash, "--link", link]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert process.stdout.readline().decode().strip() == os.readlink(link)
        assert program("mpremote", "connect", link, "exec", "print(3)").stdout == "3\n"
    finally:
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=20)
    assert process.returncode == 0 and b"boot slot=ota_0" in told and not link.exists()


def test_a_port_cannot_be_linked_over_a_file(tmp_path):
    taken = tmp_path / "taken"
    taken.write_text("mine")
    done = instar("sim", "plug", make(tmp_path / "board.flash"), "--link", taken)
    assert done.returncode == 1 and "--link: a free path expected" in done.stderr
    assert taken.read_text() == "mine"
