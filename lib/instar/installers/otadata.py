# What the boot loader goes by: the two otadata entries, and the digest at the end of an app image.
#
# Formats and rules are ESP-IDF's (esp_flash_partitions.h, esp_image_format.c). Everything is read
# from the flash through esp32.Partition; MicroPython has no call for any of it.
# SPDX-License-Identifier: MIT

import binascii
import struct

from micropython import const

from ..errors import Broken, Rejected

NEW, PENDING, VALID = 0, 1, 2
_INVALID, _ABORTED = const(3), const(4)
_OTADATA = const(0)  # subtype of type data
_OTA_0 = const(0x10)  # subtypes of type app: ota_0 to ota_15
_OTA_END = const(0x20)
_ERASE = const(6)  # block device ioctl

_SECTOR = const(4096)
_MAGIC = const(0xE9)
_MAX_SEGMENTS = const(16)
_HEADER = const(24)
_DIGEST = const(32)


def _partition():
    from esp32 import Partition

    found = Partition.find(Partition.TYPE_DATA, _OTADATA)
    if not found:
        raise Rejected("the partition table has no otadata: expected one beside two app slots")
    return found[0]


def entries():
    """[(sector, sequence, state)] of the entries that the boot loader would regard.

    An entry is `<I20sII`: sequence, label, state, CRC-32 over the sequence's four bytes.
    """
    entry = bytearray(32)
    found = []
    for sector in (0, 1):
        _partition().readblocks(sector, entry)
        sequence, state, crc = struct.unpack("<I20xII", entry)
        good = binascii.crc32(entry[:4], 0xFFFFFFFF) == crc and sequence != 0xFFFFFFFF
        if good and state not in (_INVALID, _ABORTED):
            found.append((sector, sequence, state))
    return found


def state():
    """State of the entry in force (the highest sequence), None if there is none."""
    found = entries()
    return max(found, key=lambda row: row[1])[2] if found else None


def forget(partition):
    """Erase the entries that select a slot: an older entry of another slot is in force again."""
    from esp32 import Partition

    apps = [app.info()[1] for app in Partition.find(Partition.TYPE_APP)]
    slots = sum(_OTA_0 <= subtype < _OTA_END for subtype in apps)
    slot = partition.info()[1] - _OTA_0
    for sector, sequence, _ in entries():
        if (sequence - 1) % slots == slot:
            _partition().ioctl(_ERASE, sector)


def image_identity(partition, size=None):
    """The partition's label and the SHA-256 appended to the app image in it, as `label:hex`.

    Format: 24 bytes of header, segments of `<II` address, length and data, zeros up to a multiple
    of 16 less one, a checksum byte, then the digest (platform: app image format).
    size: bytes that belong to the image, if not the whole slot. Raises Broken if there is none.
    """
    size = partition.info()[3] if size is None else size
    head = bytearray(_HEADER)
    _read(partition, 0, head)
    if head[0] != _MAGIC or not 0 < head[1] <= _MAX_SEGMENTS or not head[23] & 1:
        raise Broken(f"slot {label(partition)} holds no image with a SHA-256")
    at = _HEADER
    for _ in range(head[1]):
        if at + 8 > size:
            raise Broken(f"slot {label(partition)}: a segment lies past the slot's end")
        _read(partition, at, memoryview(head)[:8])
        at += 8 + struct.unpack_from("<I", head, 4)[0]
    at += 16 - at % 16
    if at + _DIGEST > size:
        raise Broken(f"slot {label(partition)}: the image is longer than {size} bytes")
    digest = bytearray(_DIGEST)
    _read(partition, at, digest)
    return f"{label(partition)}:{bytes(digest).hex()}"


def _read(partition, at, view):
    partition.readblocks(at // _SECTOR, view, at % _SECTOR)


def label(partition):
    return partition.info()[4]
