"""`instar doctor` on simulated boards that are plugged in: what it finds, and what it leaves."""

from __future__ import annotations

import json
import struct
import subprocess

import pytest
from click.testing import CliRunner
from lab import MENDER_HEAP, Lab
from workbench import Bench

from instar_tools.board_code import BOARD
from instar_tools.cable.doctor_flash import flash_checks, slot_check
from instar_tools.cable.doctor_instar import settings_checks, software_checks
from instar_tools.cli import main
from instar_tools.paths import micropython
from instar_tools.server.testing import DevServer
from instar_tools.simulated import flash_builder, stock_firmware
from instar_tools.simulated.plugged import Plugged

OTADATA = 0xD000
FRAGMENT = """
pieces = []
try:
    while True:
        pieces.append(None)
        pieces[-1] = bytearray(8192)
except MemoryError:
    pass
for i in range(0, len(pieces), 2):
    pieces[i] = None
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with DevServer(tmp_path_factory.mktemp("server")) as server:
        yield server


def doctor(board, *options, exit_code):
    """The rows by their names."""
    done = CliRunner().invoke(main, ["doctor", "--port", board.port, "--json", *options])
    assert done.exit_code == exit_code, (done.output, done.exception)
    found = json.loads(done.stdout)
    assert found["fine"] == (exit_code == 0)
    for check in found["checks"]:
        assert check["fine"] is not False or check["step"], check
    return {check["what"]: check for check in found["checks"]}


def faults(found):
    return {what for what, check in found.items() if check["fine"] is False}


def accepting(server):
    return lambda event: server.accept_all() if event["event"] == "pending" else None


def command(name):
    return f"instar {name} --port P"


# ---- whole boards


def test_a_healthy_board_is_left_as_it_was(tmp_path, server):
    lab = Lab(tmp_path, server)
    lab.flash()
    with Plugged(lab.path, heap="64wk", on_event=accepting(server)) as board:
        board.wait("idle")
        before = lab.path.read_bytes()
        found = doctor(board, exit_code=0)
        assert lab.path.read_bytes() == before
        board.wait("reset")
        board.wait("idle")  # it works again
        assert "watchdog" not in [event["event"] for event in board.events]
    assert found["instar"]["found"].endswith("from the firmware for ESP32_GENERIC")
    assert found["firmware slot"]["found"] == "ota_0 runs: proven"
    assert found["mender: TLS"]["found"].startswith("verified, answers in ")
    assert found["clock"]["found"].endswith("right; 127.0.0.1 sets it")


def test_what_the_server_and_the_store_have_wrong_is_told(tmp_path, server):
    lab = Lab(tmp_path, server)
    lab.flash(settings={"ca": ["/storage-ca.der"]}, files={"/.instar/identity-key": b"damaged"})
    with Plugged(lab.path, heap=MENDER_HEAP) as board:
        found = doctor(board, exit_code=1)
    assert faults(found) == {"mender: TLS", "records"}
    assert "not correctly signed by the trusted CA" in found["mender: TLS"]["found"]
    assert "instar provision --port" in found["mender: TLS"]["step"]
    assert found["records"]["found"] == "cannot be read: identity-key"


def test_settings_that_do_not_load_show_no_secret(tmp_path, server):
    lab = Lab(tmp_path, server)
    lab.flash(settings={"wifi_password": ["hunter2"], "watchdog": 0})
    with Plugged(lab.path, heap=MENDER_HEAP) as board:
        found = doctor(board, "--no-reset", exit_code=1)
    assert faults(found) == {"settings"}
    assert found["settings"]["found"] == (
        "settings: wifi_password: expected a string, got another value"
    )
    assert found["settings"]["step"].startswith("instar provision --port ")
    assert board.events[-1]["event"] == "off" and board.events[-2]["event"] == "repl"


def test_a_pico_with_a_heap_in_pieces_and_no_time(tmp_path, server):
    lab = Lab(tmp_path, server, "RPI_PICO_W")
    lab.flash(settings={"ntp_host": "", "watchdog": 0}, files={"/boot.py": pieces_boot()})
    with Plugged(lab.path) as board:
        found = doctor(board, exit_code=1)
    assert faults(found) >= {"largest block", "clock"}
    assert "no time server in the settings" in found["clock"]["found"]
    assert found["instar"]["found"].endswith("from /a/instar for RPI_PICO_W")
    assert found["watchdog"]["fine"] is None


def pieces_boot():
    from instar_tools.slot_builder import root_files

    return root_files()["/boot.py"] + FRAGMENT.encode()


def test_a_stock_board_needs_everything(tmp_path):
    path = tmp_path / "board.flash"
    flash_builder.write_blank(path, seed=1)
    with open(path, "r+b") as flash:
        flash.seek(stock_firmware.BOOTLOADER_AT["esp32"])
        flash.write(stock_firmware.official_image("v1.29.0"))
    with Plugged(path) as board:
        found = doctor(board, "--board", "RPI_PICO_W", exit_code=1)
    assert faults(found) == {"board", "partition table", "instar"}
    assert found["partition table"]["step"].startswith(f"instar flash --port {board.port}")
    assert found["instar"]["step"] == f"instar deploy --port {board.port}"


@pytest.mark.parametrize(
    "settings, watchdog_ms",
    [(None, None), ({"watchdog": 0}, None), ({}, 90_000_000)],
    ids=["without instar", "without a watchdog", "with one"],
)
def test_firmware_on_trial_is_not_taken_back(tmp_path, settings, watchdog_ms):
    """Nor later, by the watchdog that the doctor fed, and that outlives a soft reset."""
    bench = Bench(tmp_path)
    files = {} if settings is None else {"instar/__init__.py": "__version__ = '1'"}
    given = {} if settings is None else {"/instar.json": json.dumps(settings)}
    bench.make("import time\nsay('works')\nwhile True: time.sleep_ms(5)", given, **files)
    new = struct.pack("<I20sI", 1, bytes(20), 0) + bytes.fromhex("9a984347")  # slot 0, state NEW
    bench.put(OTADATA, new)
    with Plugged(bench.flash) as board:
        board.wait("works")
        found = doctor(board, exit_code=1)  # no instar there, or no whole one
        board.wait("works")  # again, after a soft reset
        assert board._board._watchdog_ms == watchdog_ms
        assert "reset" not in [event["event"] for event in board.events]
    assert found["firmware slot"]["found"] == "ota_0 runs: on trial"
    assert bench.flash.read_bytes()[OTADATA + 24] == 1  # PENDING_VERIFY, as it was


KINDS = """
class Ram:
    data = memoryview(bytearray(%(fill)r * (64 << 12)))
    def readblocks(self, n, buf, off=0):
        buf[:] = self.data[n * 4096 + off :][: len(buf)]
    def writeblocks(self, n, buf, off=0):
        self.data[n * 4096 + off :][: len(buf)] = buf
    def ioctl(self, op, arg):
        return {4: 64, 5: 4096}.get(op, 0)
