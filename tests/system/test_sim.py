"""The simulated board as a whole: boots, resets, cuts, clock, TLS, heap; driven as users do."""

from __future__ import annotations

import json
import os
import socket
import ssl
import sys
import threading
import time
from datetime import datetime, timedelta, timezone

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from workbench import SAY, Bench, instar

from instar_tools.events import condition
from instar_tools.simulated.board_kinds import OTA_4MIB
from instar_tools.simulated.simulator import heap_bytes

OTA_0, OTA_1 = (row[2] for row in OTA_4MIB[3:])


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def test_the_program_finds_a_stock_board(bench):
    bench.make(
        "import sys, os, network, machine, binascii, gc\n"
        "say('found', path=sys.path, argv=sys.argv, cwd=os.getcwd(), root=sorted(os.listdir('/')),"
        " mac=binascii.hexlify(network.WLAN(network.STA_IF).config('mac')).decode(),"
        " cause=machine.reset_cause(), name=__name__, modules=sorted(sys.modules),"
        " system=hasattr(os, 'system'))\n",
        {"/sub/note.txt": "x"},
    )
    bench.run()
    found = bench.one("found")
    assert found["path"] == ["", "/rom", ".frozen", "/lib"]
    assert (found["argv"], found["cwd"], found["name"]) == ([], "/", "__main__")
    assert sorted(found["root"]) == ["rom", "sub"]
    assert found["mac"].startswith("240ac4") and len(found["mac"]) == 12
    assert found["cause"] == 1 and found["system"] is False
    assert not {"nor", "otadata", "control", "image"} & set(found["modules"])


def test_files_cannot_stand_in_for_the_simulated_modules(bench):
    fakes = {f"/{name}.py": "raise SystemError('a fake')" for name in ("machine", "esp32", "time")}
    bench.make(
        "import machine, esp32, time, control\nsay('end', own=control.MINE)\n",
        {**fakes, "/control.py": "MINE = 1"},
    )
    bench.run()
    assert bench.one("end")["own"] == 1


def test_the_romfs_comes_before_the_file_systems_programs(bench):
    bench.make("say('rom')\n", {"/main.py": "print('file')", "/boot.py": "print('boot.py')"})
    bench.run()
    assert bench.seen("rom") and bench.text == ["boot.py"]


def test_an_error_ends_in_the_repl_with_its_traceback(bench):
    bench.make("def f():\n  raise ValueError('no')\nf()\n")
    outcome = bench.run()
    assert (outcome.met, outcome.reason) == (False, "repl")
    assert bench.one("repl")["why"] == "error in main.py"
    assert bench.text[0].startswith("Traceback") and bench.text[-1] == "ValueError: no"
    assert 'File "/rom/main.py", line 5, in f' in "".join(bench.text)


def test_a_failed_boot_py_keeps_main_py_from_starting(bench):
    bench.make("say('main')\n", boot_py="1 / 0\n")
    bench.run()
    assert bench.one("repl")["why"] == "error in boot.py" and not bench.seen("main")


def test_files_survive_resets_and_the_program_is_not_flushed(bench):
    bench.make(
        "import machine\n"
        "n = len(open('/log').read()) if machine.reset_cause() != 1 else 0\n"
        "f = open('/log', 'a'); f.write('x'); f.close()\n"
        "g = open('/lost', 'w'); g.write('never closed')\n"
        "import os; say('boot_no', n=n, lost=os.stat('/lost')[6])\n"
        "machine.reset()\n"
    )
    assert bench.run(boots=3).reason == "boots"
    assert [event["n"] for event in bench.seen("boot_no")] == [0, 1, 2]
    assert [event["lost"] for event in bench.seen("boot_no")] == [0, 0, 0]
    causes = [event["cause"] for event in bench.seen("boot")]
    assert causes == ["PWRON_RESET", "HARD_RESET", "HARD_RESET"]


def test_a_soft_reset_keeps_slot_and_state(bench):
    bench.make("import machine, sys\nmachine.reset_cause() == 5 or sys.exit()\nsay('soft')\n")
    bench.run()
    assert [e["cause"] for e in bench.seen("boot")] == ["PWRON_RESET", "SOFT_RESET"]
    assert bench.seen("soft")


