"""What lies in a board's flash: slots, the boot loader's choice, files, records. Read from the
bytes alone, by rules written down here once more and not by the product's code.

    chip = Chip(flash)
    chip.running(), chip.slot("ota_1"), chip.files["/instar.json"], chip.record("provides")

Sources: ESP-IDF's esp_flash_partitions.h and bootloader_utility.c, with rollback enabled; of the
records, the header of lib/instar/store.py. The file system is read by littlefs-python.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import binascii
import functools
import hashlib
import json
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from littlefs import LittleFS, LittleFSError, UserContext

SECTOR = 4096
RECORDS = "/.instar/"
NEW, PENDING, VALID, INVALID, ABORTED = range(5)
BLANK = 0xFFFFFFFF
_TABLE, _ROW = 0x8000, 32
_RECORD = "<4sII"
# A Pico W's file system: the last 848 KiB of 2 MiB, programmed by pages of 256 bytes.
_PICO_SIZE, _PICO_VFS, _PICO_PAGE = 2 << 20, 848 << 10, 256
_ESP32_PAGE = 32


class Damaged(Exception):
    """What should be readable is not; the message says what."""


@dataclass(frozen=True)
class Entry:
    """One of the two of otadata. valid: the boot loader regards it."""

    sequence: int
    state: int
    intact: bool

    @property
    def valid(self) -> bool:
        return self.intact and self.state not in (INVALID, ABORTED)

    def slot(self, slots: int) -> int:
        return (self.sequence - 1) % slots


class Chip:
    """All of a flash. firmware_slots: whether there is a partition table with two of them."""

    def __init__(self, flash: bytes) -> None:
        self.flash = bytes(flash)
        self.rows = {label: (at, size) for label, at, size in _table(self.flash)}
        self.firmware_slots = "ota_1" in self.rows

    # ---- firmware

    def partition(self, label: str) -> bytes:
        at, size = self.rows[label]
        return self.flash[at : at + size]

    def entries(self) -> list[Entry]:
        """Both entries of otadata."""
        data = self.partition("otadata")
        return [_entry(data[at : at + 32]) for at in (0, SECTOR)]

    def running(self) -> str:
        """The slot that the boot loader starts: the valid entry with the highest sequence, the
        first if they are equal; without one slot 0, as there is no factory image."""
        valid = [entry for entry in self.entries() if entry.valid]
        if not valid:
            return "ota_0"
        return f"ota_{max(valid, key=lambda entry: entry.sequence).slot(2)}"

    def fixed(self) -> str:
        """A digest of everything that no program on the board may change: all but the slots, which
        of them is started, and the file system."""
        at, size, _ = self.vfs()
        changing = [self.rows[label] for label in ("otadata", "ota_0", "ota_1") if self.rows]
        found = bytearray(self.flash)
        for begin, length in [*changing, (at, size)]:
            found[begin : begin + length] = bytes(length)
        return hashlib.sha256(found).hexdigest()

    # ---- file system

    @functools.cached_property
    def tree(self) -> dict[str, bytes | None]:
        """Every file by its absolute path, and every folder, which is None.

        Raises:
            Damaged: it does not mount, or something in it cannot be read.
        """
        return self.read(lambda path: True)

    def read(self, wanted: Callable[[str], Any]) -> dict[str, bytes | None]:
        """As `tree`, of those paths only."""
        try:
            return _walk(self.file_system(), wanted)
        except (LittleFSError, OSError, UnicodeError) as error:
            raise Damaged(f"the file system cannot be read: {error}") from None

    def file_system(self) -> LittleFS:
        """The file system, mounted on a copy, its context's buffer. Raises LittleFSError."""
        at, size, page = self.vfs()
        fs = LittleFS(
            context=UserContext(buffer=bytearray(self.flash[at : at + size])),
            mount=False,
            block_size=SECTOR,
            block_count=size // SECTOR,
            read_size=page,
            prog_size=page,
            cache_size=4 * page,  # as MicroPython has it: a small file lies in its folder
        )
        fs.mount()
        return fs

    def vfs(self) -> tuple[int, int, int]:
        """Where the file system begins, its size, and the bytes that are programmed at once."""
        if self.firmware_slots:
            at = max(begin + size for begin, size in self.rows.values())
            return at, len(self.flash) - at, _ESP32_PAGE
        if len(self.flash) != _PICO_SIZE:
            raise Damaged(f"{len(self.flash)} bytes without a partition table are no known board")
        return _PICO_SIZE - _PICO_VFS, _PICO_VFS, _PICO_PAGE

    @property
    def files(self) -> dict[str, bytes]:
        return {path: data for path, data in self.tree.items() if data is not None}

    def below(self, folder: str) -> dict[str, bytes]:
        """The files in a folder and all folders in it, by their path from there."""
        begin = folder + "/"
        return {path[len(begin) :]: x for path, x in self.files.items() if path.startswith(begin)}

    # ---- records

    def records(self) -> list[str]:
        """The names of all files where the records are, whatever they hold."""
        return sorted(self.below(RECORDS.rstrip("/")))

    def record(self, name: str) -> bytes | None:
        """A record's payload; None: there is none.

        Raises:
            Damaged: it is not as long as its head says, or has another CRC.
        """
        raw = self.files.get(RECORDS + name)
        if raw is None:
            return None
        size = struct.calcsize(_RECORD)
        if len(raw) >= size:
            magic, length, crc = struct.unpack_from(_RECORD, raw)
            data = raw[size:]
            if magic == b"iST1" and length == len(data) and crc == binascii.crc32(data):
                return data
        raise Damaged(f"record {name}: {len(raw)} bytes do not match their head")

    def json_record(self, name: str) -> Any:
        """As record(), of JSON."""
        data = self.record(name)
        if data is None:
            return None
        try:
            return json.loads(data)
        except ValueError:
            raise Damaged(f"record {name} is no JSON: {data[:40]!r}") from None


def _table(flash: bytes) -> list[tuple[str, int, int]]:
    rows = []
    for at in range(_TABLE, _TABLE + SECTOR, _ROW):
        magic, _, _, begin, size, label = struct.unpack_from("<HBBII16s", flash, at)
        if magic != 0x50AA:
            break
        rows.append((label.rstrip(b"\0").decode(), begin, size))
    return rows


def _entry(raw: bytes) -> Entry:
    sequence, state, crc = struct.unpack("<I20xII", raw)
    intact = sequence != BLANK and crc == binascii.crc32(raw[:4], BLANK)
    return Entry(sequence, state, intact)


def _walk(fs: LittleFS, wanted: Callable[[str], Any]) -> dict[str, bytes | None]:
    found: dict[str, bytes | None] = {}
    for folder, folders, files in fs.walk("/"):
        base = folder.rstrip("/")
        found |= {f"{base}/{name}": None for name in folders if wanted(f"{base}/{name}")}
        for path in filter(wanted, (f"{base}/{name}" for name in files)):
            with fs.open(path, "rb") as file:
                found[path] = file.read()
    return found
