# A small simulated ESP32 for device tests: 16 sectors a slot, images built byte by byte here.
#
#   chip = Chip(image(b"v1"))           # v1 in ota_0, as flashed at the factory
#   chip.boot()                         # boot loader, then the module esp32 as that boot sees it
import binascii
import hashlib
import os
import struct
import sys

import bootloader
import control
import esp32
import nor
import otadata

SLOT = 16 * 4096
ROWS = (
    (1, 0, 0xD000, 0x2000, "otadata"),
    (0, 0x10, 0x10000, SLOT, "ota_0"),
    (0, 0x11, 0x10000 + SLOT, SLOT, "ota_1"),
)
SIZE = 0x10000 + 2 * SLOT


def image(data, chip=0, digest=True, magic=0xE9):
    """An app image in the ESP32's format: one segment, checksum, SHA-256."""
    data += bytes(-len(data) % 4)
    head = bytearray(24)
    struct.pack_into("<BBBBI", head, 0, magic, 1, 2, 0x20, 0x3FFB0000)
    struct.pack_into("<H", head, 12, chip)
    head[23] = 1 if digest else 0
    body = bytes(head) + struct.pack("<II", 0x3FFB0000, len(data)) + data
    body += bytes(15 - len(body) % 16)
    checksum = 0xEF
    for byte in data:
        checksum ^= byte
    body += bytes([checksum])
    return body + (hashlib.sha256(body).digest() if digest else b"")


def entry(sequence, state):
    raw = struct.pack("<I", sequence)
    return raw + b"\xff" * 20 + struct.pack("<II", state, binascii.crc32(raw, 0xFFFFFFFF))


class Chip:
    """The flash file and what a test asks of it."""

    def __init__(self, first, second=b"", entries=()):
        self.path = f"/tmp/instar-chip-{os.urandom(6).hex()}"
        table = b"".join(
            struct.pack("<HBBII16sI", 0x50AA, row[0], row[1], row[2], row[3], row[4].encode(), 0)
            for row in ROWS
        )
        with open(self.path, "wb") as file:
            for _ in range(SIZE // 4096):
                file.write(b"\xff" * 4096)
        for address, data in (
            (0x8000, table),
            (ROWS[1][2], first),
            (ROWS[2][2], second),
        ) + tuple((0xD000 + 4096 * i, raw) for i, raw in enumerate(entries)):
            with open(self.path, "r+b") as file:
                file.seek(address)
                file.write(data)

    def boot(self):
        """The label of the slot that the boot loader starts; esp32 is that boot's from now on."""
        control.connect("/dev/null")
        self.flash = nor.Flash(self.path)
        rows = otadata.table(self.flash)
        row = bootloader.select(self.flash, rows)
        esp32.attach(self.flash, rows, row)
        sys.modules["esp32"] = esp32
        return row[4]

    def read(self, address, length):
        with open(self.path, "rb") as file:
            file.seek(address)
            return file.read(length)

    def slot(self, number):
        return self.read(ROWS[1 + number][2], SLOT)

    def states(self):
        """(sequence, state) of both otadata entries, None where the entry is blank or damaged."""
        found = []
        for sector in (0, 1):
            raw = self.read(0xD000 + 4096 * sector, 32)
            sequence, state, crc = struct.unpack("<I20xII", raw)
            good = binascii.crc32(raw[:4], 0xFFFFFFFF) == crc and sequence != 0xFFFFFFFF
            found.append((sequence, state) if good else None)
        return found

    def done(self):
        os.remove(self.path)
