"""Stock MicroPython for the simulated boards, in the formats of what micropython.org gives out.

    official_image("v1.29.0")      # boot loader, table, app: what esptool writes at 0x1000
    app_image("v1.29.0")           # the app alone: micropython.bin
    official_uf2("v1.29.0")        # for a Pico W

The layout, the table and the image formats are the real ones (MicroPython's makeimg.py and
partitions-4MiBplus.csv: one app slot, none to update into; UF2). The simulated board brings the
interpreter itself, so there is no machine code in them: no real chip runs these images.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import struct

from ..flashing.partition_table import TABLE_ADDRESS, Row, table_binary
from ..image_builder import build_image
from ..real_boards import RP2040_FAMILY

# Where a chip's ROM looks for the boot loader, and so where such a file begins.
BOOTLOADER_AT = {"esp32": 0x1000, "esp32s2": 0x1000, "esp32s3": 0, "esp32c3": 0, "esp32c6": 0}
APP_AT = 0x10000
STOCK_4MIB: tuple[Row, ...] = (
    (1, 0x02, 0x9000, 0x6000, "nvs"),
    (1, 0x01, 0xF000, 0x1000, "phy_init"),
    (0, 0x00, 0x10000, 0x1F0000, "factory"),
)
_PROJECT = "micropython"
_IRAM = 0x40080000
_CODE = 1024  # bytes
# UF2: github.com/microsoft/uf2
_UF2_MAGIC = (0x0A324655, 0x9E5D5157)
_UF2_END = struct.pack("<I", 0x0AB16F30)
_FAMILY_GIVEN = 0x2000
_PAGE = 256
_RP2_FLASH_AT = 0x10000000
_PICO_W = "Raspberry Pi Pico W with RP2040"


def app_image(version: str, chip: str = "esp32") -> bytes:
    """MicroPython itself, with nothing frozen that is not stock."""
    return build_image(version, None, chip, project=_PROJECT)


def official_image(
    version: str,
    chip: str = "esp32",
    rows: tuple[Row, ...] = STOCK_4MIB,
    flash_mib: int = 4,
) -> bytes:
    """What is to be written from BOOTLOADER_AT[chip] on. flash_mib: what its header says."""
    start = BOOTLOADER_AT[chip]
    parts = {
        start: _boot_loader(chip, flash_mib),
        TABLE_ADDRESS: table_binary(rows),
        APP_AT: app_image(version, chip),
    }
    size = max(address + len(data) for address, data in parts.items()) - start
    image = bytearray(b"\xff" * size)
    for address, data in parts.items():
        image[address - start : address - start + len(data)] = data
    return bytes(image)


def official_uf2(version: str) -> bytes:
    """A file for the drive of a Pico W: its blocks have the program's text, and nothing more."""
    text = f"MicroPython {version} on 2026-07-05; {_PICO_W}".encode()
    program = text.ljust(-len(text) % _PAGE + len(text), b"\0")
    count = len(program) // _PAGE
    blocks = []
    for number in range(count):
        data = program[number * _PAGE : (number + 1) * _PAGE]
        address = _RP2_FLASH_AT + number * _PAGE
        head = (*_UF2_MAGIC, _FAMILY_GIVEN, address, _PAGE, number, count, RP2040_FAMILY)
        blocks.append(struct.pack("<8I", *head) + data.ljust(476, b"\0") + _UF2_END)
    return b"".join(blocks)


def _boot_loader(chip: str, flash_mib: int) -> bytes:
    from esptool import bin_image  # slow to import: only who builds waits for it

    image = getattr(bin_image, f"{chip.upper()}FirmwareImage")()
    size = (flash_mib.bit_length() - 1) << 4
    image.flash_mode, image.flash_size_freq = 2, size
    image.chip_id = image.ROM_LOADER.IMAGE_CHIP_ID
    image.append_digest = True
    image.entrypoint = _IRAM
    image.segments.append(bin_image.ELFSection(b"boot", _IRAM, bytes(_CODE), 0))
    return image.save(None)
