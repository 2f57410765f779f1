"""The simulated Pico W: its flash, clock, resets and network; and instar on it."""

from __future__ import annotations

import hashlib

import pytest
from lab import Lab
from workbench import PicoBench, instar

from instar_tools import slot_builder
from instar_tools.paths import BOARDS, FIRMWARE, LIB

STORAGE = 0x12C000
PICO = ("--board", "RPI_PICO_W")


@pytest.fixture
def bench(tmp_path):
    return PicoBench(tmp_path)


def test_the_program_finds_a_stock_pico_w(bench):
    bench.make(
        "import sys, os, machine, gc, time\n"
        "def missing(name):\n"
        "  try: __import__(name)\n"
        "  except ImportError: return True\n"
        "say('found', path=sys.path, argv=sys.argv, root=sorted(os.listdir('/')),"
        " platform=sys.platform, uname=list(os.uname()), id=len(machine.unique_id()),"
        " epoch=time.gmtime(0)[:5], now=time.gmtime()[:3], date=machine.RTC().datetime()[:3],"
        " seconds=time.time(), nanoseconds=time.time_ns(), back=time.mktime(time.gmtime(86400)),"
        " cause=machine.reset_cause(), hard=hasattr(machine, 'HARD_RESET'),"
        " esp32=missing('esp32'), modules=sorted(sys.modules), free=gc.mem_free())\n"
    )
    bench.run()
    found = bench.one("found")
    assert (found["path"], found["argv"]) == (["", ".frozen", "/lib"], [])
    assert found["root"] == ["main.py"] and found["platform"] == found["uname"][0] == "rp2"
    assert found["uname"][4].endswith("Raspberry Pi Pico W with RP2040") and found["id"] == 8
    assert found["epoch"] == [1970, 1, 1, 0, 0] and found["back"] == 86400
    assert found["now"] == found["date"] == [2021, 1, 1]
    assert 0 <= found["seconds"] - 1609459200 < 20
    assert 0 <= found["nanoseconds"] // 10**9 - found["seconds"] <= 1
    assert (found["cause"], found["hard"], found["esp32"]) == (1, False, True)
    assert not {"nor", "rp2_machine", "machine_common", "mainboard"} & set(found["modules"])
    # 202,928 bytes of which a TLS session takes 26.7 KB, in words of twice the size.
    assert 2 * 165_000 < found["free"] < 2 * 176_000
    assert "slot" not in bench.one("boot") and bench.one("heap")["tls"] == 2 * 27 * 1024


FLASH = """
import rp2
f = rp2.Flash()
g = rp2.Flash(start=4096 * 100, len=8192)
def refused(**k):
    try: rp2.Flash(**k)
    except ValueError: return True
buf = bytearray(512)
"""


def test_rp2_flash_is_the_storage_and_nothing_else(bench):
    bench.make(
        FLASH
        + "say('size', all=[f.ioctl(n, 0) for n in (1, 2, 3, 4, 5, 9)], part=g.ioctl(4, 0))\n"
        "say('refused', what=[refused(start=s, len=l) for s, l in"
        " ((1, 4096), (0, 100), (868352, 4096), (864256, 8192), (-4096, 4096), (0, 0))])\n"
        "f.ioctl(6, 101)\n"
        "g.writeblocks(1, b'\\xf0' * 256, 256); g.writeblocks(1, b'\\x3f' * 256, 256)\n"
        "f.readblocks(101, buf, 256); say('anded', data=list(buf[254:258]))\n"
        "g.writeblocks(1, bytes(4096)); f.readblocks(101, buf); say('erased', data=sum(buf))\n"
        "g.readblocks(-400, buf); say('firmware', data=list(buf[:6]))\n"
    )
    assert bench.run().reason == "repl", bench.text
    assert bench.one("size") == {
        "event": "size", "all": [0, 0, 0, 212, 4096, None], "part": 2
    }  # fmt: skip
    assert bench.one("refused")["what"] == [True] * 6
    assert bench.one("anded")["data"] == [0x30, 0x30, 0xFF, 0xFF]
    assert bench.one("erased")["data"] == 0
    assert bench.one("firmware")["data"][:3] == [0x28, 0xCD, 0xC1]  # no bounds: the flash's first


