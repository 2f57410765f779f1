"""mip installs instar: the real mpremote over a board's port, and mip on the board itself."""

from __future__ import annotations

import functools
import re
import subprocess
import sys
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from lab import GOOD, Lab

from instar_tools import image_builder, packaging, sets
from instar_tools.paths import FIRMWARE, ROOT
from instar_tools.simulated import stock_firmware
from instar_tools.simulated.board_kinds import RPI_PICO_W
from instar_tools.simulated.flash_builder import write_flash
from instar_tools.simulated.plugged import Plugged

STOCK = stock_firmware.app_image("v1.29.0")
BOARD = "ESP32_GENERIC"
IN_PLACE = [status for status in GOOD if status != "rebooting"]

INSTALL = """
import os
if "lib" not in os.listdir("/"):
    import machine, mip, network
    station = network.WLAN(network.STA_IF)
    station.active(True)
    station.connect("lab")
    while not station.isconnected():
        machine.idle()
    mip.install(%r)
    mip.install(%r, index=%r)
    machine.reset()
"""

# All modules of instar from a folder alone; the other chip's imports what this one has not.
IMPORT = """
import gc, json, os, sys
def modules(folder):
    for name, kind, *_ in os.ilistdir(folder):
        path = folder + "/" + name
        if kind == 0x4000:
            yield from modules(path)
        elif name != "pico_board.mpy" and name != "pico_board.py":
            yield path.rsplit(".", 1)[0]
def forget():
    for known in [known for known in sys.modules if known.split(".")[0] == "instar"]:
        del sys.modules[known]
    gc.collect()
def check(folder):
    sys.path[:] = [folder, ".frozen"]
    for path in modules(folder + "/instar"):
        name = path[len(folder) + 1:].replace("/", ".").replace(".__init__", "")
        found = __import__(name, None, None, ["x"]).__file__
        assert found.startswith(path), found
    forget()
    print("imported", folder)
def module(name):
    return __import__("instar." + name, None, None, ["x"])
def refused(folder, do, **settings):
    sys.path[:] = [folder, "/lib", ".frozen"]
    from instar.agent import Agent
    from instar.errors import Rejected
    from instar.settings import Settings
    from instar.store import Store
    from board import Board
    with open("/settings.json", "w") as file:
        json.dump(settings, file)
    try:
        do(Agent(Settings.load("/settings.json", Store("/state")), Board()))
        print("taken")
    except Rejected as error:
        print("Rejected:", error)
    del sys.modules["board"]
    forget()
"""


