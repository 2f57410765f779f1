"""An ESP32's partition table as it lies in flash (ESP-IDF's esp_flash_partitions.h).

table_binary([(0, 0x10, 0x10000, 0x180000, "ota_0"), ...])      # what gen_esp32part makes
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence

Row = tuple[int, int, int, int, str]  # type, subtype, address, size, label

TABLE_ADDRESS = 0x8000
TABLE_SIZE = 0xC00


def table_binary(rows: Sequence[Row]) -> bytes:
    """The table: rows, an entry with their MD5, 0xFF to 3 KiB."""
    entries = b"".join(
        struct.pack("<HBBII16sI", 0x50AA, kind, subtype, address, size, label.encode(), 0)
        for kind, subtype, address, size, label in rows
    )
    md5 = b"\xeb\xeb" + b"\xff" * 14 + hashlib.md5(entries).digest()
    return (entries + md5).ljust(TABLE_SIZE, b"\xff")