def test_a_blank_file_system_is_formatted_and_a_damaged_one_never(bench):
    bench.make("import os\nsay('root', names=os.listdir('/'))\n", {"/mine": "x"})
    vfs, length = 0x310000, 0xF0000
    bench.put(vfs, b"\xff" * length)
    bench.run()
    assert sorted(bench.one("root")["names"]) == ["boot.py", "rom"]
    bench.put(vfs, b"\x5a" * 8192)
    before = bench.flash.read_bytes()
    assert bench.run().reason == "stuck"
    assert "appears to be corrupted" in bench.text[0]
    assert bench.flash.read_bytes() == before


UPDATE = (
    "from esp32 import Partition\nPartition('ota_1').set_boot()\nimport machine\nmachine.reset()\n"
)
STAY = "from esp32 import Partition\nsay('slot', at=Partition(1).info()[4])\n"


def test_an_update_changes_the_program_and_stays_if_confirmed(bench):
    bench.make(UPDATE)
    new = bench.image(STAY + "Partition.mark_app_valid_cancel_rollback()\n", version="2")
    bench.put(OTA_1, new)
    bench.run()
    assert bench.one("slot")["at"] == "ota_1"
    bench.run()
    assert [e["slot"] for e in bench.seen("boot")] == ["ota_1"]


def test_a_crash_at_start_rolls_back(bench):
    bench.make("import machine\nif machine.reset_cause() == 1:\n " + UPDATE.replace("\n", "\n "))
    bench.put(OTA_1, bench.image("import machine\nmachine.WDT(timeout=5000)\n1 / 0\n"))
    bench.run()
    assert [(e["slot"], e["cause"]) for e in bench.seen("boot")] == [
        ("ota_0", "PWRON_RESET"),
        ("ota_1", "HARD_RESET"),
        ("ota_0", "WDT_RESET"),
    ]
    states = [bench.flash.read_bytes()[at + 24] for at in (0xD000, 0xE000)]
    assert states == [2, 4]  # VALID, ABORTED


def test_without_an_image_the_board_is_dead(bench):
    bench.make()
    bench.put(OTA_0, bytes(100))
    assert bench.run().reason == "dead"


def test_the_watchdog_kills_silence_and_only_that(bench):
    bench.make(
        "import machine, time\n"
        "cause = machine.reset_cause()\n"
        "say('start', cause=cause)\n"
        "dog = machine.WDT(timeout=300)\n"
        "if cause == 3: say('idle')\n"
        "for _ in range(5):\n  time.sleep_ms(100); dog.feed()\n"
        "say('fed')\n"
        "while True: pass\n"
    )
    outcome = bench.run("idle")
    assert outcome.met
    assert [e["event"] for e in bench.events if e["event"] in ("start", "fed", "watchdog")] == [
        "start", "fed", "watchdog", "start",
    ]  # fmt: skip


def test_writing_to_the_running_slot_is_a_panic(bench):
    bench.make(
        "import machine\nfrom esp32 import Partition\n"
        "if machine.reset_cause() == 1:\n"
        "  try: Partition(1).writeblocks(0, bytes(4096))\n"
        "  except BaseException: say('caught')\n"
        "say('survived', cause=machine.reset_cause())\n"
    )
    before = bench.flash.read_bytes()[OTA_0 : OTA_0 + 4096]
    bench.run()
    assert "running" in bench.one("panic")["why"] and not bench.seen("caught")
    assert bench.one("survived")["cause"] == 2
    assert bench.flash.read_bytes()[OTA_0 : OTA_0 + 4096] == before


def test_cuts_hit_exactly_their_operation_and_numbers_go_on_over_resets(bench):
    program = (
        "import machine\nif machine.reset_cause() == 1:\n"
        "  f = open('/a', 'w'); f.write('x' * 5000); f.close()\n  machine.reset()\n"
        "f = open('/b', 'w'); f.write('y'); f.close()\n"
    )
    bench.make(program)
    golden = bench.flash.read_bytes()
    bench.run(trace=True)
    ops = bench.seen("op")
    assert [op["number"] for op in ops] == list(range(1, len(ops) + 1)) and len(ops) > 8
    for how, number in (("before", 4), ("torn", 5), ("ragged", 6), ("after", len(ops))):
        bench.flash.write_bytes(golden)
        bench.run(trace=True, power_cut_at=(number, how), boots=4, seed=3)
        seen = [e for e in bench.events if e["event"] in ("op", "cut")]
        place = next(i for i, event in enumerate(seen) if event["event"] == "cut")
        assert (seen[place]["op"], seen[place]["how"]) == (number, how)
        done = [op for op in seen[:place] if op["event"] == "op"]
        # The boot loader's first two operations are the same; then so are the program's.
        assert [op["kind"] for op in done] == [op["kind"] for op in ops[:number]]
        after = bench.events[bench.events.index(seen[place]) + 1 :]
        assert next(e for e in after if e["event"] == "boot")["cause"] == "PWRON_RESET"


