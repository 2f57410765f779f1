"""Firmware files: what is right is read, what is not is named before anything is written."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import contextlib
import struct
import tracemalloc

import click
import pytest
from uf2_build import block, blocks, program

from instar_tools.flashing import firmware_file, uf2
from instar_tools.flashing.firmware_file import NotFirmware
from instar_tools.flashing.partition_table import TABLE_ADDRESS, table_binary
from instar_tools.image_builder import build_image
from instar_tools.real_boards import BOARDS
from instar_tools.simulated.board_kinds import OTA_4MIB
from instar_tools.simulated.stock_firmware import APP_AT, BOOTLOADER_AT, STOCK_4MIB, app_image
from instar_tools.simulated.stock_firmware import official_image as official

CHIPS = ("esp32", "esp32s3", "esp32c3")


@pytest.fixture
def read(tmp_path):
    def of(data, chip=None):
        path = tmp_path / "firmware.bin"
        path.write_bytes(data)
        return firmware_file.read(path, chip)

    return of


@pytest.fixture
def refused(read):
    def because(data, *words, chip=None):
        with pytest.raises(NotFirmware) as refusal:
            read(data, chip)
        for word in words:
            assert word in refusal.value.message

    return because


# ESP32.


@pytest.mark.parametrize("chip", CHIPS)
@pytest.mark.parametrize("rows, mib", [(STOCK_4MIB, 4), (OTA_4MIB, 4), (STOCK_4MIB, 16)])
def test_an_official_file_is_read(read, chip, rows, mib):
    firmware = read(official("v1.29.0", chip, rows, mib), chip)
    assert (firmware.chip, firmware.flash_mib, firmware.version) == (chip, mib, "v1.29.0")
    assert firmware.start == BOOTLOADER_AT[chip]
    assert firmware.rows == list(rows)
    assert firmware.app == app_image("v1.29.0", chip)
    assert firmware_file.has_two_slots(firmware.rows) == (rows == OTA_4MIB)


def test_slots_beside_a_factory_application_are_not_what_starts():
    assert not firmware_file.has_two_slots([*OTA_4MIB, STOCK_4MIB[2]])
    assert not firmware_file.has_two_slots([row for row in OTA_4MIB if row[4] != "otadata"])
    assert not firmware_file.has_two_slots([row for row in OTA_4MIB if row[4] != "ota_1"])


@pytest.mark.parametrize(
    "data, words",
    [
        (b"", "an empty file"),
        (b"UF2\n" + bytes(508), "a UF2 file, which is for RP2 boards"),
        (b"\n<!DOCTYPE html><html>", "a web page: the download failed"),
        (b"PK\3\4" + bytes(40), "a ZIP archive"),
        (b"\x1f\x8b" + bytes(40), "a gzip file"),
        (b"\x7fELF" + bytes(40), "an ELF file: firmware.bin is beside it"),
        (b"\xff" * 4096, "blank flash"),
        (b"import machine\n", "something that begins with 69 6d 70"),
        (b"\xe9\x02", "cut off after 2 bytes"),
        (b"\xe9\x02\2\x20" + bytes(8) + b"\x77\x77" + bytes(10), "an unknown chip, number 30583"),
    ],
)
def test_what_is_no_firmware_is_named(refused, data, words):
    refused(data, "expected a MicroPython firmware for an ESP32, this is", words)


def test_an_application_alone_is_named(refused):
    refused(app_image("v1.29.0"), "an application alone", "firmware.bin is beside it")


def test_a_file_for_another_chip_is_refused(refused):
    refused(official("v1.29.0", "esp32s3"), "for the esp32,", "for the esp32s3", chip="esp32")


@pytest.mark.parametrize("chip", CHIPS)
def test_a_file_cut_off_anywhere_is_refused(refused, chip):
    whole = official("v1.29.0", chip)
    table = TABLE_ADDRESS - BOOTLOADER_AT[chip]
    app = APP_AT - BOOTLOADER_AT[chip]
    ends = (24, 900, table, table + 3071, *range(app, app + 26), len(whole) - 1)
    for size in ends:
        refused(whole[:size], "cut off")


@pytest.mark.parametrize(
    "place, words",
    [
        (0x1000 + 100, "the boot loader is damaged"),
        (TABLE_ADDRESS + 5, "the partition table at 0x8000 is bad: its MD5 is wrong"),
        (TABLE_ADDRESS, "no entry there"),
        (TABLE_ADDRESS + 3 * 32, "its MD5 is missing"),
        (APP_AT, "the application is damaged"),
        (APP_AT + 250, "the application is damaged: its checksum or SHA-256 is wrong"),
        (-33, "the application is damaged: its checksum or SHA-256 is wrong"),
        (-1, "the application is damaged: its checksum or SHA-256 is wrong"),
    ],
)
def test_one_flipped_bit_is_found(refused, place, words):
    data = bytearray(official("v1.29.0"))
    data[place - 0x1000 if place > 0 else place] ^= 0x20
    refused(data, words)


@pytest.mark.parametrize("header", [0, APP_AT - 0x1000])
def test_any_flipped_bit_of_the_headers_is_found(refused, header):
    data = bytearray(official("v1.29.0"))
    for bit in range(8 * 32):  # the first segment's, too
        data[header + bit // 8] ^= 1 << bit % 8
        refused(data, chip="esp32")
        data[header + bit // 8] ^= 1 << bit % 8


@pytest.mark.parametrize("flag", [0, 3])
def test_an_image_whose_sha256_is_switched_off_is_damaged(refused, flag):
    for start, what in ((0, "boot loader"), (APP_AT - 0x1000, "application")):
        data = bytearray(official("v1.29.0"))
        data[start + 23] = flag
        refused(data, f"the {what} is damaged", "download the file again")


def test_a_table_without_an_application(refused):
    refused(official("v1.29.0", rows=STOCK_4MIB[:2]), "no place for an application")


@pytest.mark.parametrize("version", ["v1.23.0", "1.9.4", "v0.99"])
def test_too_old_a_micropython_is_refused(refused, version):
    refused(official(version), "expected MicroPython 1.24 or later, this is " + version)


@pytest.mark.parametrize(
    "version", ["v1.24.0", "v1.30.0-preview.12.gabcdef", "v2.0", "9458e3a23f"]
)
def test_others_are_taken(read, version):
    assert read(official(version)).version in (version, "")


def test_another_program_is_refused(refused):
    head = official("v1.29.0")[: APP_AT - 0x1000]
    refused(head + build_image("v1.29.0", None, project="blink"), "expected MicroPython", "blink")


# UF2.

PICO, PICO2 = BOARDS["RPI_PICO_W"], BOARDS["RPI_PICO2_W"]


@pytest.fixture
def read_uf2(tmp_path):
    def of(parts, board=PICO):
        path = tmp_path / "firmware.uf2"
        path.write_bytes(b"".join(parts))
        return uf2.read(path, board)

    return of


@pytest.fixture
def refused_uf2(read_uf2):
    def because(parts, *words, board=PICO):
        with pytest.raises(NotFirmware) as refusal:
            read_uf2(parts, board)
        for word in words:
            assert word in refusal.value.message

    return because


def test_a_uf2_is_read(read_uf2):
    file = read_uf2(blocks(program()))
    assert file.version == "v1.29.0" and file.program == program()
    assert file.data == b"".join(blocks(program()))


def test_an_rp2350_file_has_a_block_that_is_not_written(read_uf2, refused_uf2):
    # As picotool makes it: number 0 of 2, at the end of the flash, marked to be ignored.
    family = PICO2.uf2_family
    page = b"\xef" * 256 + struct.pack("<I", 0x9957E304)
    first = block(0, 2, page, uf2.ABSOLUTE, at=0x10FFFF00, flags=0xA000)
    first = first[:16] + struct.pack("<I", 256) + first[20:]
    data = program(machine=b"Pico 2 W with RP2350")
    assert read_uf2([first, *blocks(data, family=family)], PICO2).program == data
    other = block(0, 2, bytes(256), uf2.ABSOLUTE)
    refused_uf2([other, *blocks(data, family=family)], "family 0xe48bff57", board=PICO2)


def test_what_is_no_uf2_is_named(refused_uf2):
    refused_uf2([b"<html>"], "expected a UF2 file, this is a web page")
    refused_uf2([official("v1.29.0")], "expected a UF2 file, this is a firmware for an ESP32")
    refused_uf2([], "expected a UF2 file, this is an empty file")


def test_incomplete_and_damaged_uf2_files(refused_uf2):
    good = blocks(program())
    refused_uf2([b"".join(good)[:-1]], "cut off")
    refused_uf2(good[:-1], "4 blocks expected, 3 are there")
    refused_uf2([good[0], *good[2:]], "4 blocks expected, 3 are there")
    refused_uf2([*good[:2], good[1], good[3]], "4 are there, or not in their order")
    refused_uf2([*good[:3], block(3, 5, bytes(256))], "4 or 5 blocks expected, 4 are there")
    refused_uf2([good[0], good[1][:4] + bytes(508), *good[2:]], "block 1 is damaged")
    refused_uf2([good[0], good[1][:-1] + b"\0", *good[2:]], "block 1 is damaged")
    refused_uf2([block(0, 1, bytes(128))], "blocks of 256 bytes expected, one has 128")


def test_the_numbers_of_a_uf2_are_checked_before_they_are_believed(refused_uf2):
    good = blocks(program())
    tracemalloc.start()
    for bit in range(8 * 20, 8 * 28):  # number, total
        for i in (0, 3):
            bad = bytearray(good[i])
            bad[bit // 8] ^= 1 << bit % 8
            refused_uf2([*good[:i], bad, *good[i + 1 :]], "or not in their order")
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()
    every = [block(i, 1 << 31, program()[256 * i : 256 * (i + 1)]) for i in range(4)]
    refused_uf2(every, "2147483648 blocks expected, 4 are there")
    refused_uf2([block(0, 1, bytes(256), flags=0x2001)], "some blocks expected, 0 are there")


def test_a_uf2_for_another_chip_or_board(refused_uf2):
    arm, riscv = PICO2.uf2_family, 0xE48BFF5A
    refused_uf2(blocks(program(), family=arm), "for the RP2040 (RPI_PICO_W)", "for: RP2350")
    data = program(machine=b"Pico 2 W with RP2350")
    refused_uf2(blocks(data, family=riscv), "for the RP2350 (", "RISC-V", board=PICO2)
    refused_uf2(blocks(program(), flags=0), "this is for")
    plain = program(machine=b"Pico with RP2040")
    refused_uf2(blocks(plain), "for RPI_PICO_W, this is for Raspberry Pi Pico with RP2040")
    refused_uf2(blocks(bytes(1024)), "expected MicroPython, this is another program")


def test_a_uf2_that_reaches_into_the_file_system(refused_uf2):
    last = 0x10000000 + uf2.FILE_SYSTEM_AT["RPI_PICO_W"] - 3 * 256
    refused_uf2(blocks(program(), at=last), "below the file system", "a block is for 0x1012c000")
    refused_uf2(blocks(program(), at=0x20000000), "a block is for 0x20000000")


def test_too_old_a_uf2(refused_uf2):
    refused_uf2(blocks(program(b"1.23.0")), "expected MicroPython 1.24 or later, this is v1.23.0")


def test_the_drive_gets_the_file_and_has_to_be_the_right_one(read_uf2, tmp_path):
    file = read_uf2(blocks(program()))
    drive = tmp_path / "RPI-RP2"
    drive.mkdir()
    with pytest.raises(click.ClickException, match="there is no INFO_UF2"):
        uf2.copy(file, drive, PICO)
    info = drive / "INFO_UF2.TXT"
    info.write_bytes(b"UF2 Bootloader v1.0\r\nModel: Raspberry Pi RP2350\r\nBoard-ID: RP2350\r\n")
    with pytest.raises(
        click.ClickException, match=r"drive of RPI-RP2, its INFO_UF2\.TXT says RP2350"
    ):
        uf2.copy(file, drive, PICO)
    assert list(drive.iterdir()) == [info]
    info.write_bytes(b"UF2 Bootloader v3.0\nModel: Raspberry Pi RP2\nBoard-ID: RPI-RP2\n")
    uf2.copy(file, drive, PICO)
    assert (drive / "firmware.uf2").read_bytes() == file.data


@pytest.mark.parametrize("board", ["is gone", "is gone, and Linux knows its files", "is there"])
def test_a_drive_that_goes_when_it_has_all_is_no_failure(read_uf2, tmp_path, monkeypatch, board):
    file = read_uf2(blocks(program()))
    info = tmp_path / "INFO_UF2.TXT"
    info.write_text("Board-ID: RPI-RP2\n")

    def gone(descriptor):
        if board != "is there":
            info.unlink()
        if "knows" in board:
            info.mkdir()  # it exists, and cannot be read
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(uf2.os, "fsync", gone)
    expected = contextlib.nullcontext()
    if board == "is there":
        expected = pytest.raises(OSError, match="Input/output")
    with expected:
        uf2.copy(file, tmp_path, PICO)


def test_the_table_of_the_chip_is_read_as_strictly():
    table = table_binary(OTA_4MIB)
    assert firmware_file.parse_table(table) == list(OTA_4MIB)
    for bad in (b"\xff" * 3072, table[:-1], table[:40] + b"\1" + table[41:]):
        with pytest.raises(ValueError):
            firmware_file.parse_table(bad)
