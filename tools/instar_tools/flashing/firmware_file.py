"""What a MicroPython firmware file for the ESP32 family is made of, every part of it checked.

    firmware = firmware_file.read("ESP32_GENERIC-v1.29.0.bin", "esp32")
    firmware.rows, firmware.app, firmware.version

Such a file is what esptool writes from the boot loader's address on: boot loader, partition table
at 0x8000 of the flash, application at 0x10000. Both images carry a checksum and a SHA-256, the
table an MD5. esptool's own classes read the images.

Limits: these sums find damage, not forgery: nobody signs MicroPython's files.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import hashlib
import re
import struct
from dataclasses import dataclass
from pathlib import Path

import click

from .partition_table import TABLE_ADDRESS, TABLE_SIZE, Row
from .partitions import APP, DATA, SUBTYPES, slots

OLDEST = (1, 24)
OTADATA = SUBTYPES[DATA]["ota"]

_LARGEST = 64 << 20  # bytes; no such chip has more flash
_IMAGE_MAGIC = 0xE9
_ROW_MAGIC, _MD5_MAGIC = b"\xaa\x50", b"\xeb\xeb"
_HEADER, _SEGMENT = 24, 8
_SHA256 = 32
# The app descriptor: at the start of the first segment (esp_app_format.h).
_DESCRIPTOR_AT = _HEADER + _SEGMENT
_DESCRIPTOR_MAGIC = bytes.fromhex("3254cdab")
_BANNER = re.compile(rb"v\d+\.\d+[\w.+-]* on \d{4}-\d\d-\d\d")
_VERSION = re.compile(r"v?(\d+)\.(\d+)")

# How files begin that are given by mistake.
_OTHERS = (
    (b"UF2\n", "a UF2 file, which is for RP2 boards"),
    (b"\xe9", "a firmware for an ESP32"),
    (b"<", "a web page: the download failed, or was the page about the file"),
    (b"PK\3\4", "a ZIP archive: unpack it first"),
    (b"\x1f\x8b", "a gzip file: unpack it first"),
    (b"\x7fELF", "an ELF file: firmware.bin is beside it"),
    (b"\xff", "blank flash: a copy of a whole chip, or made for another address"),
)


class NotFirmware(click.ClickException):
    """The file is not what it should be: what was expected, what it is."""


@dataclass(frozen=True)
class Firmware:
    """A firmware file. chip: as esptool calls it; start: where its first byte belongs in flash;
    flash_mib: the flash that its boot loader expects; app: the application's image alone;
    version: MicroPython's, "" if the file does not say it."""

    path: Path
    data: bytes
    chip: str
    start: int
    flash_mib: int
    rows: list[Row]
    app: bytes
    version: str


def read(path: Path, chip: str | None = None) -> Firmware:
    """The firmware in this file. chip: the one that it must be for.

    Raises:
        NotFirmware: it is something else, for another chip, damaged, or too old.
    """
    data = read_bytes(path)
    found, start = _chip(path, data)
    if chip and found != chip:
        raise NotFirmware(f"{path}: expected firmware for the {chip}, this is for the {found}")
    if data[_DESCRIPTOR_AT:].startswith(_DESCRIPTOR_MAGIC):
        raise NotFirmware(
            f"{path}: expected a whole firmware (boot loader, partition table, application),"
            " this is an application alone, for a slot of a board that is flashed already;"
            " firmware.bin is beside it, or take the .bin of micropython.org's download page"
        )
    check_image(path, data[: TABLE_ADDRESS - start], found, "boot loader")
    at = TABLE_ADDRESS - start
    try:
        rows = parse_table(data[at : at + TABLE_SIZE])
    except ValueError as error:
        raise NotFirmware(f"{path}: the partition table at 0x8000 is bad: {error}") from None
    app = _app(path, data, start, rows, found)
    return Firmware(path, data, found, start, 1 << (data[3] >> 4), rows, app, _version(path, app))


def read_bytes(path: Path) -> bytes:
    """What is in a file that may be a firmware.

    Raises:
        NotFirmware: it is far too large for one.
    """
    size = path.stat().st_size
    if size > _LARGEST:
        raise NotFirmware(f"{path}: a firmware of a few MiB expected, this has {size} bytes")
    return path.read_bytes()


def describe(data: bytes) -> str:
    """What a file is, by how it begins."""
    for begin, what in _OTHERS:
        if data.lstrip().startswith(begin):
            return what
    return f"something that begins with {data[:8].hex(' ')}" if data else "an empty file"


def _chip(path: Path, data: bytes) -> tuple[str, int]:
    from esptool.targets import CHIP_DEFS  # slow to import: only who reads a file waits for it

    expected = f"{path}: expected a MicroPython firmware for an ESP32, this is "
    if data[:1] != bytes([_IMAGE_MAGIC]):
        raise NotFirmware(expected + describe(data))
    if len(data) < _HEADER:
        raise NotFirmware(f"{expected}cut off after {len(data)} bytes")
    number = int.from_bytes(data[12:14], "little")
    for name, rom in CHIP_DEFS.items():
        if getattr(rom, "IMAGE_CHIP_ID", None) == number:
            return name, rom.BOOTLOADER_FLASH_OFFSET
    raise NotFirmware(f"{expected}for an unknown chip, number {number}")


