"""A board's partition tables (ESP32) or named pins (RP2).

Each table is read a second time, in its binary form, by mp-image-tool-esp32, which has to find the
same and to write the same bytes.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
from mp_image_tool_esp32.partition_table import PartitionError, PartitionTable

from instar_tools.flashing import partitions
from instar_tools.flashing.partition_table import table_binary
from instar_tools.real_boards import RealBoard

_NAME = re.compile(r"partitions-(\d+)MiB(-romfs)?\.csv")
_PIN = re.compile(r"\w+,(EXT_)?GPIO\d+")


def problems(board: RealBoard, folder: Path) -> Iterator[str]:
    """What is wrong with them."""
    if not board.firmware_slots:
        yield from _pins(folder / "pins.csv")
        return
    for size in board.flash_sizes:
        if not (folder / f"partitions-{size}MiB.csv").is_file():
            yield f"partitions-{size}MiB.csv: expected, for {size} MiB of flash; found none"
    for path in sorted(folder.glob("partitions-*.csv")):
        match = _NAME.fullmatch(path.name)
        if not match:
            yield f"{path.name}: a name like partitions-4MiB.csv expected"
            continue
        try:
            rows = partitions.read_csv(path)
        except click.ClickException as error:
            yield error.message
            continue
        for problem in _table(rows, int(match[1]) << 20, bool(match[2])):
            yield f"{path.name}: {problem}"


def _table(rows: list[partitions.Row], size: int, romfs: bool) -> Iterator[str]:
    found = partitions.problems(rows, size)
    yield from found
    if romfs and not partitions.find(rows, "romfs"):
        yield "romfs: a partition of that name expected, found none"
    end = max((row[2] + row[3] for row in rows), default=0)
    if end < size:
        yield f"{size - end:#x} bytes at the end of the flash belong to nothing"
    if not found:
        yield from _other_reader(rows, size)


def _other_reader(rows: list[partitions.Row], size: int) -> Iterator[str]:
    data = table_binary(rows)
    try:
        table = PartitionTable.from_bytes(data, size)
        table.check()
    except PartitionError as error:
        yield f"mp-image-tool-esp32: {error}"
        return
    theirs = [(part.type, part.subtype, part.offset, part.size, part.name) for part in table]
    if theirs != list(rows) or not table.to_bytes().startswith(data):
        yield f"mp-image-tool-esp32 reads or writes it otherwise: {theirs}"


def _pins(path: Path) -> Iterator[str]:
    if not path.is_file():
        yield "pins.csv: expected, since a board's own folder hides the stock one; found none"
        return
    lines = path.read_text().split()
    for line in lines:
        if not _PIN.fullmatch(line):
            yield f"pins.csv: a line like GP0,GPIO0 expected, got {line!r}"
    if not any(line.startswith("LED,") for line in lines):
        yield "pins.csv: a pin LED expected, which board.py lights; found none"
