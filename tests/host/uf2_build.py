"""UF2 files as MicroPython has them for RP2 boards, made by hand.

b"".join(blocks(program()))                    # for a Pico W
blocks(program(machine=b"Pico 2 W with RP2350"), family=...)
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import struct

from instar_tools.real_boards import RP2040_FAMILY

_BANNER = b"MicroPython v%s on 2026-08-19\0; Raspberry Pi %s\0"


def program(version=b"1.29.0", machine=b"Pico W with RP2040"):
    """Four pages with what the REPL says at its start."""
    return (bytes(700) + _BANNER % (version, machine)).ljust(4 * 256, b"\1")


def block(number, total, data, family=RP2040_FAMILY, at=0x10000000, flags=0x2000):
    address = at + 256 * number
    magic = (0x0A324655, 0x9E5D5157)
    head = struct.pack("<8I", *magic, flags, address, len(data), number, total, family)
    return head + data.ljust(476, b"\0") + struct.pack("<I", 0x0AB16F30)


def blocks(data, **options):
    total = len(data) // 256
    return [block(i, total, data[256 * i : 256 * (i + 1)], **options) for i in range(total)]
