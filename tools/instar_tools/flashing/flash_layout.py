"""How a firmware comes to lie on an ESP32's flash: which table, which parts, what is erased.

    layout = choose(board, firmware, flash_mib=4)      # two slots: the file's own, or the board's
    areas = to_blank(rows_on_the_chip, layout.rows, flash_mib)

Limits: a board has two slots, or more in a table of its own; a factory application is not kept.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from dataclasses import dataclass

import click

from ..real_boards import RealBoard
from . import partitions
from .firmware_file import OTADATA, Firmware, has_two_slots
from .partition_table import Row
from .partitions import APP, APP_UNIT, DATA, SUBTYPES

MIB = 1 << 20
_BLOCK = 4096
_LEAST_FILES = 16 * _BLOCK  # what a file system has at least
_NVS, _FAT = SUBTYPES[DATA]["nvs"], SUBTYPES[DATA]["fat"]
# Where these two blocks are blank LittleFS finds nothing, and MicroPython makes a new one.
BEGIN = 2 * _BLOCK
_LITTLEFS, _LITTLEFS_AT = b"littlefs", 8  # in each of the two (littlefs' SPEC.md, superblock)
_FILES = ("vfs", "ffat")  # labels by which MicroPython finds its file system


@dataclass(frozen=True)
class Layout:
    """rows: the table that the board gets. source: whose it is, in words. new: it is not the
    file's own, which is to be laid out anew. flash_mib: of the chip."""

    rows: list[Row]
    source: str
    new: bool
    flash_mib: int

    @property
    def first_slot(self) -> Row:
        """The one that a board starts whose otadata is blank."""
        return min(partitions.slots(self.rows))


@dataclass(frozen=True)
class Area:
    """To be blank: what it is, where, how many bytes."""

    label: str
    address: int
    size: int


def choose(board: RealBoard, firmware: Firmware, flash_mib: int, app_size: int = 0) -> Layout:
    """The layout for this firmware on this board. app_size: bytes of each slot; 0: as it has.

    Raises:
        click.ClickException: there is none, or the firmware does not fit; says what would.
    """
    if has_two_slots(firmware.rows) and not app_size:
        layout = Layout(firmware.rows, f"the table of {firmware.path.name}", False, flash_mib)
        if firmware.flash_mib > flash_mib:
            raise click.ClickException(
                f"{firmware.path}: made for {firmware.flash_mib} MiB of flash, the chip has"
                f" {flash_mib} MiB; take a firmware with one slot: it is laid out for the chip"
            )
    else:
        layout = _of_board(board, flash_mib, app_size)
    if found := partitions.problems(with_file_system(layout.rows, flash_mib), flash_mib * MIB):
        raise click.ClickException(
            f"{layout.source} does not fit {flash_mib} MiB of flash: {'; '.join(found)}"
        )
    slot = layout.first_slot
    if len(firmware.app) > slot[3]:
        raise click.ClickException(
            f"{firmware.path}: the application has {len(firmware.app)} bytes, slot {slot[4]} of"
            f" {layout.source} holds {slot[3]}; {_advice(board, firmware, flash_mib)}"
        )
    return layout


def _of_board(board: RealBoard, flash_mib: int, app_size: int) -> Layout:
    path = board.layout(flash_mib)
    if not path:
        needed = ", ".join(map(str, board.flash_sizes))
        raise click.ClickException(
            f"{board.name}: two slots expect a flash of {needed} MiB, the chip has {flash_mib} MiB"
        )
    rows = partitions.read_csv(path)
    source = f"boards/{board.name}/{path.name}"
    if app_size:
        rows = with_slots(rows, app_size)
        source += f" with slots of {app_size} bytes"
    return Layout(rows, source, True, flash_mib)


def with_slots(rows: list[Row], size: int) -> list[Row]:
    """The same table with app partitions of this size; what follows moves, a file system's end
    stays.

    Raises:
        click.ClickException: they leave no room for files.
    """
    apps = [row for row in rows if row[0] == APP]
    room = sum(row[3] for row in rows if row[0] == APP or row[1] == _FAT) - _LEAST_FILES
    if len(apps) * size > room:
        most = room // len(apps) // APP_UNIT * APP_UNIT
        raise click.ClickException(f"--app-size: {most:#x} at most expected, got {size:#x}")
    moved = 0
    out = []
    for kind, subtype, address, old, label in sorted(rows, key=lambda row: row[2]):
        new = old
        if kind == APP:
            new = size
        elif subtype == _FAT:
            new = old - moved
        out.append((kind, subtype, address + moved, new, label))
        moved += new - old
    return out


def _advice(board: RealBoard, firmware: Firmware, flash_mib: int) -> str:
    """How an application that is too large for its slot can have one."""
    advice = "take the official file with -OTA in its name, which is smaller, if there is one"
    size = -(-len(firmware.app) // APP_UNIT) * APP_UNIT
    try:
        rows = _of_board(board, flash_mib, size).rows
    except click.ClickException:
        return advice
    room = next(row[3] for row in rows if row[1] == _FAT)
    return f"{advice}; or --app-size 0x{size:x}, which leaves {room >> 10} KiB for files"


# What is on the chip already.


def to_blank(
    old: list[Row] | None, new: list[Row], flash_mib: int, erase: bool = False
) -> list[Area]:
    """What has to be blank for the new table. old: the chip's; None: it has none. erase: keep
    nothing of what a board has stored.

    otadata always: then the boot loader starts ota_0. A partition that was there before keeps its
    content; of a new one the beginning is erased, since a file system that lies there by chance
    is taken as damaged.
    """
    before = with_file_system(old, flash_mib) if old else []
    areas = []
    for row in with_file_system(new, flash_mib):
        kind, subtype, address, size, label = row
        if kind == APP:
            continue
        kept = row in before and subtype != OTADATA and not erase
        if not kept:
            whole = erase or subtype in (OTADATA, _NVS)
            areas.append(Area(label, address, size if whole else min(size, BEGIN)))
    return areas


def with_file_system(rows: list[Row], flash_mib: int) -> list[Row]:
    """With the file system that MicroPython makes of what is left of the flash, where the table
    has none (ports/esp32/main.c)."""
    if any(row[4] in _FILES for row in rows):
        return rows
    end = max(row[2] + row[3] for row in rows)
    return [*rows, (DATA, _FAT, end, flash_mib * MIB - end, "vfs")]


def files_at(layout: Layout) -> int:
    """Where the file system begins."""
    rows = with_file_system(layout.rows, layout.flash_mib)
    return next(row[2] for row in rows if row[4] in _FILES)


def loses_files(areas: list[Area]) -> bool:
    """Whether the file system is among what is erased."""
    return any(area.label in _FILES for area in areas)


def is_file_system(begin: bytes) -> bool:
    """Whether a LittleFS begins so. begin: BEGIN bytes."""
    magics = (begin[at + _LITTLEFS_AT :] for at in range(0, len(begin), _BLOCK))
    return any(magic.startswith(_LITTLEFS) for magic in magics)
