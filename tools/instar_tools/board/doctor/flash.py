# `instar doctor` on the board: what lies in the flash. Partition table and otadata of an ESP32, as
# the boot loader reads them, and the file system.
#
#   look()
#
# Limits: reads only. The kind of a file system is read from its first blocks: not every version of
# MicroPython says what is mounted.
# SPDX-License-Identifier: MIT
import os
import sys


def look_table():
    """{"rows": [[type, subtype, address, size, label]], "running": label, "boot": label or None
    (no otadata), "otadata": two entries in hex or None}"""
    from binascii import hexlify

    from esp32 import Partition

    parts = Partition.find(Partition.TYPE_APP) + Partition.find(Partition.TYPE_DATA)
    try:
        boot = Partition(Partition.BOOT).info()[4]
    except OSError:
        boot = None
    entries = None
    for partition in Partition.find(Partition.TYPE_DATA, 0):
        entry = bytearray(32)
        entries = []
        for sector in (0, 1):
            partition.readblocks(sector, entry)
            entries.append(hexlify(entry).decode())
    return {
        "rows": [part.info()[:5] for part in parts],
        "running": Partition(Partition.RUNNING).info()[4],
        "boot": boot,
        "otadata": entries,
    }


def look_storage():
    """The block device under the file system, or None."""
    if sys.platform == "rp2":
        from rp2 import Flash

        return Flash()
    if sys.platform == "esp32":
        from esp32 import Partition

        for label in ("vfs", "ffat"):
            for partition in Partition.find(Partition.TYPE_DATA, label=label):
                return partition
    return None


def look_kind(device):
    """littlefs, fat, or None for neither. LittleFS has its name in block 0 or 1 (its superblock);
    FAT the signature of a boot sector."""
    block = bytearray(512)
    for number in (1, 0):
        device.readblocks(number, block, 0)
        if block[8:16] == b"littlefs":
            return "littlefs"
    return "fat" if block[510:] == b"\x55\xaa" else None


def look():
    device = look_storage()
    state = os.statvfs("/")
    return {
        "table": look_table() if sys.platform == "esp32" else None,
        "kind": look_kind(device) if device else None,
        "size": state[1] * state[2],
        "free": state[1] * state[3],
        "block": state[1],
    }