def test_equal_seeds_leave_equal_flash(bench):
    program = (
        "import os, random, asyncio\nf = open('/r', 'wb')\nf.write(os.urandom(40))\n"
        "f.write(bytes([random.getrandbits(8) for _ in range(40)]))\nf.close()\n"
    )
    left = []
    for seed in (5, 5, 6):
        bench.make(program)
        bench.run(seed=seed)
        assert bench.one("repl")["why"] == "end of main.py", bench.text
        left.append(bench.flash.read_bytes())
    assert left[0] == left[1] != left[2]


CLOCK = (
    "import machine, time\nrtc = machine.RTC()\n"
    "say('clock', date=rtc.datetime(), time=time.time(), zero=time.gmtime(0),"
    " back=time.mktime(time.gmtime(851472000)), kind=str(type(time.time())), ns=time.time_ns())\n"
)


def test_the_rtc_starts_at_2000_counts_and_survives_resets(bench):
    bench.make(
        CLOCK + "if machine.reset_cause() == 1:\n"
        "  rtc.datetime((2026, 12, 24, 0, 18, 30, 5, 250000))\n  machine.reset()\n"
    )
    bench.run()
    first, second = bench.seen("clock")
    assert first["date"][:4] == [2000, 1, 1, 5] and 0 <= first["time"] < 20
    assert first["zero"] == [2000, 1, 1, 0, 0, 0, 5, 1]
    assert first["back"] == 851472000 and first["kind"] == "<class 'int'>"
    assert 0 <= first["ns"] // 10**9 - first["time"] <= 1
    assert second["date"][:5] == [2026, 12, 24, 3, 18] and second["time"] >= 851452205
    bench.run(boots=1)
    assert bench.one("clock")["time"] < 20  # the power was off


def test_the_calendar_agrees_with_the_hosts(bench):
    days = [0, 58, 59, 60, 365, 366, 9555, 36524, 36525, 50000]
    bench.make(
        f"import time\nfor d in {days}:\n  say('day', d=d, t=time.gmtime(d * 86400),"
        " s=time.mktime(time.gmtime(d * 86400)))\n"
    )
    bench.run()
    for event in bench.seen("day"):
        date = datetime(2000, 1, 1) + timedelta(days=event["d"])
        want = [*date.timetuple()[:3], 0, 0, 0, date.weekday(), date.timetuple().tm_yday]
        assert (event["t"], event["s"]) == (want, event["d"] * 86400)


@pytest.mark.parametrize("filler", [0, 50_000])
def test_a_small_heap_is_what_the_program_has_and_in_one_piece(bench, filler):
    bench.make(
        "import gc\ngc.collect()\n"
        "say('heap_seen', free=gc.mem_free(), piece=len(bytearray(36000)))\n",
        filler_bin="f" * filler,
    )
    bench.run(heap="24wk")
    assert heap_bytes("24wk") == 49152
    assert filler < bench.one("heap")["romfs"] < filler + 1000
    assert 44000 < bench.one("heap_seen")["free"] < 49152
    assert bench.one("heap_seen")["piece"] == 36000


def certificate(subject, key, issuer, issuer_key, start, end, ca=False):
    def name(text):
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    names = x509.SubjectAlternativeName([x509.DNSName(subject)])
    return (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca, None), critical=True)
        .add_extension(names, critical=False)
        .sign(issuer_key, hashes.SHA256())
    )


