# The partition table and otadata, as they lie in the flash: shared by boot loader and Partition.
# Sources: ESP-IDF's esp_flash_partitions.h, bootloader_common_loader.c.
# SPDX-License-Identifier: MIT
import binascii
import struct

from micropython import const

TABLE = const(0x8000)
_TABLE_ENTRIES = const(95)
_ENTRY_MAGIC = const(0x50AA)

APP = const(0)
DATA = const(1)
FACTORY = const(0)
OTA = const(0x10)
_OTADATA = const(0)
_FAT = const(0x81)

NEW = const(0)
PENDING_VERIFY = const(1)
VALID = const(2)
INVALID = const(3)
ABORTED = const(4)
UNDEFINED = const(0xFFFFFFFF)
_NO_SEQ = const(0xFFFFFFFF)

# Places in a row of the table.
TYPE, SUBTYPE, ADDRESS, SIZE, LABEL = range(5)


def table(flash):
    """The rows (type, subtype, address, size, label) of the table in the flash, in its order."""
    rows = []
    buf = bytearray(32)
    for i in range(_TABLE_ENTRIES):
        flash.read(TABLE + 32 * i, buf)
        magic, kind, subtype, address, size, label, _ = struct.unpack("<HBBII16sI", buf)
        if magic != _ENTRY_MAGIC:  # the table's MD5, or the erased rest
            break
        rows.append((kind, subtype, address, size, label.rstrip(b"\0").decode()))
    return rows


def with_vfs(rows, flash_size):
    """The rows as a running MicroPython sees them: with `vfs` behind the last partition."""
    if any(row[LABEL] in ("vfs", "ffat") for row in rows):
        return rows
    end = max(row[ADDRESS] + row[SIZE] for row in rows)
    if end < flash_size:
        return rows + [(DATA, _FAT, end, flash_size - end, "vfs")]
    return rows


def find(rows, kind, subtype):
    """The first row of that type and subtype, or None."""
    for row in rows:
        if row[TYPE] == kind and row[SUBTYPE] == subtype:
            return row
    return None


def slots(rows):
    """The rows ota_0, ota_1, ... as far as they follow one another."""
    found = []
    while len(found) < 16:
        row = find(rows, APP, OTA + len(found))
        if not row:
            break
        found.append(row)
    return found


class Entry:
    """One of the two records in otadata: which slot (by `seq`), in which `state`."""

    def __init__(self, raw):
        self.seq, self.label, self.state, self.crc = struct.unpack("<I20sII", raw)

    def pack(self):
        seq = struct.pack("<I", self.seq)
        return seq + self.label + struct.pack("<II", self.state, binascii.crc32(seq, _NO_SEQ))

    def is_intact(self):
        crc = binascii.crc32(struct.pack("<I", self.seq), _NO_SEQ)
        return self.seq != _NO_SEQ and self.crc == crc

    def is_invalid(self):
        return self.seq == _NO_SEQ or self.state in (INVALID, ABORTED)

    def is_valid(self):
        return not self.is_invalid() and self.is_intact()


class OtaData:
    """Both entries as read at construction; write() brings one back. None if there is no otadata.

    Every write erases the entry's sector and programs 32 bytes: power lost between the two
    leaves that entry blank and the other one in force.
    """

    def __init__(self, flash, rows):
        self._flash = flash
        self._base = find(rows, DATA, _OTADATA)[ADDRESS]
        self.entries = []
        raw = bytearray(32)
        for i in range(2):
            flash.read(self._base + 4096 * i, raw)
            self.entries.append(Entry(raw))

    def active(self):
        """Place of the valid entry with the highest seq, the first if equal; -1 if none is."""
        first, second = self.entries
        if first.is_valid() and (not second.is_valid() or first.seq >= second.seq):
            return 0
        return 1 if second.is_valid() else -1

    def write(self, place, seq, state):
        entry = self.entries[place]
        entry.seq = seq
        entry.state = state
        address = self._base + 4096 * place
        self._flash.erase(address)
        self._flash.program(address, entry.pack())


def otadata(flash, rows):
    """The OtaData of the chip, or None if the table has no such partition."""
    return OtaData(flash, rows) if find(rows, DATA, _OTADATA) else None
