"""Each set alone, on the board that has least room: an agent that does what the set is for; and
the heap that it takes where instar is not in the firmware."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner
from lab import APP, Lab

from instar_tools import slot_builder
from instar_tools.artifact_writer import ROOTFS, Content
from instar_tools.cli import main
from instar_tools.key_cmd import generate, private_pem, public_pem
from instar_tools.paths import BOARDS, micropython
from instar_tools.simulated import flash_builder, stock_firmware
from instar_tools.simulated.board_kinds import ESP32_GENERIC, RPI_PICO_W
from instar_tools.simulated.plugged import Plugged

# Blocks that a set leaves beside two slots: for the store, LittleFS's own needs, and messages that
# wait (16, if they may be 64 KiB; where there are fewer, the oldest go earlier).
ROOM = {"instar-mender": 28, "instar-magistrala": 28, "instar-murano": 10}
# Of an ESP32 with stock MicroPython, for one signed gzip update after the other. The documents say
# 136 KiB; with 128 the third in a row fails.
HEAP_FROM_FILES = "132wk"
PUBLISHES = """
import asyncio

async def run(agent):
    agent.publish("beats", 7)
    await asyncio.sleep(99)
"""
RECORDS = """
import asyncio

async def run(agent):
    agent.record("beats", 7)
    await asyncio.sleep(99)
"""


class PicoOfASet(Lab):
    """A Pico W whose slots hold one of the sets."""

    def __init__(self, folder, server, base):
        super().__init__(folder, server, board=RPI_PICO_W.name)
        self.base = base

    def slot_files(self, name, app):
        return slot_builder.slot_files(self.kind.name, self._app_folder(name, app), base=self.base)

    def _make(self, first, files, app):
        slot = {f"/a/{path}": data for path, data in self.slot_files("first", app).items()}
        super()._make(first, {**slot_builder.root_files(), **slot, **files}, app)

    def app_artifact(self, name, source=None, key=None, **release):
        tar = slot_builder.update_tar(self.slot_files(name, source))
        files = [Content(slot_builder.UPDATE_TAR, tar)]
        return self._write(name, {"payload_type": APP, "files": files, **release})


@pytest.mark.parametrize("base", ROOM)
def test_two_slots_of_a_set_leave_room_on_a_pico_w(tmp_path, base):
    files = slot_builder.slot_files("RPI_PICO_W", base=base)
    content = slot_builder.root_files() | {"/instar.json": bytes(1000), "/ca.der": bytes(600)}
    content |= {f"/{slot}/{path}": data for slot in "ab" for path, data in files.items()}
    flash = tmp_path / "pico.flash"
    flash_builder.write_flash(flash, kind=RPI_PICO_W, files=content, seed=1)
    done = subprocess.run(
        [micropython(), Path(__file__).parent / "read_free.py", flash],
        env={**os.environ, "MICROPYPATH": f"{BOARDS / 'UNIX'}:.frozen"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) >= ROOM[base]


def test_magistrala_alone_configures_the_board_and_publishes(tmp_path, server):
    lab = PicoOfASet(tmp_path, server, "instar-magistrala")
    lab.flash_blank(app=PUBLISHES)
    lab.register({"mender_url": None})
    lab.run(lambda event: event["event"] == "published")
    (message,) = server.messages("readings")
    assert {record["v"] for record in json.loads(message["body"])} == {7}
    assert not lab.errors() and not server.devices()


def test_murano_alone_records_and_updates_its_own_slot(tmp_path, server):
    lab = PicoOfASet(tmp_path, server, "instar-murano")
    lab.flash(settings=lab.product(), app=RECORDS)
    lab.run(lambda event: event["event"] == "recorded")
    assert lab.told("beats") == ["7"]
    lab.offer("release-2", lab.app_artifact("release-2", RECORDS).read_bytes())
    lab.run("success")
    assert lab.slot() == "b" and lab.otau("release-2")[-1] == "INSTALLED_VERSION"


def doctors_row(board):
    done = CliRunner().invoke(main, ["doctor", "--port", board.port, "--json"])
    rows = {check["what"]: check for check in json.loads(done.stdout)["checks"]}
    return rows["heap for updates"]


def test_stock_firmware_takes_one_update_after_the_other(tmp_path, server):
    """All of instar's code is in the heap, and no power cut between them tidies that up."""
    lab, key = Lab(tmp_path, server), generate("p256")
    files = slot_builder.device_files(ESP32_GENERIC.name) | {"/key.pem": public_pem(key)}
    old, new = (stock_firmware.app_image(version) for version in ("v1.29.0", "v1.30.0"))
    lab.flash(old, {"artifact_verify_keys": ["/key.pem"]}, files)
    slot = slot_builder.update_tar(slot_builder.slot_files(ESP32_GENERIC.name))
    app = {"payload_type": APP, "files": [Content(slot_builder.UPDATE_TAR, slot)]}
    (tmp_path / "micropython.bin").write_bytes(new)
    firmware = {"payload_type": ROOTFS, "files": [tmp_path / "micropython.bin"]}
    with Plugged(lab.path, HEAP_FROM_FILES, on_event=lab._event) as board:
        board.wait("idle")
        for name, release in {"app-2": app, "micropython-1.30": firmware}.items():
            lab.deploy(lab._write(name, {**release, "key": private_pem(key)}))
            board.wait("success", 60)
        row = doctors_row(board)
        assert row["fine"], row
    assert not lab.errors() and lab.slot() == "ota_1" and lab.app_slot() == "b"


def test_doctor_says_that_a_heap_is_too_small_for_instar_in_files(tmp_path):
    """112 KiB are about what an ESP32 without PSRAM has beside its Wi-Fi."""
    flash, files = tmp_path / "board.flash", slot_builder.device_files(ESP32_GENERIC.name)
    flash_builder.write_flash(flash, stock_firmware.app_image("v1.29.0"), files=files, seed=1)
    with Plugged(flash, "112wk") as board:
        row = doctors_row(board)
    assert row["fine"] is False and "123 expected" in row["found"]
    assert row["step"] == "a firmware with instar (docs/porting.md), or a board with PSRAM"