class TlsServer:
    """Says hello once per connection; its certificate is of last week to next week."""

    def __init__(self, folder):
        now = datetime.now(timezone.utc)
        week = timedelta(days=7)
        ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        ca = certificate("ca", ca_key, "ca", ca_key, now - week, now + 9 * week, ca=True)
        leaf = certificate("localhost", key, "ca", ca_key, now - week, now + week)
        self.ca = ca.public_bytes(serialization.Encoding.DER)
        pem = folder / "server.pem"
        pem.write_bytes(
            leaf.public_bytes(serialization.Encoding.PEM)
            + key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(pem)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:  # closed: the test is over
                return
            threading.Thread(target=self._hello, args=[connection], daemon=True).start()

    def _hello(self, connection):
        try:
            with self._context.wrap_socket(connection, server_side=True) as tls:
                tls.sendall(b"hello")
        except OSError:  # the board left; its own events tell why
            connection.close()

    def close(self):
        self._listener.close()


TLS = """
import asyncio, ssl, socket, machine, time
def context():
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.verify_mode = ssl.CERT_REQUIRED
    with open('/ca.der', 'rb') as f: c.load_verify_locations(cadata=f.read(2000))
    return c
def blocking():
    s = socket.socket(); s.connect(socket.getaddrinfo('127.0.0.1', PORT)[0][-1])
    return context().wrap_socket(s, server_hostname='localhost').read(5)
async def streamed():
    r, w = await asyncio.open_connection(
        '127.0.0.1', PORT, ssl=context(), server_hostname='localhost')
    w.write(b'?'); await w.drain()  # the first write is what drives the handshake
    return await r.readexactly(5)
def attempt(when):
    for way in (blocking, lambda: asyncio.run(streamed())):
        try: say('tls', when=when, got=way().decode())
        except Exception as e: say('tls', when=when, got=repr(e))
attempt('2000')
for when in DATES:
    machine.RTC().datetime(when); attempt(str(when[0]))
"""


def test_tls_believes_the_boards_clock(bench):
    server = TlsServer(bench.folder)
    now = datetime.now(timezone.utc)
    dates = [
        (now.year, now.month, now.day, 0, now.hour, now.minute, now.second, 0),
        (now.year + 20, 1, 1, 0, 0, 0, 0, 0),
    ]
    program = TLS.replace("PORT", str(server.port)).replace("DATES", repr(dates))
    bench.make(program, {"/ca.der": server.ca})
    bench.run(heap="256wk")
    server.close()
    future = "ValueError('\\nThe certificate validity starts in the future\\n',)"
    expired = "ValueError('\\nThe certificate validity has expired\\n',)"
    assert [event["got"] for event in bench.seen("tls")] == (
        [future] * 2 + ["hello"] * 2 + [expired] * 2
    ), bench.text


def test_conditions():
    met = condition("success")
    events = [("idle", None), ("report", "failure"), ("idle", None), ("report", "success")]
    assert not any(met({"event": name, "status": status}) for name, status in events)
    assert met({"event": "idle"})
    assert condition("idle")({"event": "idle"}) and not condition(None)({"event": "idle"})


def test_a_run_ends_at_its_time_and_can_go_on(bench):
    bench.make("say('up')\nwhile True: pass\n")
    simulator = bench.simulator()
    assert simulator.run(seconds=0.5).reason == "deadline"
    assert simulator.run("up", seconds=30).met
    assert [event["boot"] for event in bench.seen("boot")] == [1, 2]


def test_the_command_line(bench):
    bench.folder.joinpath("main.py").write_text(
        SAY + "say('idle')\nprint('console')\nwhile 1: pass"
    )
    image, flash = bench.folder / "app.bin", bench.flash
    made = instar(
        "image", "-o", image, "--version", "1", "--no-instar", "--app", bench.folder / "main.py"
    )
    assert made.returncode == 0, made.stderr
    note = bench.folder / "note"
    note.write_text("a note")
    create = ("sim", "create", flash, "--image", image, "--file", f"{note}:/etc/note")
    assert instar(*create).returncode == 0
    assert instar(*create).returncode == 2  # exists
    done = instar("sim", "run", flash, "--until", "idle", "--seconds", "30", "--events")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0 and [e["event"] for e in events] == ["boot", "heap", "idle"]
    assert "heap 188416 bytes" in done.stderr
    done = instar("sim", "run", flash, "--until", "success", "--seconds", "0.5", "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (3, "", "")
    assert instar("sim", "run", flash, "--cut", "5:sideways").returncode == 2
    assert instar("sim", "run", flash, "--heap", "64kw").returncode == 2
