"""The serial loader in the ROM of a simulated ESP32: what esptool talks to, with --no-stub.

    loader = RomLoader("board.flash", kind)
    port.write(loader.receive(port.read()))      # until loader.finished

Espressif's serial protocol for the ESP32 ROM (esptool's docs, advanced-topics/serial-protocol, and
its loader.py): SLIP frames, a status of 4 bytes. A flash download erases at its BEGIN and reads
back what each DATA programmed. The `value` of an answer is what the latest READ_REG found, as the
ROM leaves it there.

Limits: no RAM to load into: MEM_BEGIN, _DATA and _END are refused with 0x06, and esptool gives up
unless told --no-stub. The flash is out of reach without SPI_ATTACH, and beyond 2 MiB until
SPI_SET_PARAMS. A real chip's addresses wrap around at its end: here they are refused. A frame
whose length is not what its header says is noise, and gets no answer. No baud rate, no timing.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from pathlib import Path

from . import slip
from .board_kinds import NAME_AT, BoardKind
from .loader_chip import FlashChip, OutOfReach, Registers
from .loader_download import FAILED, INVALID, READ_ERROR, READ_LENGTH, Download, Refused, words

FLASH_BEGIN, FLASH_DATA, FLASH_END = 0x02, 0x03, 0x04
MEM_BEGIN, MEM_END, MEM_DATA = 0x05, 0x06, 0x07
SYNC_COMMAND, WRITE_REG, READ_REG = 0x08, 0x09, 0x0A
SPI_SET_PARAMS, SPI_ATTACH, READ_FLASH, CHANGE_BAUDRATE = 0x0B, 0x0D, 0x0E, 0x0F
DEFL_BEGIN, DEFL_DATA, DEFL_END, FLASH_MD5 = 0x10, 0x11, 0x12, 0x13

_HEADER = struct.Struct("<BBHI")  # direction, command, length of what follows; checksum or value
_REQUEST, _ANSWER = 0, 1
_SYNC_DATA = b"\x07\x07\x12\x20" + 32 * b"\x55"
_SYNC_VALUE = 0x55201207  # not 0: that would be esptool's stub
_REPEATS = 8
_READ_BLOCK = 64

# How the first frame of a host begins on the line.
SYNC = slip.END + _HEADER.pack(_REQUEST, SYNC_COMMAND, len(_SYNC_DATA), 0) + _SYNC_DATA[:4]


class RomLoader:
    """The loader from one reset to the next.

    flash: the board's flash file, which lives on. finished: it was told to leave and to run what
    is in the flash; it answers nothing more.

    Raises:
        ValueError: a board of that kind has no such loader in its ROM.
    """

    def __init__(self, flash: Path | str, kind: BoardKind) -> None:
        if not kind.firmware_slots:
            raise ValueError(f"a kind of ESP32 expected, got {kind.name}: its ROM has no loader")
        self.finished = False
        self._line = slip.Decoder()
        self._flash = FlashChip(flash, efuses=NAME_AT + len(kind.name_field))
        self._registers = Registers(self._flash)
        self._download: Download | None = None
        self._value = 0

    def receive(self, data: bytes) -> bytes:
        """What the loader sends when these bytes came; they may be cut anywhere."""
        packets = []
        for frame in self._line.feed(data):
            if not self.finished:
                packets += self._answers(frame)
        return b"".join(map(slip.encode, packets))

    def _answers(self, frame: bytes) -> list[bytes]:
        if len(frame) < _HEADER.size:
            return []
        direction, op, length, check = _HEADER.unpack_from(frame)
        body = frame[_HEADER.size :]
        if direction != _REQUEST or length != len(body):
            return []
        command = _COMMANDS.get(op)
        if not command:
            # esptool knows this answer by an op that is not its own, the error, and that it comes
            # as often as SYNC's does.
            return _REPEATS * [self._packet(SYNC_COMMAND, error=INVALID)]
        try:
            answer = self._packet(op, command(self, body, check))
        except Refused as refused:
            return [self._packet(op, error=refused.code)]
        return (_REPEATS if op == SYNC_COMMAND else 1) * [answer]

    def _packet(self, op: int, data: bytes = b"", error: int = 0) -> bytes:
        status = bytes((1 if error else 0, error, 0, 0))
        return _HEADER.pack(_ANSWER, op, len(data) + len(status), self._value) + data + status

    # The commands: what came after the header, and the checksum there -> data of the answer.

    def _sync(self, body: bytes, _: int) -> bytes:
        if body != _SYNC_DATA:
            raise Refused(INVALID)
        self._value = _SYNC_VALUE
        return b""

    def _read_reg(self, body: bytes, _: int) -> bytes:
        (address,) = words(body, 1)
        self._value = self._registers.read(_aligned(address))
        return b""

    def _write_reg(self, body: bytes, _: int) -> bytes:
        # One or more of: address, value, mask, a delay in microseconds.
        sent = words(body, max(len(body) // 16, 1) * 4)
        for at in range(0, len(sent), 4):
            self._registers.write(_aligned(sent[at]), sent[at + 1], sent[at + 2])
        return b""

    def _spi_attach(self, body: bytes, _: int) -> bytes:
        words(body, 2)
        self._flash.attached = True
        return b""

    def _spi_set_params(self, body: bytes, _: int) -> bytes:
        self._flash.limit = words(body, 6)[1]
        return b""

    def _change_baudrate(self, body: bytes, _: int) -> bytes:
        words(body, 2)
        return b""

    def _read_flash(self, body: bytes, _: int) -> bytes:
        address, length = words(body, 2)
        if length > _READ_BLOCK:
            raise Refused(READ_LENGTH)
        return self._read(address, length).ljust(_READ_BLOCK, b"\0")

    def _flash_md5(self, body: bytes, _: int) -> bytes:
        address, length, _, _ = words(body, 4)
        return hashlib.md5(self._read(address, length)).hexdigest().encode()

    def _flash_begin(self, body: bytes, _: int) -> bytes:
        return self._begin(body, compressed=False)

    def _defl_begin(self, body: bytes, _: int) -> bytes:
        return self._begin(body, compressed=True)

    def _flash_data(self, body: bytes, check: int) -> bytes:
        return self._take(body, check, compressed=False)

    def _defl_data(self, body: bytes, check: int) -> bytes:
        return self._take(body, check, compressed=True)

    def _flash_end(self, body: bytes, _: int) -> bytes:
        words(body, 1)
        self.finished = True
        return b""

    def _no_ram(self, _body: bytes, _: int) -> bytes:
        raise Refused(FAILED)

    # The flash.

    def _read(self, address: int, length: int) -> bytes:
        try:
            return self._flash.read(address, length)
        except OutOfReach:
            raise Refused(READ_ERROR) from None

    def _begin(self, body: bytes, compressed: bool) -> bytes:
        self._download = None
        size, blocks, block_size, address = words(body, 4)
        self._download = Download(self._flash, size, blocks, block_size, address, compressed)
        return b""

    def _take(self, body: bytes, check: int, compressed: bool) -> bytes:
        if not self._download or self._download.compressed != compressed:
            raise Refused(FAILED)
        self._download.take(body, check)
        return b""


Command = Callable[[RomLoader, bytes, int], bytes]
_COMMANDS: dict[int, Command] = {
    FLASH_BEGIN: RomLoader._flash_begin,
    FLASH_DATA: RomLoader._flash_data,
    FLASH_END: RomLoader._flash_end,
    MEM_BEGIN: RomLoader._no_ram,
    MEM_DATA: RomLoader._no_ram,
    MEM_END: RomLoader._no_ram,
    SYNC_COMMAND: RomLoader._sync,
    WRITE_REG: RomLoader._write_reg,
    READ_REG: RomLoader._read_reg,
    SPI_SET_PARAMS: RomLoader._spi_set_params,
    SPI_ATTACH: RomLoader._spi_attach,
    READ_FLASH: RomLoader._read_flash,
    CHANGE_BAUDRATE: RomLoader._change_baudrate,
    DEFL_BEGIN: RomLoader._defl_begin,
    DEFL_DATA: RomLoader._defl_data,
    DEFL_END: RomLoader._flash_end,
    FLASH_MD5: RomLoader._flash_md5,
}


def _aligned(address: int) -> int:
    if address % 4:
        raise Refused(INVALID)
    return address