@pytest.mark.parametrize(
    "call, why",
    [
        ("f.writeblocks(200, bytes(256), 100)", "program of 256 bytes"),
        ("f.writeblocks(200, bytes(100), 0)", "program of 100 bytes"),
        ("f.writeblocks(200, bytes(256))", "erase of 256 bytes"),
        ("f.ioctl(6, -1)", "outside the storage"),
        ("f.writeblocks(212, bytes(256), 0)", "outside the storage"),
        ("import vfs; vfs.VfsLfs2.mkfs(f)", "multiples of 256"),  # progsize=32
    ],
)
def test_what_the_sdk_asserts_is_a_panic_and_the_board_stands(bench, call, why):
    bench.make(FLASH + f"try: {call}\nexcept BaseException: say('caught')\nsay('survived')\n")
    assert bench.run().reason == "panic"
    assert why in bench.one("panic")["why"] and not bench.seen("caught", "survived")


def test_after_a_panic_only_the_watchdog_helps(bench):
    bench.make(
        FLASH + "import machine\nsay('cause', n=machine.reset_cause())\n"
        "if machine.reset_cause() == 1:\n  machine.WDT(timeout=8388)\n  f.ioctl(6, -1)\n"
    )
    bench.run()
    assert [event["n"] for event in bench.seen("cause")] == [1, 3]


def test_resets_report_the_watchdog_and_lose_the_clock(bench):
    bench.make(
        "import machine, time, sys\n"
        "n = len(open('/log').read()) if machine.reset_cause() == 3 else 0\n"
        "say('start', n=n, cause=machine.reset_cause(), year=time.gmtime()[0])\n"
        "open('/log', 'a').write('x')\n"
        "machine.RTC().datetime((2027, 3, 4, 0, 5, 6, 7, 0))\n"
        "if n == 0: f = open('/log', 'a'); f.write('x'); f.close(); machine.reset()\n"
        "if n == 1: f = open('/log', 'a'); f.write('x'); f.close(); sys.exit()\n"
    )
    bench.run()
    assert [(e["n"], e["cause"], e["year"]) for e in bench.seen("start")] == [
        (0, 1, 2021),  # power-on
        (1, 3, 2021),  # machine.reset(): the RTC is set anew
        (2, 3, 2027),  # soft reset: cause and clock stay
    ]
    bench.run(boots=1, rtc_us=0)
    assert bench.one("start")["year"] == 2000


def test_the_watchdog_has_a_limit_and_bites(bench):
    bench.make(
        "import machine\n"
        "def refused(ms):\n"
        "  try: machine.WDT(timeout=ms)\n"
        "  except ValueError as e: return str(e)\n"
        "if machine.reset_cause() == 1:\n"
        "  say('refused', what=[refused(ms) for ms in (8389, 60000, -1)])\n"
        "  machine.WDT(timeout=100)\n"
        "  while True: pass\n"
        "say('cause', n=machine.reset_cause())\n"
    )
    bench.run()
    assert bench.one("refused")["what"] == ["timeout exceeds 8388"] * 3
    assert bench.seen("watchdog") and bench.one("cause")["n"] == 3


def test_the_radio_is_a_cyw43s(bench):
    bench.make(
        "import network\nw = network.WLAN(network.STA_IF)\n"
        "def refused(*a):\n"
        "  try: w.connect(*a)\n"
        "  except Exception as e: return type(e).__name__\n"
        "said = [w.config('mac').hex(), w.status(), refused('net'), w.active(True), refused()]\n"
        "w.connect('net', 'key')\n"
        "w.active(False); gone = w.isconnected(); w.active(True); w.connect('net')\n"
        "say('wlan', first=said, gone=gone, mac=w.config('mac').hex(), status=w.status(),"
        " codes=[network.STAT_IDLE, network.STAT_GOT_IP, network.STAT_WRONG_PASSWORD])\n"
    )
    bench.run()
    wlan = bench.one("wlan")
    assert wlan["first"] == ["000000000000", 0, "OSError", None, "TypeError"]
    assert wlan["mac"].startswith("28cdc1") and wlan["status"] == 3 and wlan["gone"] is False
    assert wlan["codes"] == [0, 3, -3]


