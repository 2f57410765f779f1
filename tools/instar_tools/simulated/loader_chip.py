"""What a simulated ESP32's ROM loader works on: its flash chip, and the registers a host looks at.

    chip = FlashChip("board.flash", efuses=32)
    chip.erase(0x1000, 4096); chip.program(0x1000, image); chip.read(0x1000, 16)
    registers = Registers(chip)
    registers.read(0x3FF5A004)

The flash file begins with what stands for the chip's eFuses (MAC address, name of the board): the
chip's own first bytes read as blank, and no erase or program reaches them.

Addresses and bits are esptool's (targets/esp32.py, loader.py: run_spiflash_command) and the
ESP32's Technical Reference Manual; the eFuse words are those of a real ESP32-D0WD-V3.

Limits: a register that nothing here knows reads as 0 and keeps what is written. The SPI peripheral
does user commands only, and of those the ones that identify a flash chip. No timing.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from pathlib import Path

SECTOR = 4096
_ROM_FLASH_SIZE = 2 << 20  # what the ROM believes until it is told

# A Winbond W25Q of the file's size, and the signature that its parameter table begins with.
_VENDOR, _FAMILY = 0xEF, 0x40
_SFDP = b"SFDP"
_RDID, _RDSFDP, _NO_ANSWER = 0x9F, 0x5A, 0xFFFFFFFF
_STATUS_COMMANDS = (0x05, 0x35, 0x15)

_MAGIC = 0x40001000
_UART_CLKDIV = 0x3FF40014
_EFUSE = 0x3FF5A000  # word n of block 0 is at + 4 * n
_RTCCALICFG1 = 0x3FF5F06C
_APB_CTL_DATE = 0x3FF6607C
_SPI = 0x3FF42000
_SPI_CMD, _SPI_ADDR, _SPI_USR1, _SPI_USR2 = _SPI, _SPI + 0x04, _SPI + 0x20, _SPI + 0x24
_SPI_MISO_DLEN, _SPI_W0 = _SPI + 0x2C, _SPI + 0x80
_USER_COMMAND, _ADDRESS_LENGTH = 1 << 18, 26

# Crystal: 40 MHz at 115200 baud, and as the ROM measures it against its 8 MHz clock
# (calibration * 15625 * clock / 40).
_CLKDIV = 40_000_000 // 115200
_CK8M, _CALIBRATION = 50, 2048


class OutOfReach(Exception):
    """The flash is not attached, or the address is beyond the end that the loader was told."""


class FlashChip:
    """A NOR flash in a host file: an erase sets the bits of 4 KiB, a program clears some.

    efuses: bytes of the file that are none of the flash's. limit: where the flash ends as far as
    the loader knows; at most the chip's size. attached: its pins are connected.
    """

    def __init__(self, path: Path | str, efuses: int) -> None:
        self._path = Path(path)
        self._efuses = efuses
        self.size = self._path.stat().st_size
        self.limit = _ROM_FLASH_SIZE
        self.attached = False

    def efuses(self) -> bytes:
        """What stands in the file for the chip's eFuses."""
        with self._path.open("rb") as file:
            return file.read(self._efuses)

    def read(self, address: int, length: int) -> bytes:
        """The bytes at `address`.

        Raises:
            OutOfReach
        """
        self._check(address, length)
        with self._path.open("rb") as file:
            file.seek(address)
            data = file.read(length)
        hidden = min(max(self._efuses - address, 0), length)
        return b"\xff" * hidden + data[hidden:]

    def erase(self, address: int, length: int) -> None:
        """Erase the sectors that hold `length` bytes from `address` on; none if it is 0.

        Raises:
            OutOfReach: nothing was erased.
        """
        if not length:
            return
        self._check(address, length)
        start = address // SECTOR * SECTOR
        end = -(-(address + length) // SECTOR) * SECTOR
        self._write(start, b"\xff" * (end - start))

    def program(self, address: int, data: bytes) -> None:
        """Clear the bits at `address` that are 0 in `data`.

        Raises:
            OutOfReach: nothing was programmed.
        """
        old = self.read(address, len(data))
        both = int.from_bytes(old, "little") & int.from_bytes(data, "little")
        self._write(address, both.to_bytes(len(data), "little"))

    def answer(self, command: int, address: int) -> int:
        """The first 32 bits, little-endian, that the chip answers an SPI command with."""
        if not self.attached:
            return _NO_ANSWER
        if command == _RDID:
            capacity = self.size.bit_length() - 1
            return _VENDOR | _FAMILY << 8 | capacity << 16
        if command == _RDSFDP:
            return int.from_bytes(_SFDP[address:].ljust(4, b"\xff")[:4], "little")
        return 0 if command in _STATUS_COMMANDS else _NO_ANSWER

    def _check(self, address: int, length: int) -> None:
        if not self.attached or address + length > min(self.limit, self.size):
            raise OutOfReach

    def _write(self, address: int, data: bytes) -> None:
        start = max(address, self._efuses)
        with self._path.open("r+b") as file:
            file.seek(start)
            file.write(data[start - address :])


class Registers:
    """The 32-bit words that READ_REG and WRITE_REG see."""

    def __init__(self, flash: FlashChip) -> None:
        self._flash = flash
        mac = flash.efuses()[:6]
        self._words = {
            _MAGIC: 0x00F01D83,
            _UART_CLKDIV: _CLKDIV,
            _EFUSE + 4 * 1: int.from_bytes(mac[2:], "big"),
            _EFUSE + 4 * 2: crc8(mac) << 16 | int.from_bytes(mac[:2], "big"),
            _EFUSE + 4 * 3: 0x0000A200,  # 240 MHz, package D0WD, bit 0 of the revision
            _EFUSE + 4 * 4: _CK8M,
            _EFUSE + 4 * 5: 0x00100000,  # bit 1 of the revision
            _RTCCALICFG1: _CALIBRATION << 7,
            _APB_CTL_DATE: 0x96042000,  # bit 2 of the revision: 3
        }

    def read(self, address: int) -> int:
        return self._words.get(address, 0)

    def write(self, address: int, value: int, mask: int = 0xFFFFFFFF) -> None:
        self._words[address] = self.read(address) & ~mask | value & mask
        if address == _SPI_CMD and value & _USER_COMMAND:
            self._run_spi_command()

    def _run_spi_command(self) -> None:
        self._words[_SPI_CMD] = 0  # it is done by the time that anybody asks
        bits = self.read(_SPI_MISO_DLEN) + 1
        address_bits = (self.read(_SPI_USR1) >> _ADDRESS_LENGTH) + 1
        address = self.read(_SPI_ADDR) >> (32 - min(address_bits, 32))
        answer = self._flash.answer(self.read(_SPI_USR2) & 0xFF, address)
        self._words[_SPI_W0] = answer & ((1 << min(bits, 32)) - 1)


def crc8(data: bytes) -> int:
    """The CRC of the MAC address in an ESP32's eFuses: polynomial 0x31, reflected, from 0."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x8C if crc & 1 else 0)
    return crc
