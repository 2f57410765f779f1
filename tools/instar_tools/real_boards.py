"""The boards that people hold in their hands, and what the host has to know of each.

    board = BOARDS["ESP32_GENERIC"]
    board.layout(4)                        # Path of its partition table for 4 MiB of flash
    board.is_on("Generic ESP32 module with ESP32")

Everything else about a board is in boards/NAME: what runs on it, and what builds its firmware.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from . import paths

RP2040_FAMILY = 0xE48BFF56
RP2350_FAMILY = 0xE48BFF59  # its ARM cores, secure; stock firmware for it is that
_END = r"(?![\w-])"  # and no longer name, as ESP32-C3 is one of ESP32


@dataclass(frozen=True)
class RealBoard:
    """One kind of board.

    port: MicroPython's port. chip: as esptool names it, or the RP2's. flash_sizes: in MiB, as
    there are layouts (ESP32) or as the board has it (RP2). device_type: what Mender calls it, if
    its factory settings say nothing else. machine: a pattern for what the board says of itself
    (sys.implementation._machine; os.uname().machine): "X with CHIP", whatever variant X is.
    uf2_family: of the firmware files that it takes; None: it takes none.
    """

    name: str
    port: str
    chip: str
    flash_sizes: tuple[int, ...]
    device_type: str
    machine: str
    uf2_family: int | None = None

    @property
    def folder(self) -> Path:
        return paths.BOARDS / self.name

    @property
    def firmware_slots(self) -> bool:
        """Whether its flash can have two slots for firmware."""
        return self.port == "esp32"

    def is_on(self, machine: str) -> bool:
        """Whether a board that says this of itself is one of these."""
        return re.search(self.machine, machine) is not None

    def layout(self, flash_mib: int) -> Path | None:
        """Its partition table for a flash of this size, that of the next smaller one for sizes
        between; None: it has no firmware slots, or too small a flash."""
        sizes = [size for size in self.flash_sizes if size <= flash_mib]
        if not self.firmware_slots or not sizes:
            return None
        return self.folder / f"partitions-{max(sizes)}MiB.csv"


def _esp32(name: str, chip: str, flash_sizes: tuple[int, ...], device_type: str) -> RealBoard:
    # "ESP32C3 module with ESP32C3", "Generic ESP32S3 module with Octal-SPIRAM with ESP32S3".
    family, which = chip[:5], chip[5:]
    machine = rf"(?i)\bwith {family}-?{which}{_END}" if which else rf"(?i)\bwith {family}{_END}"
    return RealBoard(name, "esp32", chip, flash_sizes, device_type, machine)


def _pico(
    name: str, chip: str, flash_mib: int, device_type: str, product: str, family: int
) -> RealBoard:
    machine = rf"\b{product} with {chip.upper()}{_END}"
    return RealBoard(name, "rp2", chip, (flash_mib,), device_type, machine, family)


_ALL = (
    _esp32("ESP32_GENERIC", "esp32", (4, 8, 16), "esp32"),
    _esp32("ESP32_GENERIC_S3", "esp32s3", (4, 8, 16), "esp32s3"),
    _esp32("ESP32_GENERIC_C3", "esp32c3", (4, 8), "esp32c3"),
    _pico("RPI_PICO_W", "rp2040", 2, "pico-w", "Pico W", RP2040_FAMILY),
    _pico("RPI_PICO2_W", "rp2350", 4, "pico2-w", "Pico 2 W", RP2350_FAMILY),
)
BOARDS = {board.name: board for board in _ALL}