BOARD = """
import asyncio, machine, time, network
from board import Board
def refused(board):
    try: asyncio.run(board.connect())
    except Exception as e: return type(e).__name__ + ': ' + str(e)
say('refused', why=refused(Board()))
board = Board('net', 'key')
mac = board.identity()
asyncio.run(board.connect())
say('identity', same=mac == board.identity(), mac=mac['mac'], cause=board.reset_cause())
board.set_clock(1793491261)
say('clock', date=time.gmtime()[:5], seconds=time.time(), inventory=board.inventory())
class WDT:
    def __init__(self, timeout): say('wdt', ms=timeout)
    def feed(self): say('feed')
machine.WDT = WDT
board.feed()
board.watchdog(60000); board.watchdog(1000); board.feed()
Board().watchdog(3000)
network.WLAN.connect = lambda *a: None  # out of reach
network.WLAN(0).disconnect()
say('away', why=refused(Board('net', 'key', connect_s=0)))
"""


def test_its_board_module_does_what_instar_asks_of_it(bench):
    files = {
        "/board.py": BOARDS / "RPI_PICO_W" / "board.py",
        "/instar/__init__.py": LIB / "instar" / "__init__.py",
        "/instar/errors.py": LIB / "instar" / "errors.py",
        "/instar/pico_board.py": LIB / "instar" / "pico_board.py",
        "/instar/wifi_board.py": LIB / "instar" / "wifi_board.py",
    }
    bench.make(BOARD, {name: path.read_text() for name, path in files.items()})
    bench.run()
    assert "Transient: Wi-Fi: expected a setting wifi_ssid" in bench.one("refused")["why"]
    identity = bench.one("identity")
    assert identity["same"] and identity["mac"].startswith("28:cd:c1:")
    assert identity["cause"] == "power-on"
    assert bench.one("clock")["date"] == [2026, 11, 1, 0, 1]
    assert 0 <= bench.one("clock")["seconds"] - 1793491261 < 20
    inventory = bench.one("clock")["inventory"]
    assert all(type(value) in (str, int) for value in inventory.values()), inventory
    assert (inventory["storage_size"], inventory["slot"]) == (868352, "")
    assert [event["ms"] for event in bench.seen("wdt")] == [8388, 3000]
    assert len(bench.seen("feed")) == 1
    assert "no connection after 0 s, status 0" in bench.one("away")["why"]


def test_a_failed_boot_py_keeps_main_py_from_starting(bench):
    bench.make("say('main')\n", {"/boot.py": "1 / 0\n", "/rom/boot.py": "print('a fake')\n"})
    bench.run()
    assert bench.one("repl")["why"] == "error in boot.py" and not bench.seen("main")
    assert bench.text[-1].startswith("ZeroDivisionError")


def test_whatever_does_not_mount_is_formatted(bench):
    bench.make("import os\nsay('main')\n", {"/mine": "x"})
    bench.put(STORAGE, b"\x5a" * 8192)
    assert bench.run().reason == "repl"
    assert not bench.seen("main", "panic", "stuck")
    firmware = bench.flash.read_bytes()[:STORAGE]
    bench.put(STORAGE, b"\xff" * 8192)
    bench.run()
    assert bench.seen("repl") and bench.flash.read_bytes()[:STORAGE] == firmware


@pytest.mark.parametrize("how", ["before", "torn", "ragged", "after"])
def test_power_cuts_leave_the_old_file_or_the_new(bench, how):
    bench.make(
        "import os\nsay('file', text=open('/f').read())\n"
        "with open('/f.new', 'w') as f: f.write('new' * 500)\n"
        "os.rename('/f.new', '/f')\nsay('done')\n",
        {"/f": "old" * 500},
    )
    start = bench.flash.read_bytes()
    bench.run()
    assert bench.seen("done")
    whole = bench.flash.read_bytes()
    bench.flash.write_bytes(start)
    simulator = bench.simulator()
    simulator.run("done", seconds=30)
    for number in range(1, simulator.ops + 1):
        bench.flash.write_bytes(start)
        bench.run("done", power_cut_at=(number, how))
        assert bench.one("cut")["op"] == number
        first, second = (event["text"] for event in bench.seen("file"))
        assert first == "old" * 500 and second in ("old" * 500, "new" * 500)
    assert whole != start


