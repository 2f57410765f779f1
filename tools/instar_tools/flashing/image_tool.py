"""The parts of a firmware file as they go onto the chip, made by mp-image-tool-esp32.

    copy_in(firmware, layout, folder)           # what the commands below read
    for line in commands(layout): ...           # to be shown
    programs = make(firmware, layout, folder)   # or to be run: [(address, file), ...]

The commands run in `folder`, whose files they name without it: mp-image-tool-esp32 takes commas,
colons and equals signs in a path for its own. It opens what it reads for writing, too: so it has a
copy of the official file.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click

from . import firmware_file
from .esptool_run import Part
from .firmware_file import Firmware
from .flash_layout import Layout
from .partition_table import TABLE_ADDRESS, Row
from .partitions import APP, DATA, ROMFS, SUBTYPES

_COPY, _CSV, _NEW = "official.bin", "partitions.csv", "firmware.bin"
_APP, _BOOT, _TABLE = "application.bin", "boot-loader.bin", "partition-table.bin"
_KNOWN = ("factory", *(f"ota_{i}" for i in range(16)), "ota", "phy", "nvs", "fat", "romfs")
_NAMES = {(DATA, ROMFS): "romfs"} | {
    (kind, number): name
    for kind, names in SUBTYPES.items()
    for name, number in names.items()
    if name in _KNOWN
}


def copy_in(firmware: Firmware, layout: Layout, folder: Path) -> None:
    """Put into the folder what the commands start from.

    Raises:
        click.ClickException: the layout has a partition that the tool does not know.
    """
    (folder / _COPY).write_bytes(firmware.data)
    if layout.new:
        (folder / _CSV).write_text(csv_text(layout.rows))


def csv_text(rows: list[Row]) -> str:
    """The table as the tool reads it: all columns, and no comment."""
    lines = []
    for kind, subtype, address, size, label in rows:
        name = _NAMES.get((kind, subtype))
        if not name:
            raise click.ClickException(
                f"partition {label}: expected one of the subtypes that mp-image-tool-esp32 knows"
                f" ({', '.join(_KNOWN)}), got {subtype:#x}: a firmware with such a"
                " partition is built with its table, see docs/porting.md"
            )
        word = "app" if kind == APP else "data"
        lines.append(f"{label},{word},{name},{address:#x},{size:#x},0\n")
    return "".join(lines)


def commands(layout: Layout) -> list[list[str]]:
    """Give the file the layout's table, where it is not the file's own; then cut it up."""
    tool = [sys.executable, "-m", "instar_tools.flashing.mp_image_tool", "--quiet"]
    lines = []
    if layout.new:
        size = f"{layout.flash_mib}M"
        lines.append([*tool, _COPY, "--flash-size", size, "--from-csv", _CSV, "--output", _NEW])
    parts = f"{layout.first_slot[4]}={_APP},bootloader={_BOOT},partition_table={_TABLE}"
    lines.append([*tool, _NEW if layout.new else _COPY, "--trimblocks", "--read", parts])
    return lines


def programs(firmware: Firmware, layout: Layout, folder: Path) -> list[Part]:
    """What the commands make, and where it belongs: application, boot loader, table.

    In this order, after what is to be blank: with the table last, a flash that was cut off leaves
    the chip its old table, by which the next run sees what it has to erase; or none, and then a
    file system that lies there is one to keep (flash_plan.py).
    """
    found = [(layout.first_slot[2], _APP), (firmware.start, _BOOT), (TABLE_ADDRESS, _TABLE)]
    return [(address, folder / name) for address, name in found]


def make(firmware: Firmware, layout: Layout, folder: Path) -> list[Part]:
    """Run the commands; what they made.

    Raises:
        click.ClickException: the tool refuses, or changed more than was asked of it.
    """
    copy_in(firmware, layout, folder)
    for line in commands(layout):
        done = subprocess.run(line, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            said = (done.stdout + done.stderr).strip()
            raise click.ClickException(f"mp-image-tool-esp32 could not lay it out: {said}")
    made = programs(firmware, layout, folder)
    _check(firmware, layout, made)
    return made


def _check(firmware: Firmware, layout: Layout, made: list[Part]) -> None:
    app, boot, table = (path.read_bytes() for _, path in made)
    rows = firmware_file.parse_table(table)
    firmware_file.check_image(made[1][1], boot, firmware.chip, "boot loader")
    if sorted(rows) != sorted(layout.rows) or app.rstrip(b"\xff") != firmware.app.rstrip(b"\xff"):
        raise click.ClickException(
            f"mp-image-tool-esp32: expected the table of {layout.source} and the application as it"
            " was, got something else"
        )