# A board whose agent works, with a watchdog that nothing feeds once mpremote is there.
WORKS = b"""
import machine, time
watchdog = machine.WDT(timeout=1500)
print('@instar {"event": "works"}')
while True:
    watchdog.feed()
    time.sleep_ms(20)
"""
# What helps then: an ESP32's watchdog can be made again, with more time.
LONGER = ("exec", "import machine; machine.WDT(timeout=600000)")


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    """The URL of a web server with what `instar package` builds."""
    folder = tmp_path_factory.mktemp("mip")
    packaging.build(folder)
    handler = functools.partial(Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def mpremote(port: str, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "mpremote", "connect", port, *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def main_py() -> bytes:
    """What docs/install.md says a main.py is."""
    text = (ROOT / "docs" / "install.md").read_text()
    (found,) = re.findall(r"<!-- main\.py -->\n```python\n(.*?)```", text, re.DOTALL)
    return found.encode()


def test_mip_on_the_board_installs_an_agent_that_takes_an_update(tmp_path, server, index):
    lab = Lab(tmp_path, server, heap="128wk")
    install = INSTALL % (f"{index}/instar-mender-mpy.json", BOARD, index)
    app = (FIRMWARE / "app.py").read_bytes()
    lab.flash(STOCK, files={"/boot.py": install.encode(), "/main.py": main_py(), "/app.py": app})
    lab.meet()
    assert lab.slot() == "ota_0" and lab.read("/lib/instar/agent.mpy")[:2] == b"M\x06"
    assert lab.read("/lib/board.mpy")[:2] == b"M\x06"
    deployment = lab.deploy(lab.file_artifact("release-2", "/data", "note.txt", b"hello"))
    lab.run("success")
    assert lab.server.statuses(deployment) == IN_PLACE and lab.read("/data/note.txt") == b"hello"


MURANO = {"murano_url": "https://m"}
MENDER = {"mender_url": "https://m"}
MAGISTRALA = {"magistrala_url": "https://m", "magistrala_secret": "s"}
WITHOUT = "%s: expected instar with its %s part, got one without"
# What is asked of which set, by which settings, and the answer.
REFUSALS = (
    ("instar-mender", "id", MURANO, WITHOUT % ("murano_url", "Murano")),
    (
        "instar-mender",
        "id",
        {"bootstrap_url": "https://m"},
        WITHOUT % ("bootstrap_url", "Magistrala"),
    ),
    (
        "instar-mender",
        "lambda agent: agent.publish('x', 1)",
        {**MENDER, **MAGISTRALA},
        WITHOUT % ("publish", "Magistrala"),
    ),
    ("instar-magistrala", "id", MENDER, WITHOUT % ("mender_url", "Mender")),
    ("instar-magistrala", "id", MURANO, WITHOUT % ("murano_url", "Murano")),
    (
        "instar-magistrala",
        "lambda agent: agent._updater._make('single-file')",
        MAGISTRALA,
        "no installer for payload type 'single-file': no module named 'instar.installers.files'",
    ),
    ("instar-murano", "id", MENDER, WITHOUT % ("mender_url", "Mender")),
    (
        "bare",
        "lambda agent: module('intake').Intake(agent.settings, {}, None, None)._verifier()",
        {**MURANO, "artifact_verify_keys": ["/settings.json"]},
        WITHOUT % ("artifact_verify_keys", "signatures"),
    ),
    (
        "bare",
        "lambda agent: module('servers.murano.activation')._pairs()",
        MURANO,
        WITHOUT % ("murano_auth", "certificates"),
    ),
    (
        "bare",
        "lambda agent: agent._updater._make('rootfs-image')",
        MURANO,
        "this board has no firmware slots: no module named 'instar.installers.firmware'",
    ),
)


def test_mpremote_installs_and_every_set_works_alone(tmp_path, index):
    """Each set has all that its modules import, and names what it has not."""
    flash, script = tmp_path / "board.flash", tmp_path / "check.py"
    files = {}
    for name in sets.SETS:
        built = image_builder.compiled(packaging.contents(name))
        files |= {f"/{name}/{path}": data for path, data in built.items()}
    files |= {
        f"/bare/instar/{path}": sets.PACKAGE / path for path in sets.modules(["murano", "boards"])
    }
    files["/main.py"] = WORKS
    write_flash(flash, STOCK, seed=5, size=8 << 20, files=files)
    calls = [f"check('/{name}')" for name in ("lib", *sets.SETS)]
    calls += [f"refused('/{name}', {do}, **{values})" for name, do, values, _ in REFUSALS]
    script.write_text(IMPORT + "\n".join(calls))
    with Plugged(flash, "1200wk") as board:
        board.wait("works")
        # This checkout's package.json; and a server's index, from which mip takes bytecode.
        words = ("package.json", f"boards/{BOARD}/package.json")
        said = mpremote(board.port, *LONGER, "mip", "install", *words)
        assert said.count("Installing:") == len(packaging.sources("instar")) + 1
        said = mpremote(board.port, "mip", "install", "--index", index, "--target", "/m", BOARD)
        assert "Installing: /m/board.mpy" in said
        said = mpremote(board.port, "run", str(script)).splitlines()
    imported = [f"imported /{name}" for name in ("lib", *sets.SETS)]
    assert said == imported + [f"Rejected: {why}" for *_, why in REFUSALS]


def test_a_pico_whose_program_is_taken_away_first_takes_what_mip_brings(tmp_path):
    """Its watchdog waits 8.4 s at most, and cannot be stopped; after a reset it does not run."""
    flash, link, package = tmp_path / "board.flash", tmp_path / "tty", tmp_path / "package.json"
    write_flash(flash, kind=RPI_PICO_W, seed=5, files={"/main.py": WORKS})
    (tmp_path / "mine.py").write_text("NAME = 'mine'")
    package.write_text('{"urls": [["mine.py", "mine.py"]], "version": "1"}')
    with Plugged(flash, link=link) as board:
        board.wait("works")
        mpremote(link, "fs", "rm", ":main.py", "+", "reset")
        board.wait("reset")
        board.wait("repl")
        mpremote(link, "mip", "install", package)
        assert mpremote(link, "exec", "import mine; print(mine.NAME)") == "mine\n"
        assert "watchdog" not in [event["event"] for event in board.events]
