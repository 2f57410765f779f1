# App images in the ESP32's format: checking one, and finding the ROMFS that it carries.
# Layout: 24 bytes of header, segments of (address, length, data), padding, checksum, SHA-256.
# Source: ESP-IDF's esp_app_format.h and esp_image_format.c. No authenticity: as on the board.
# SPDX-License-Identifier: MIT
import hashlib
import struct

from micropython import const

_HEADER = const(24)
_MAGIC = const(0xE9)
_SEGMENTS = const(16)
_SEGMENT_LIMIT = const(16 << 20)
_PAGE = const(65536)
_CHUNK = const(1024)

CHIP_ID = 0  # ESP32
CHIP_REVISION = 300  # v3.0
# The addresses at which the ESP32 maps its flash: data and code.
_MAPPED = ((0x3F400000, 0x3F800000), (0x400D0000, 0x40400000))
_ROMFS = b"\xd2\xcd\x31"


class BadImage(Exception):
    """What was expected and what came."""


class _Reader:
    # Reads an image once, from front to back, and sums on the way.
    def __init__(self, flash, start, limit):
        self.at = 0
        self._flash = flash
        self._start = start
        self._limit = limit
        self._buf = memoryview(bytearray(_CHUNK))
        self.sha = hashlib.sha256()

    def take(self, length):
        # At most _CHUNK bytes.
        if self.at + length > self._limit:
            raise BadImage(f"an image of at most {self._limit} bytes expected, this one is longer")
        view = self._buf[:length]
        self._flash.read(self._start + self.at, view)
        self.at += length
        return view

    def hashed(self, length):
        view = self.take(length)
        self.sha.update(view)
        return view

    def xor(self, length):
        # All bytes of a segment, XORed: as wide numbers first, that is one step for 1024 bytes.
        wide = 0
        while length:
            step = min(length, _CHUNK)
            wide ^= int.from_bytes(self.hashed(step), "little")
            length -= step
        narrow = 0
        for byte in wide.to_bytes(_CHUNK, "little"):
            narrow ^= byte
        return narrow


def verify(flash, start, limit):
    """Check the image at `start`, in a partition of `limit` bytes; its length in bytes.

    Raises:
        BadImage: magic, chip, revision, a segment, the checksum or the SHA-256 is wrong.
    """
    reader = _Reader(flash, start, limit)
    count, appended = _header(reader.hashed(_HEADER))
    checksum = 0xEF
    for _ in range(count):
        checksum ^= reader.xor(_segment(reader))
    reader.hashed(15 - reader.at % 16)
    stored = reader.hashed(1)[0]
    if stored != checksum:
        raise BadImage(f"checksum 0x{checksum:02x} expected, 0x{stored:02x} came")
    if appended and reader.sha.digest() != bytes(reader.take(32)):
        raise BadImage("the SHA-256 after the image is not that of the image")
    return reader.at


def _header(view):
    if view[0] != _MAGIC:
        raise BadImage(f"magic 0x{_MAGIC:02x} expected, 0x{view[0]:02x} came")
    chip = struct.unpack_from("<H", view, 12)[0]
    if chip != CHIP_ID:
        raise BadImage(f"an image for chip {CHIP_ID} expected, this one is for chip {chip}")
    low, high = struct.unpack_from("<HH", view, 15)
    if low > CHIP_REVISION or (high not in (0, 0xFFFF) and high < CHIP_REVISION):
        raise BadImage(f"revisions {low} to {high} wanted, the chip has {CHIP_REVISION}")
    if not 0 < view[1] <= _SEGMENTS:
        raise BadImage(f"1 to {_SEGMENTS} segments expected, {view[1]} came")
    return view[1], view[23]


def _segment(reader):
    address, length = struct.unpack("<II", reader.hashed(8))
    if length % 4 or length >= _SEGMENT_LIMIT:
        raise BadImage(f"a segment of whole words below 16 MiB expected, {length} bytes came")
    for low, high in _MAPPED:
        if low <= address < high and (address - reader.at) % _PAGE:
            raise BadImage(f"segment 0x{address:08x} does not lie on its page in the file")
    return length


def find_romfs(flash, start):
    """(address in flash, length) of the segment that holds a ROMFS, or None. Of a valid image."""
    buf = bytearray(8)
    flash.read(start, buf)
    at = start + _HEADER
    for _ in range(buf[1]):
        flash.read(at, buf)
        length = struct.unpack_from("<I", buf, 4)[0]
        flash.read(at + 8, buf)
        if buf[:3] == _ROMFS:
            return at + 8, length
        at += 8 + length
    return None
