"""`instar flash` with the real esptool and mp-image-tool-esp32, on a simulated ESP32's port."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import serial

from instar_tools.cable import port
from instar_tools.flashing import partitions
from instar_tools.flashing.esptool_run import Esptool, EsptoolError
from instar_tools.image_builder import build_image
from instar_tools.real_boards import BOARDS
from instar_tools.simulated.flash_builder import parse_table, write_blank
from instar_tools.simulated.plugged import Plugged
from instar_tools.simulated.stock_firmware import APP_AT, official_image

IMAGE_AT = 0x1000
LAYOUT = partitions.read_csv(BOARDS["ESP32_GENERIC"].layout(4))
LOOK = "print(json.dumps([p.info()[4] for p in esp32.Partition.find()] + [{}.info()[4]]))"


class Bench:
    """A chip as it comes from its maker, and the command for it."""

    def __init__(self, folder):
        self.folder = folder
        self.flash = folder / "board.flash"
        write_blank(self.flash, seed=7)
        self.file = folder / "official.bin"
        self.file.write_bytes(official_image("v1.29.0"))

    def start(self, board, *words, name="ESP32_GENERIC"):
        line = [sys.executable, "-c", "from instar_tools.cli import main; main()", "flash"]
        line += ["--board", name, "--port", board.port, "--firmware", self.file, *words]
        out = subprocess.PIPE
        return subprocess.Popen(line, stdout=out, stderr=subprocess.STDOUT, text=True)

    def run(self, board, *words, code=0, **named):
        process = self.start(board, *words, **named)
        said, _ = process.communicate(timeout=60)
        assert process.returncode == code, said
        return said

    def put(self, address, data):
        with self.flash.open("r+b") as file:
            file.seek(address)
            file.write(data)

    def at(self, address, length):
        with self.flash.open("rb") as file:
            file.seek(address)
            return file.read(length)

    def table(self):
        return parse_table(self.flash.read_bytes())


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def slots(link):
    """The app partitions by name; the one that runs is the last."""
    link.run("import esp32, json, os")
    return link.ask(LOOK.format("esp32.Partition(esp32.Partition.RUNNING)"))


def child(process, seconds=20):
    """The process that it waits for and that esptool is."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
            with contextlib.suppress(OSError):  # another one that has just ended
                if b"write-flash" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    return int(pid)
        time.sleep(0.01)
    raise TimeoutError("esptool does not write")


def wrong_chip(bench, board):
    """Be refused, for a firmware that is another chip's."""
    bench.file.write_bytes(official_image("v1.29.0", "esp32s3"))
    said = " ".join(bench.run(board, name="ESP32_GENERIC_S3", code=1).split())
    for words in ("ESP32_GENERIC_S3 has an esp32s3", "an esp32 (", "--board ESP32_GENERIC"):
        assert words in said
    assert "Nothing was written, the board starts again as it was" in said


def firmware(version, seed):
    """A file whose application takes a while to write: it cannot be compressed."""
    files = {"x": random.Random(seed).randbytes(200_000)}
    app = build_image(version, files, project="micropython")
    return official_image(version)[: APP_AT - IMAGE_AT] + app, app


def test_esptool_dies_on_a_board_of_stock_micropython_and_the_next_run_mends_it(bench):
    bench.put(IMAGE_AT, firmware("v1.29.0", 1)[0])
    data, app = firmware("v1.30.0", 2)
    # A chip that waits in its loader does so until it is told to start, as a real one.
    with Plugged(bench.flash, heap="300k", boots_at_close=False) as board:
        assert board.wait("boot")["slot"] == "factory"
        board.wait("repl")
        old = bench.table()
        before = bench.flash.read_bytes()
        with serial.Serial(board.port, exclusive=True):
            assert f"{board.port} is busy" in bench.run(board, code=1)
        wrong_chip(bench, board)
        assert board.wait("boot")["slot"] == "factory"
        board.wait("repl")
        assert bench.flash.read_bytes() == before
        bench.file.write_bytes(data)
        with bench.start(board) as process:
            esptool = child(process)
            while bench.at(APP_AT, 300) != app[:300]:
                assert process.poll() is None
                time.sleep(0.01)
            os.kill(esptool, signal.SIGKILL)
            said, _ = process.communicate(timeout=60)
        assert process.returncode == 1, said
        assert "The chip has another partition table." in said
        assert "Erases the file system: settings, identity key, records" in said
        assert "esptool did not get to its end" in said and "run this again" in said
        assert app not in bench.flash.read_bytes() and bench.table() == old
        said = bench.run(board)
        for words in (
            "MicroPython v1.30.0 for the esp32",
            f"Found ESP32-D0WD-V3 (revision v3.0), MAC {before[:6].hex(':')}, 4 MiB of flash",
            "Layout: boards/ESP32_GENERIC/partitions-4MiB.csv, two slots",
            "The chip has another partition table.",
            "Hash of data verified.",
            "Verification successful (digest matched).",
            f"Next: instar deploy --board ESP32_GENERIC --port {board.port}",
        ):
            assert words in said
        assert board.wait("boot")["slot"] == "ota_0"
        names = [event["event"] for event in board.events]
        starts = [name for name in names if name in ("boot", "loader")]
        assert starts == ["boot", "loader", "boot", "loader", "boot"]  # in the loader when it died
        assert app in bench.flash.read_bytes() and bench.table() == LAYOUT
        with port.connect(board.port) as link:
            assert slots(link) == ["ota_0", "ota_1", "ota_0"]
            assert "instar.json" not in link.ask("print(json.dumps(os.listdir('/')))")
            link.write("/instar.json", b"{}")
            link.run("esp32.Partition('nvs').writeblocks(0, bytes(4096))")
        # An instar board now: its files outlive a flash, and one that was cut off at the table.
        bench.put(0x8000, b"\xff" * 4096)
        said = bench.run(board)
        assert "The chip has no partition table, but a file system where" in said
        assert "Keeps the file system" in said
        for name in ("application.bin' at 0x00010000", "boot-loader.bin' at 0x00001000"):
            assert f"{name} already in flash" in said
        assert bench.table() == LAYOUT
        with port.connect(board.port) as link:
            assert link.read("/instar.json") == b"{}"
            assert bench.at(0x9000, 4096) == bytes(4096)


def test_a_port_with_nobody_on_it(tmp_path):
    master, slave = os.openpty()
    tool = Esptool(os.ttyname(slave), tmp_path)
    python, module, *words = tool.look()
    with pytest.raises(EsptoolError) as failure:
        tool.ask([python, module, words[0], "--connect-attempts", "1", *words[1:]])
    os.close(master)
    os.close(slave)
    assert "Failed to connect" in failure.value.message
    assert "Nothing was written. Hold the board's BOOT button" in failure.value.message