import vfs
if %(kind)r:
    getattr(vfs, %(kind)r).mkfs(Ram())
print(look_kind(Ram()))
"""


@pytest.mark.parametrize(
    "kind, expected", [("VfsLfs2", "littlefs"), ("VfsFat", "fat"), ("", "None")]
)
def test_the_kind_of_a_file_system_is_read_from_its_blocks(kind, expected):
    code = (BOARD / "doctor" / "flash.py").read_text() + KINDS % {"kind": kind, "fill": b"\xff"}
    done = subprocess.run([micropython(), "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == expected


# ---- what answers mean that no simulated board gives


def rows(checks):
    return {check.what: check for check in checks}


SETTINGS = {"there": True, "servers": [("mender_url", "https://m")], "ca": None, "client": None}
SETTINGS |= {"keys": None, "stored_problem": None, "waits": False}


@pytest.mark.parametrize(
    "seconds, longest, found",
    [
        (60, None, "60 s"),
        (5, 8388, "5 s"),
        (60, 8388, "8.4 s: the chip waits no longer (the settings say 60 s)"),
        (0, 8388, "off"),
    ],
)
def test_the_watchdog_is_as_long_as_the_chip_can_wait(seconds, longest, found):
    settings = {**SETTINGS, "watchdog": seconds, "watchdog_ms": longest}
    assert rows(settings_checks(settings, command))["watchdog"].found == found


def test_fat_is_not_power_safe_and_little_room_is_told():
    flash = {"table": None, "kind": "fat", "size": 1 << 20, "free": 8192, "block": 4096}
    found = rows(flash_checks(flash, False, command))
    assert found["file system"].fine is False
    assert found["space for files"].fine is False


def test_a_slot_that_did_not_start_is_told():
    table = {"rows": [(0, 0x10, 0x10000, 1 << 20, "ota_0"), (0, 0x11, 0x110000, 1 << 20, "ota_1")]}
    table |= {"running": "ota_0", "boot": "ota_1", "otadata": ["ff" * 32, "ff" * 32]}
    flash = {"table": table, "kind": "littlefs", "size": 1 << 20, "free": 1 << 19, "block": 4096}
    assert rows(flash_checks(flash, False, command))["firmware slot"].fine is False


def test_one_slot_is_enough_where_instar_runs_from_the_file_system():
    table = {"rows": [(0, 0, 0x10000, 0x1F0000, "factory")], "running": "factory", "boot": None}
    flash = {"table": {**table, "otadata": None}, "kind": "littlefs", "size": 1, "free": 1}
    checks = rows(flash_checks({**flash, "block": 0}, True, command))
    assert checks["partition table"].fine is None


def test_a_stale_copy_that_runs_is_a_fault_and_one_that_lies_about_is_not():
    found = {"version": "1", "board": "RPI_PICO_W", "copies": ["/lib", "/a"]}
    machine = "Raspberry Pi Pico W with RP2040"
    for file, fine in (("/lib/instar/__init__.py", False), ("/a/instar/__init__.py", None)):
        checks = rows(software_checks({**found, "file": file}, machine, "RPI_PICO_W", command))
        assert checks["stale copy"].fine is fine
        assert "mpremote rm -r :/lib/instar" in checks["stale copy"].step


def test_instar_of_another_board_is_told():
    found = {"version": "1", "board": "RPI_PICO_W", "copies": [], "file": "/a/instar/__init__.py"}
    machine = "Generic ESP32 module with ESP32"
    (check,) = software_checks(found, machine, "ESP32_GENERIC", command)
    assert check.fine is False and check.step.endswith("--board ESP32_GENERIC")


@pytest.mark.parametrize(
    "left, active, damaged, fine",
    [(2, "b", False, None), (None, "a", False, False), (None, "b", True, False)],
)
def test_application_slots(left, active, damaged, fine):
    slots = {"running": "b", "active": active, "left": left, "damaged": damaged}
    assert slot_check(slots, command).fine is fine
