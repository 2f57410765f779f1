# A small flash file for the tests of the simulated chip, made without the host tool: the layout is
# MicroPython's partitions-4MiB-ota.csv, with slots of 64 KiB so that tests are quick.
import binascii
import hashlib
import os
import struct

import control
import esp32
import nor
import otadata

SLOT = 0x10000
OTA_0, OTA_1, VFS = 0x10000, 0x20000, 0x30000
SIZE = 0x40000
OTADATA = 0xD000

TABLE = (
    (1, 0x02, 0x9000, 0x4000, "nvs"),
    (1, 0x00, OTADATA, 0x2000, "otadata"),
    (1, 0x01, 0xF000, 0x1000, "phy_init"),
    (0, 0x10, OTA_0, SLOT, "ota_0"),
    (0, 0x11, OTA_1, SLOT, "ota_1"),
)
FACTORY_ONLY = (
    (1, 0x02, 0x9000, 0x6000, "nvs"),
    (0, 0x00, 0x10000, SLOT, "factory"),
)
WITH_FACTORY = TABLE[:3] + (
    (0, 0x00, OTA_0, SLOT, "factory"),
    (0, 0x10, OTA_1, SLOT, "ota_0"),
    (0, 0x11, VFS, 0x8000, "ota_1"),
)


class Ended(BaseException):
    """What would have ended the process: the last message."""


def _end(line):
    raise Ended(line)


control.end = _end


def app_image(content=b"content!", chip=0):
    """An app image of two segments, the format's description put into code once more."""
    segments = ((0x3F400020, bytes(256)), (0x3F800000, content))
    out = struct.pack("<BBBBIB3sHBHH4sB", 0xE9, 2, 2, 0x20, 0, 0xEE, b"", chip, 0, 0, 0, b"", 1)
    checksum = 0xEF
    for address, data in segments:
        out += struct.pack("<II", address, len(data)) + data
        for byte in data:
            checksum ^= byte
    out += bytes(15 - len(out) % 16) + bytes([checksum])
    return out + hashlib.sha256(out).digest()


def entry(seq, state, crc=None):
    """One otadata entry of 32 bytes."""
    packed = struct.pack("<I", seq)
    crc = binascii.crc32(packed, 0xFFFFFFFF) if crc is None else crc
    return packed + b"\xff" * 20 + struct.pack("<II", state, crc)


class Chip:
    """A flash file with that table and images in both slots; `with` removes the file."""

    def __init__(self, rows=TABLE, **options):
        self.path = "/tmp/instar-" + binascii.hexlify(os.urandom(8)).decode()
        with open(self.path, "wb") as f:
            for _ in range(SIZE // 4096):
                f.write(b"\xff" * 4096)
        for i, row in enumerate(rows):
            kind, subtype, address, size, label = row
            packed = struct.pack("<HBBII16sI", 0x50AA, kind, subtype, address, size, label, 0)
            self.write(0x8000 + 32 * i, packed)
        for address in (OTA_0, OTA_1):
            self.write(address, app_image())
        self.on(**options)

    def on(self, **options):
        """Power: a chip object with a count of its own. cut=, ops=, trace=, seed= as nor.Flash."""
        self.flash = nor.Flash(self.path, **options)
        self.rows = otadata.table(self.flash)

    def run(self, label="ota_0", in_place=True):
        """Let the partition of that name be the one that runs."""
        rows = otadata.with_vfs(self.rows, SIZE)
        running = next(row for row in rows if row[otadata.LABEL] == label)
        esp32.attach(self.flash, rows, running, in_place)
        return esp32.Partition(esp32.Partition.RUNNING)

    def write(self, address, data):
        """Past the chip: what a test needs to be there."""
        with open(self.path, "r+b") as f:
            f.seek(address)
            f.write(data)

    def read(self, address, length):
        with open(self.path, "rb") as f:
            f.seek(address)
            return f.read(length)

    def entries(self):
        """[(seq, state), ...] of otadata; None where an entry is blank."""
        found = []
        for at in (OTADATA, OTADATA + 4096):
            raw = self.read(at, 32)
            seq, _, state = struct.unpack("<I20sI", raw)
            found.append(None if raw == b"\xff" * 32 else (seq, state))
        return found

    def set_entries(self, first, second):
        for at, value in ((OTADATA, first), (OTADATA + 4096, second)):
            self.write(at, value or b"\xff" * 32)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        os.remove(self.path)


def raises(error, function, *args, **keywords):
    """The arguments of the exception that the call ends in; fails if it does not."""
    try:
        function(*args, **keywords)
    except error as caught:
        return caught.args
    raise AssertionError("expected {}, nothing came".format(error))