def check_image(path: Path, data: bytes, chip: str, what: str) -> int:
    """The size of the image at the start of data.

    Raises:
        NotFirmware: it is cut off, or its checksum or SHA-256 is wrong or missing.
    """
    from esptool import bin_image

    size = _image_size(data)
    if size > len(data):
        raise NotFirmware(
            f"{path}: the {what} is cut off: {size} bytes expected, {len(data)} are there;"
            " download the file again"
        )
    problem: object = "its checksum or SHA-256 is wrong"
    try:
        image = bin_image.LoadFirmwareImage(chip, data[:size])
        right = image.checksum == image.calculate_checksum()
        # A flag says whether there is a SHA-256; MicroPython's images have one, all of them.
        right &= image.append_digest and image.stored_digest == image.calc_digest
    except (RuntimeError, struct.error, IndexError) as error:  # esptool's, on bad data
        right, problem = False, error
    if not right:
        raise NotFirmware(f"{path}: the {what} is damaged: {problem}; download the file again")
    return size


def _image_size(data: bytes) -> int:
    # Header, segments, a checksum as the last byte of 16, and the SHA-256 if there is one.
    if len(data) < _HEADER:
        return _HEADER
    if data[:1] != bytes([_IMAGE_MAGIC]):
        return len(data)  # esptool's classes say what is wrong with it
    at = _HEADER
    for _ in range(data[1]):
        if at + _SEGMENT > len(data):
            return at + _SEGMENT
        at += _SEGMENT + struct.unpack_from("<I", data, at + 4)[0]
    return (at | 15) + 1 + (_SHA256 if data[_HEADER - 1] else 0)


def parse_table(table: bytes) -> list[Row]:
    """The rows of a partition table as it lies in flash.

    Raises:
        ValueError: there is none, it is cut off, or its MD5 is wrong or missing.
    """
    if len(table) < TABLE_SIZE:
        raise ValueError(f"cut off: {TABLE_SIZE} bytes expected, {len(table)} are there")
    rows: list[Row] = []
    for at in range(0, TABLE_SIZE, 32):
        entry = table[at : at + 32]
        if entry[:2] == _MD5_MAGIC:
            if entry[16:] != hashlib.md5(table[:at]).digest():
                raise ValueError("its MD5 is wrong")
            return rows
        if entry[:2] != _ROW_MAGIC:
            break
        kind, subtype, address, size, label, _ = struct.unpack_from("<BBII16sI", entry, 2)
        rows.append((kind, subtype, address, size, label.rstrip(b"\0").decode(errors="replace")))
    raise ValueError("its MD5 is missing" if rows else "no entry there")


def has_two_slots(rows: list[Row]) -> bool:
    """Whether a table is one for updates: slots and no other place for an application, and the
    record of which runs."""
    apps = [row for row in rows if row[0] == APP]
    recorded = any(row[:2] == (DATA, OTADATA) for row in rows)
    return recorded and len(apps) > 1 and apps == slots(rows)


def _app(path: Path, data: bytes, start: int, rows: list[Row], chip: str) -> bytes:
    apps = [row[2] - start for row in rows if row[0] == APP]
    if not apps:
        raise NotFirmware(f"{path}: its partition table has no place for an application")
    at = min(apps)
    if at >= len(data):
        raise NotFirmware(
            f"{path}: cut off before the application: more than {at} bytes expected,"
            f" {len(data)} are there; download the file again"
        )
    return data[at : at + check_image(path, data[at:], chip, "application")]


def _version(path: Path, app: bytes) -> str:
    """MicroPython's version: of the app descriptor, else of the REPL's banner."""
    version = project = ""
    if app[_DESCRIPTOR_AT:].startswith(_DESCRIPTOR_MAGIC):
        fields = struct.unpack_from("<32s32s", app, _DESCRIPTOR_AT + 16)
        version, project = (text.split(b"\0")[0].decode(errors="replace") for text in fields)
    if project != "micropython" and b"MicroPython" not in app:
        raise NotFirmware(f"{path}: expected MicroPython, this is {project or 'something else'}")
    if not _VERSION.match(version):
        version = banner(app)
    check_version(path, version)
    return version


def banner(program: bytes) -> str:
    """The version that MicroPython shows at its start, like v1.29.0; "" if it is not there."""
    found = _BANNER.search(program)
    return found.group().split()[0].decode() if found else ""


def check_version(path: Path, version: str) -> None:
    """Refuse what is too old for instar; a file that does not say its version is taken.

    Raises:
        NotFirmware: it is older than MicroPython 1.24.
    """
    found = _VERSION.match(version)
    if found and tuple(map(int, found.groups())) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise NotFirmware(f"{path}: expected MicroPython {oldest} or later, this is {version}")