def test_its_flash_says_what_board_it_is(bench, tmp_path):
    bench.make()
    bench.put(16, b"RPI_PICO_X")
    done = instar("sim", "run", bench.flash)
    assert done.returncode == 1 and "expected the flash of one of ESP32_GENERIC" in done.stderr


def test_a_heap_has_to_hold_more_than_tls(bench):
    bench.make()
    done = instar("sim", "run", bench.flash, "--heap", "27wk")
    assert done.returncode == 1 and "more than the 55296 bytes that TLS takes" in done.stderr


def test_sim_create_asks_for_what_fits_the_board(tmp_path):
    flash, image, app = tmp_path / "f", tmp_path / "image", tmp_path / "app"
    image.write_bytes(b"")
    app.mkdir()
    for words, code, why in (
        (("--image", image), 2, "has no firmware slots"),
        (("--flash-size", "4MB"), 1, "has 2097152 bytes of flash"),
        (("--app", app), 1, "expected one of app.py"),
    ):
        done = instar("sim", "create", flash, *PICO, *words)
        assert (done.returncode, why in done.stderr) == (code, True), done.stderr
        assert not flash.exists()
    for words in ((), ("--image", image, "--app", app)):
        done = instar("sim", "create", flash, *words)
        assert done.returncode == 2 and "--image is expected" in done.stderr


def test_sim_create_and_run(tmp_path):
    app, flash = tmp_path / "app", tmp_path / "board.flash"
    (app / "lib").mkdir(parents=True)
    (app / "app.py").write_text("import lib.thing\n")
    (app / "lib" / "thing.py").write_text('print(\'@instar {"event": "hello"}\')\n')
    done = instar("sim", "create", flash, *PICO, "--app", app)
    assert done.returncode == 0 and "RPI_PICO_W, 2048 KiB" in done.stdout, done.stderr
    # No settings: the slot starts, the agent does not, and the board waits for them.
    done = instar("sim", "run", flash, "--seconds", "30")
    assert "expected settings, but there are none" in done.stderr and "boot cause=" in done.stderr
    assert "ended by repl" in done.stderr and done.stderr.count("boot cause=") == 1
    assert "55296 of them held for TLS" in done.stderr


@pytest.fixture
def pico(tmp_path, server):
    return Lab(tmp_path, server, board="RPI_PICO_W")


def test_a_pico_w_joins_reports_and_stays_idle_without_writing(pico):
    pico.flash()
    pico.meet()
    device = pico.device()
    inventory = pico.server.inventory(device)
    assert inventory["slot"] == pico.slot() == "a" and inventory["storage_size"] == 868352
    assert inventory["board"].endswith("Pico W with RP2040")
    assert pico.app_slot() is None  # no record: deployed by hand
    ops = pico.board.ops
    before = hashlib.sha256(pico.path.read_bytes()).digest()
    idles = []
    pico.run(lambda event: event["event"] == "idle" and (idles.append(1) or len(idles) == 4))
    assert pico.board.ops == ops and hashlib.sha256(pico.path.read_bytes()).digest() == before
    assert not pico.errors()


def test_without_an_ssid_it_says_so(pico):
    pico.flash(settings={"wifi_ssid": ""})
    pico.run(lambda event: "expected a setting wifi_ssid" in event.get("message", ""))


def test_a_slot_for_the_air_is_what_was_deployed(pico):
    """An update of the application, and no other file, is what sim create lays into slot /a."""
    files = slot_builder.slot_files("RPI_PICO_W")
    deployed = slot_builder.device_files("RPI_PICO_W")
    slot = {name[3:]: data for name, data in deployed.items() if name.startswith("/a/")}
    assert slot == files and "instar/agent.mpy" in files and "app.mpy" in files
    beside = {name for name in deployed if not name.startswith("/a/")}
    assert beside == {"/boot.py", "/main.py"} | {
        f"/guard/instar/{name}.mpy" for name in ("__init__", "errors", "store", "boot")
    }
    assert deployed["/boot.py"] == (FIRMWARE / "boot.py").read_bytes()
