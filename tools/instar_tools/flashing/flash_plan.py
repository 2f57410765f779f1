"""What a flash does to an ESP32: from what lies on the chip to what it keeps and loses.

    plan = make(tool, chip, layout)     # reads the chip, writes nothing
    plan.words                          # for the user
    plan.areas                          # what is to be blank

Limits: a board whose table is gone is known by its file system, where the new layout has one.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from dataclasses import dataclass

import click

from . import firmware_file, flash_layout
from .esptool_run import Chip, Esptool
from .firmware_file import has_two_slots
from .flash_layout import Area, Layout, with_file_system
from .partition_table import Row
from .partitions import slots

_NO_TABLE = "The chip has no partition table"


@dataclass(frozen=True)
class Plan:
    """areas: to be blank. words: what is found and lost, line by line."""

    areas: list[Area]
    words: list[str]


def make(tool: Esptool, chip: Chip, layout: Layout, erase: bool = False) -> Plan:
    """The plan for this chip. erase: keep nothing.

    Raises:
        click.ClickException: a board that takes updates would lose its files, and erase is not
            given; or its file system cannot be looked for.
    """
    found, old = _on_chip(tool, chip, layout, erase)
    areas = flash_layout.to_blank(old, layout.rows, layout.flash_mib, erase)
    lost = flash_layout.loses_files(areas)
    if lost and old and not erase and has_two_slots(old):
        raise _loss(old, layout)
    words = [f"Layout: {layout.source}, two slots", found]
    for area in areas:
        if not flash_layout.loses_files([area]):
            words.append(f"Erases {area.label}: {area.size} bytes from {area.address:#x} on")
    return Plan(areas, [*words, _files_words(lost, known=bool(old or erase))])


def _on_chip(
    tool: Esptool, chip: Chip, layout: Layout, erase: bool
) -> tuple[str, list[Row] | None]:
    # What is there, in words, and the table that goes with it.
    try:
        rows = firmware_file.parse_table(chip.table)
    except ValueError:  # blank, or half written
        # A flash that was cut off while it wrote the table: the board's files are as they were.
        if erase or not _has_files(tool, layout):
            return f"{_NO_TABLE}.", None
        return f"{_NO_TABLE}, but a file system where this layout has it.", layout.rows
    same = _filled(rows, layout) == _filled(layout.rows, layout)
    what = "this partition table already" if same else "another partition table"
    return f"The chip has {what}.", rows


def _has_files(tool: Esptool, layout: Layout) -> bool:
    begin = tool.read(flash_layout.files_at(layout), flash_layout.BEGIN)
    return flash_layout.is_file_system(begin)


def _filled(rows: list[Row], layout: Layout) -> list[Row]:
    return sorted(with_file_system(rows, layout.flash_mib))


def _files_words(lost: bool, known: bool) -> str:
    if not lost:
        return "Keeps the file system: settings, keys, records, the application"
    if known:
        return "Erases the file system: settings, identity key, records, the application"
    return "Makes a new file system"


def _loss(old: list[Row], layout: Layout) -> click.ClickException:
    before, now = min(slots(old))[3], layout.first_slot[3]
    advice = f", or --app-size {before:#x}, as it has, to keep them" if before != now else ""
    return click.ClickException(
        "this board has two slots already, in another layout than"
        f" {layout.source}: its file system would go, with settings, identity key, records and"
        f" application; say --erase if they may{advice}"
    )
