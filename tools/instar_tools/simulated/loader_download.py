"""Flash downloads as the ESP32's ROM takes them: begin with an erase, then block after block.

    download = Download(flash, size, blocks, block_size, address, compressed=True)
    download.take(body, check)          # of a FLASH_DATA or FLASH_DEFL_DATA

Each block is read back after it was programmed, and its checksum compared: 8 bits, as in the ROM.
Refused has the error that the ROM answers with.

Limits: where Espressif does not say which error a mistake has, it is 0x05 for one in the message
(sequence number, sizes) and 0x06 for one that comes of what was before it.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import struct
import zlib
from functools import reduce
from operator import xor

from .loader_chip import FlashChip, OutOfReach

# The ROM's errors.
INVALID, FAILED, BAD_CHECKSUM, WRITE_ERROR = 0x05, 0x06, 0x07, 0x08
READ_ERROR, READ_LENGTH, DEFLATE, DEFLATE_ADLER, DEFLATE_PARAMETER = 0x09, 0x0A, 0x0B, 0x0C, 0x0D

_CHECKSUM_SEED = 0xEF


class Refused(Exception):
    """The command fails; `code` is the ROM's error."""

    def __init__(self, code: int) -> None:
        super().__init__(f"error 0x{code:02x}")
        self.code = code


class Download:
    """Erases `size` bytes at `address`, and waits for that many blocks of at most block_size.

    compressed: the blocks are one zlib stream, of at most `size` bytes when inflated.

    Raises:
        Refused: FAILED, the area is out of reach.
    """

    def __init__(
        self,
        flash: FlashChip,
        size: int,
        blocks: int,
        block_size: int,
        address: int,
        compressed: bool,
    ) -> None:
        try:
            flash.erase(address, size)
        except OutOfReach:
            raise Refused(FAILED) from None
        self.compressed = compressed
        self._flash = flash
        self._address = address
        self._room = size
        self._blocks = blocks
        self._block_size = block_size
        self._inflater = zlib.decompressobj()
        self._sequence = 0

    def take(self, body: bytes, check: int) -> None:
        """Program the next block.

        body: length, sequence number, 0, 0, then the data. check: the data's checksum.

        Raises:
            Refused: INVALID, BAD_CHECKSUM, DEFLATE.., WRITE_ERROR. The same block may come again,
                but for a compressed one whose stream is broken.
        """
        length, sequence, _, _ = words(body[:16], 4)
        data = body[16:]
        if length != len(data) or length > self._block_size:
            raise Refused(INVALID)
        if sequence != self._sequence or sequence >= self._blocks:
            raise Refused(INVALID)
        if _checksum(data) != check:
            raise Refused(BAD_CHECKSUM)
        self._program(self._inflate(data) if self.compressed else data)
        self._sequence += 1

    def _inflate(self, data: bytes) -> bytes:
        try:
            plain = self._inflater.decompress(data, self._room + 1)
        except zlib.error as error:
            adler = "incorrect data check" in str(error)
            raise Refused(DEFLATE_ADLER if adler else DEFLATE) from None
        if len(plain) > self._room:
            raise Refused(DEFLATE_PARAMETER)
        self._room -= len(plain)
        return plain

    def _program(self, data: bytes) -> None:
        try:
            self._flash.program(self._address, data)
            written = self._flash.read(self._address, len(data))
        except OutOfReach:
            raise Refused(WRITE_ERROR) from None
        if _checksum(written) != _checksum(data):
            raise Refused(WRITE_ERROR)
        self._address += len(data)


def words(body: bytes, count: int) -> tuple[int, ...]:
    """The 32-bit words of a command that has `count` of them.

    Raises:
        Refused: INVALID, it has not.
    """
    if len(body) != 4 * count:
        raise Refused(INVALID)
    return struct.unpack(f"<{count}I", body)


def _checksum(data: bytes) -> int:
    return reduce(xor, data, _CHECKSUM_SEED)
