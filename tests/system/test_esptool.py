"""The real esptool, on the pty of a simulated ESP32's ROM loader; the board that boots then."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import os
import pty
import random
import select
import subprocess
import sys
import threading
import tty
from contextlib import contextmanager

import pytest

from instar_tools.image_builder import build_image
from instar_tools.simulated.board_kinds import ESP32_GENERIC
from instar_tools.simulated.flash_builder import write_blank, write_flash
from instar_tools.simulated.plugged import Plugged
from instar_tools.simulated.rom_loader import RomLoader
from instar_tools.simulated.simulator import Simulator
from instar_tools.simulated.stock_firmware import app_image, official_image

IMAGE_AT, SECOND_SLOT = 0x1000, 0x190000
MIB = 1 << 20


@contextmanager
def cable(receive):
    """A pty: its path. receive: what came on it -> what is sent back."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    unplug, unplugged = os.pipe()

    def carry():
        while unplug not in select.select([master, unplug], [], [])[0]:
            os.write(master, receive(os.read(master, 65536)))

    thread = threading.Thread(target=carry)
    thread.start()
    try:
        yield os.ttyname(slave)
    finally:
        os.close(unplugged)
        thread.join()
        for descriptor in (master, slave, unplug):
            os.close(descriptor)


class Esptool:
    """esptool on one board; its loader lives as long as this does."""

    def __init__(self, flash):
        self.flash = flash
        self.loader = RomLoader(flash, ESP32_GENERIC)

    def start(self, port, *words, chip="auto", before="no-reset", after="no-reset", stub=False):
        options = ["--port", port, "--chip", chip, "--before", before, "--after", after]
        return subprocess.Popen(
            [sys.executable, "-m", "esptool", *options, *([] if stub else ["--no-stub"])]
            + [str(word) for word in words],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "COLUMNS": "300"},
        )

    def run(self, *words, **options):
        """What it prints, talking to the loader directly."""
        with cable(self.loader.receive) as port:
            return self.run_on(port, *words, **options)

    def run_on(self, port, *words, code=0, **options):
        """What it prints; code: that it is to end with."""
        with self.start(port, *words, **options) as process:
            try:
                printed, _ = process.communicate(timeout=60)
            finally:
                process.kill()
        assert process.returncode == code, printed
        return printed

    def stored(self, address, length):
        return self.flash.read_bytes()[address : address + length]


@pytest.fixture
def esptool(tmp_path):
    path = tmp_path / "board.flash"
    write_blank(path, seed=7)
    return Esptool(path)


@pytest.fixture
def official(tmp_path):
    path = tmp_path / "official.bin"
    path.write_bytes(official_image("v1.29.0"))
    return path


def test_a_blank_chip_boots_from_what_esptool_wrote(esptool, official):
    efuses = esptool.stored(0, 32)
    printed = esptool.run("write-flash", hex(IMAGE_AT), official)
    assert "ESP32-D0WD-V3 (revision v3.0)" in printed and "40MHz" in printed
    assert f"MAC:                {efuses[:6].hex(':')}" in printed
    assert "Hash of data verified." in printed
    image = official.read_bytes()
    assert esptool.stored(IMAGE_AT, len(image)) == image and esptool.stored(0, 32) == efuses
    events = []
    assert Simulator(esptool.flash, on_event=events.append).run(seconds=30).reason == "repl"
    assert events[0]["event"] == "boot" and events[0]["slot"] == "factory"


def test_a_plugged_board_is_reset_for_esptool_and_by_it(esptool, official):
    with Plugged(esptool.flash) as board:
        board.wait("dead")
        written = ("write-flash", "-z", hex(IMAGE_AT), official)
        esptool.run_on(board.port, *written, before="default-reset", after="hard-reset")
        board.wait("loader")
        assert board.wait("boot")["slot"] == "factory"
        board.wait("repl")


def test_stock_firmware_starts_beside_a_slot_that_has_a_romfs(tmp_path):
    path = tmp_path / "board.flash"
    write_flash(path, app_image("v1.29.0"))
    flash = bytearray(path.read_bytes())
    image = build_image("1", {"app.py": b"pass"})
    flash[SECOND_SLOT : SECOND_SLOT + len(image)] = image
    path.write_bytes(flash)
    assert Simulator(path).run(seconds=30).reason == "repl"


def test_damage_is_found_and_a_compressed_write_mends_it(esptool, official):
    image = official.read_bytes()
    flash = bytearray(esptool.flash.read_bytes())
    flash[IMAGE_AT : IMAGE_AT + len(image)] = image
    esptool.flash.write_bytes(flash)
    assert "Verification successful" in esptool.run("verify-flash", hex(IMAGE_AT), official)
    flash[IMAGE_AT + 100] ^= 0x10
    esptool.flash.write_bytes(flash)
    assert "Verification failed" in esptool.run("verify-flash", hex(IMAGE_AT), official, code=2)
    printed = esptool.run("write-flash", "-z", hex(IMAGE_AT), official)
    assert "Compressed" in printed and "Hash of data verified." in printed
    assert esptool.stored(IMAGE_AT, len(image)) == image


def test_the_flash_is_identified_read_and_erased(esptool, tmp_path):
    printed = esptool.run("flash-id")
    assert "Detected flash size: 4MB" in printed and "Flash voltage set by a strapping" in printed
    end = 4 * MIB - 8192
    content = random.Random(7).randbytes(8192)
    esptool.flash.write_bytes(esptool.flash.read_bytes()[:end] + content)
    read = tmp_path / "read"
    esptool.run("--baud", "460800", "read-flash", hex(end), "8192", read)
    assert read.read_bytes() == content
    esptool.run("erase-region", hex(end), "4096", after="soft-reset")
    assert esptool.loader.finished
    assert esptool.stored(end, 8192) == b"\xff" * 4096 + content[4096:]


def test_what_cannot_be_is_refused(esptool, tmp_path):
    before = esptool.flash.read_bytes()
    large = tmp_path / "large"
    large.write_bytes(bytes(2 * MIB))
    printed = esptool.run("write-flash", hex(2 * MIB + 4096), large, code=2)
    assert "will not fit in 4194304 bytes of flash" in printed
    printed = esptool.run("flash-id", chip="esp32s3", code=2)
    assert "This chip is ESP32, not ESP32-S3" in printed
    printed = esptool.run("flash-id", stub=True, code=2)
    assert "Failed to enter RAM download mode" in printed and "0106" in printed
    assert esptool.flash.read_bytes() == before


def test_a_write_cut_short_is_mended_by_the_next(esptool, tmp_path):
    content = random.Random(7).randbytes(128 << 10)
    file = tmp_path / "file"
    file.write_bytes(content)
    half = threading.Event()

    def receive(data):
        if half.is_set():
            return b""
        if esptool.stored(MIB + (64 << 10), 1024) != b"\xff" * 1024:
            half.set()
            data = data[: len(data) // 2]  # the loader waits for the rest of a frame
        return esptool.loader.receive(data)

    with cable(receive) as port, esptool.start(port, "write-flash", hex(MIB), file) as process:
        assert half.wait(30)
        process.kill()
    assert esptool.stored(MIB, 65 << 10) == content[: 65 << 10]
    assert esptool.stored(MIB + (127 << 10), 1024) == b"\xff" * 1024
    assert "Hash of data verified." in esptool.run("write-flash", hex(MIB), file)
    assert esptool.stored(MIB, len(content)) == content
