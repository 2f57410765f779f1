"""bench/board.py by the real `mpremote run`, on simulated boards that are plugged in."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys

from lab import MENDER_HEAP, Lab
from workbench import PicoBench

from instar_tools.paths import ROOT, micropython
from instar_tools.server.testing import DevServer
from instar_tools.simulated.plugged import Plugged

BENCH = ROOT / "bench" / "board.py"
PAGE = ROOT / "docs" / "benchmarks.md"
OTA_1 = 0x190000
FIGURES = {
    "sha256": ["sha256_kib_s"],
    "inflate": ["inflate_kib_s"],
    "files": ["file_kib_s", "record_ms"],
    "partition": ["program_kib_s", "erase_kib_s"],
    "p256": ["p256_sign_ms", "p256_verify_ms"],
    "rsa": ["rsa2048_verify_ms"],
    "handshake": ["connect_ms", "tls_ms"],
}
ALWAYS = {"board", "micropython", "mhz", "instar", "skipped"}
ALWAYS |= {f"{what}_{when}" for what in ("heap", "largest") for when in ("before", "after")}


JOIN = """
import network
station = network.WLAN(network.STA_IF)
station.active(True)
station.connect("lab")
"""


def mpremote(board, *words, program=("run", BENCH), folder=None):
    # mpremote waits for ever for an answer from a pty whose board is still starting.
    done = subprocess.run(
        [sys.executable, "-m", "mpremote", "connect", board.port, *words, *program],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        cwd=folder,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def figures(output):
    """The last line, whose keys are what was measured, and what it says was not."""
    found = json.loads(output.strip().splitlines()[-1])
    measured = [
        key for name, keys in FIGURES.items() if name not in found["skipped"] for key in keys
    ]
    assert set(found) == ALWAYS | set(measured)
    assert all(found[key] > 0 for key in measured if key != "connect_ms")
    return found


def test_everything_on_an_esp32_and_its_slot_is_as_it_was(tmp_path):
    with DevServer(tmp_path / "server") as server:
        lab = Lab(tmp_path, server)
        lab.flash()
        before = lab.path.read_bytes()[OTA_1:]
        with Plugged(lab.path, heap=MENDER_HEAP) as board:
            board.wait("pending")
            found = figures(mpremote(board, "exec", "FLASH = True; LEAST_MS = 1"))
            ota_1 = lab.path.read_bytes()[OTA_1 : OTA_1 + 0x180000]
            without = "import os; os.remove('/instar.json'); LEAST_MS = 1"
            bare = figures(mpremote(board, "exec", without))
    assert found["skipped"] == {}
    assert bare["skipped"].pop("partition").startswith("off: ")
    assert bare["skipped"] == {"handshake": "no SERVER given, and no settings"}
    assert ota_1 == before[: len(ota_1)]


def test_a_bare_pico_has_the_rest(tmp_path):
    bench = PicoBench(tmp_path).make("pass", {"/boot.py": JOIN})
    recipe = re.search(r"(?m)^    mpremote (rtc .*)$", PAGE.read_text())[1]
    with DevServer(tmp_path / "server") as server, Plugged(bench.flash) as board:
        board.wait("repl")
        found = figures(mpremote(board, "exec", "FLASH = True; LEAST_MS = 1"))
        # As the page says it, of another server; the simulated Pico's clock starts in 2021.
        (tmp_path / "ca.der").write_bytes(server.ca_der)
        address = server.url.removeprefix("https://")
        recipe = recipe.replace("updates.example:443", address).replace(
            "bench/board.py", str(BENCH)
        )
        words = shlex.split(recipe.replace("SERVER =", "LEAST_MS = 1; SERVER ="))
        reached = figures(mpremote(board, *words, program=(), folder=tmp_path))
    assert found["skipped"] == {
        "partition": "no firmware slots",
        "p256": "no instar on the board",
        "rsa": "no instar on the board",
        "handshake": "no SERVER given, and no settings",
    }
    assert found["instar"] is None and found["board"].endswith("Pico W with RP2040")
    assert reached["tls_ms"] > 0


def test_the_unix_port_needs_no_board(tmp_path):
    code = f"LEAST_MS = 1\nexec(open({str(BENCH)!r}).read())"
    done = subprocess.run(
        [micropython(), "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert figures(done.stdout)["sha256_kib_s"] > 0
    assert not list(tmp_path.iterdir())
