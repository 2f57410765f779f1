"""UF2 files with MicroPython for RP2040 and RP2350 boards: read, checked, put on the board.

    file = uf2.read(Path("RPI_PICO_W-v1.29.0.uf2"), board)     # a real_boards.RealBoard
    uf2.copy(file, Path("/media/me/RPI-RP2"), board)

A UF2 file is 512-byte blocks, each with its number, how many there are, the chip's family and
where its data belongs (github.com/microsoft/uf2). A board in BOOTSEL mode is a drive that takes
one. For the RP2350 picotool puts one block before the others that is not to be written (erratum
E10): it has the family "absolute", says that it is 1 of 2, and is all 0xEF.

Limits: UF2 has no checksum. A flipped byte in the program is not found.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import os
import re
import struct
from dataclasses import dataclass
from pathlib import Path

import click

from ..real_boards import RealBoard
from .firmware_file import NotFirmware, banner, check_version, describe, read_bytes

FLASH_AT = 0x10000000  # where the chip sees its flash
ABSOLUTE = 0xE48BFF57
FAMILIES = {
    0xE48BFF56: "RP2040",
    0xE48BFF59: "RP2350",
    0xE48BFF5A: "RP2350's RISC-V cores",
    0xE48BFF5B: "RP2350, not secure",
}
# Board -> where its file system begins (MicroPython's boards/*/mpconfigboard.cmake): what of a
# firmware lies there would be overwritten, or overwrite the files.
FILE_SYSTEM_AT = {"RPI_PICO_W": 0x12C000, "RPI_PICO2_W": 0x180000}
# Chip -> the drive's name and the Board-ID in its INFO_UF2.TXT.
DRIVES = {"rp2040": "RPI-RP2", "rp2350": "RP2350"}

_BLOCK = 512
_MAGIC = (0x0A324655, 0x9E5D5157)
_END = 0x0AB16F30
_FAMILY_PRESENT, _NOT_MAIN_FLASH = 0x2000, 0x0001
_PAGE = 256
_IGNORED = b"\xef" * _PAGE
_INFO = "INFO_UF2.TXT"


@dataclass(frozen=True)
class Uf2:
    """A file that is right for its board. program: the bytes from the start of flash on."""

    path: Path
    data: bytes
    program: bytes
    version: str


def read(path: Path, board: RealBoard) -> Uf2:
    """The file, checked for this board.

    Raises:
        NotFirmware: it is no UF2, incomplete, for another board, too large, or too old.
    """
    data = read_bytes(path)
    _check_form(path, data)
    program = _program(path, data, board)
    _check_machine(path, program, board)
    version = banner(program)
    check_version(path, version)
    return Uf2(path, data, program, version)


def _check_form(path: Path, data: bytes) -> None:
    if data[:4] != b"UF2\n":
        raise NotFirmware(f"{path}: expected a UF2 file, this is {describe(data)}")
    if len(data) % _BLOCK:
        raise NotFirmware(
            f"{path}: cut off: {len(data)} bytes are no multiple of {_BLOCK};"
            " download the file again"
        )


def _program(path: Path, data: bytes, board: RealBoard) -> bytes:
    pages: dict[int, bytes] = {}
    numbers: list[int] = []
    totals: set[int] = set()
    for at in range(0, len(data), _BLOCK):
        header = struct.unpack_from("<8I", data, at)
        if header[:2] != _MAGIC or data[at + _BLOCK - 4 : at + _BLOCK] != struct.pack("<I", _END):
            raise NotFirmware(f"{path}: block {at // _BLOCK} is damaged; download the file again")
        flags, address, size, number, total, family = header[2:]
        page = data[at + 32 : at + 32 + size]
        if flags & _NOT_MAIN_FLASH or (family == ABSOLUTE and page == _IGNORED):
            continue
        _check_block(path, board, flags, family, address, size)
        pages[address] = page
        numbers.append(number)
        totals.add(total)
    count = len(numbers)
    # The totals first: a damaged one may be any number up to 2 ** 32.
    if totals != {count} or numbers != list(range(count)) or len(pages) != count:
        expected = " or ".join(map(str, sorted(totals))) or "some"
        raise NotFirmware(
            f"{path}: {expected} blocks expected, {count} are there, or not in their order;"
            " download the file again"
        )
    end = max(pages) + _PAGE - FLASH_AT
    program = bytearray(b"\xff" * end)
    for address, page in pages.items():
        program[address - FLASH_AT : address - FLASH_AT + _PAGE] = page
    return bytes(program)


def _check_block(
    path: Path, board: RealBoard, flags: int, family: int, address: int, size: int
) -> None:
    if not flags & _FAMILY_PRESENT or family != board.uf2_family:
        what = FAMILIES.get(family, f"family 0x{family:08x}")
        expected = FAMILIES.get(board.uf2_family or 0, "")
        raise NotFirmware(
            f"{path}: expected a file for the {expected} ({board.name}), this is for: {what}"
        )
    if size != _PAGE or address % _PAGE:
        raise NotFirmware(
            f"{path}: blocks of {_PAGE} bytes expected, one has {size} for 0x{address:08x}"
        )
    end = FLASH_AT + FILE_SYSTEM_AT[board.name]
    if not FLASH_AT <= address < end:
        raise NotFirmware(
            f"{path}: expected a program below the file system of {board.name}"
            f" (0x{FLASH_AT:08x} to 0x{end:08x}), a block is for 0x{address:08x}"
        )


def _check_machine(path: Path, program: bytes, board: RealBoard) -> None:
    if b"MicroPython" not in program:
        raise NotFirmware(f"{path}: expected MicroPython, this is another program")
    if not re.search(board.machine.encode(), program):
        found = re.search(rb"[\w -]+ with RP2[\w-]+", program)
        name = found.group().decode().strip() if found else "no board that it names"
        raise NotFirmware(f"{path}: expected MicroPython for {board.name}, this is for {name}")


def copy(file: Uf2, drive: Path, board: RealBoard) -> None:
    """Put it on a board that is in BOOTSEL mode, mounted at `drive`, and see it off.

    Raises:
        click.ClickException: no such drive is mounted there, or it is another chip's.
        OSError: the copy failed.
    """
    check_drive(drive, board)
    # The board restarts when it has the last block, and the drive is gone: that is no failure.
    done = False
    try:
        with open(drive / file.path.name, "wb") as out:
            out.write(file.data)
            out.flush()
            done = True
            os.fsync(out.fileno())
    except OSError:
        if not done or _answers(drive):
            raise


def _answers(drive: Path) -> bool:
    # Of a drive that is gone Linux still knows the files, until it has to read one.
    try:
        with open(drive / _INFO, "rb", buffering=0) as info:
            if hasattr(os, "posix_fadvise"):
                os.posix_fadvise(info.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            return bool(info.read(1))
    except OSError:
        return False


def check_drive(drive: Path, board: RealBoard) -> None:
    """See that the drive of such a board in BOOTSEL mode is mounted there.

    Raises:
        click.ClickException: it is not, or it is another chip's.
    """
    name = DRIVES[board.chip]
    try:
        info = (drive / _INFO).read_bytes()[:1024].decode(errors="replace")
    except OSError:
        raise click.ClickException(
            f"{drive}: expected the drive {name} of a board in BOOTSEL mode, there is no {_INFO}"
        ) from None
    found = re.search(r"^Board-ID:\s*(\S+)", info, re.MULTILINE)
    if not found or found.group(1) != name:
        what = found.group(1) if found else "no Board-ID"
        raise click.ClickException(
            f"{drive}: expected the drive of {name}, its {_INFO} says {what}"
        )
