"""Partition tables as MicroPython and ESP-IDF write them down, and what can be wrong with one.

    rows = read_csv(Path("boards/ESP32_GENERIC/partitions-4MiB.csv"))
    problems(rows, 4 << 20)        # ["ota_1: overlaps ota_0", ...]; [] for a good one

A row is (type, subtype, address, size, label), as in the binary table. In the CSV types and
subtypes are names or numbers, sizes may end in K or M, an address may be left out (then the
partition follows the one before: apps at multiples of 64 KiB).

Limits: no flags, since MicroPython encrypts nothing; the table itself is at 0x8000.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import click

from .partition_table import TABLE_ADDRESS, Row

SECTOR = 0x1000
APP_UNIT = 0x10000
FIRST_FREE = TABLE_ADDRESS + SECTOR
OTADATA_SIZE = 2 * SECTOR
APP, DATA = 0, 1
TYPES = {"app": APP, "data": DATA}
SUBTYPES = {
    APP: {"factory": 0x00, "test": 0x20, **{f"ota_{i}": 0x10 + i for i in range(16)}},
    DATA: {
        "ota": 0x00,
        "phy": 0x01,
        "nvs": 0x02,
        "coredump": 0x03,
        "nvs_keys": 0x04,
        "fat": 0x81,
        "spiffs": 0x82,
        "littlefs": 0x83,
    },
}
ROMFS = 0x8F  # MicroPython's, which ESP-IDF has no name for
# Labels by which MicroPython or instar looks for a partition, and what it has to be.
LABELS = {"nvs": 0x02, "otadata": 0x00, "phy_init": 0x01, "vfs": 0x81, "romfs": ROMFS}
_LABEL_SIZE = 16
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20}
_FIELDS = (5, 6)
_NVS_LEAST = 3 * SECTOR


def read_csv(path: Path) -> list[Row]:
    """The table's rows, in the file's order.

    Raises:
        click.ClickException: a line is not what is expected; it is named.
    """
    rows: list[Row] = []
    end = FIRST_FREE
    for number, line in enumerate(path.read_text().splitlines(), 1):
        fields = [field.strip() for field in line.partition("#")[0].split(",")]
        if fields == [""]:
            continue
        try:
            row = _row(fields, end)
        except ValueError as error:
            raise click.ClickException(f"{path.name}:{number}: {error}") from error
        end = row[2] + row[3]
        rows.append(row)
    return rows


def _row(fields: Sequence[str], end: int) -> Row:
    if len(fields) not in _FIELDS:
        raise ValueError(f"name, type, subtype, offset, size, flags expected, got {fields}")
    label, kind, subtype, address, size = fields[:5]
    if fields[5:] not in ([], [""]):
        raise ValueError(f"no flags expected, got {fields[5]!r}")
    kind_number = _named(kind, TYPES)
    unit = APP_UNIT if kind_number == APP else SECTOR
    at = _number(address) if address else -(-end // unit) * unit
    names = SUBTYPES.get(kind_number, {})
    return kind_number, _named(subtype, names), at, _number(size), label


def _named(text: str, names: dict[str, int]) -> int:
    if text in names:
        return names[text]
    try:
        number = int(text, 0)
    except ValueError:
        raise ValueError(f"a number or one of {', '.join(names)} expected, got {text!r}") from None
    if not 0 <= number < 255:
        raise ValueError(f"a number from 0 to 254 expected, got {text!r}")
    return number


def _number(text: str) -> int:
    match = re.fullmatch(r"(0[xX][0-9a-fA-F]+|\d+)([KM]?)", text)
    if not match:
        raise ValueError(f"a size like 0x180000, 1536K or 2M expected, got {text!r}")
    return int(match[1], 0) * _UNITS[match[2]]


def slots(rows: Sequence[Row]) -> list[Row]:
    """The partitions that firmware is updated in."""
    return [row for row in rows if row[0] == APP and 0x10 <= row[1] < 0x20]


def find(rows: Sequence[Row], label: str) -> Row | None:
    """The row of that label."""
    return next((row for row in rows if row[4] == label), None)


def problems(rows: Sequence[Row], flash_size: int) -> list[str]:
    """What keeps this table from being one that instar updates firmware in; [] if nothing.

    flash_size: in bytes. Checked are: labels, alignment, overlaps, the end of the flash, otadata,
    nvs, two equal slots, a file system, and that a romfs is what MicroPython takes for one.
    """
    found = [problem for row in rows for problem in _alone(row, flash_size)]
    return found + _together(rows) + _needed(rows)


def _alone(row: Row, flash_size: int) -> list[str]:
    kind, _, address, size, label = row
    found = []
    if not 0 < len(label.encode()) <= _LABEL_SIZE:
        found.append(f"{label!r}: a name of 1 to {_LABEL_SIZE} bytes expected")
    unit = APP_UNIT if kind == APP else SECTOR
    if address % unit:
        found.append(f"{label}: an offset that is a multiple of {unit:#x} expected: {address:#x}")
    if size % SECTOR or not size:
        found.append(f"{label}: a size that is a multiple of {SECTOR:#x} expected: {size:#x}")
    if address < FIRST_FREE:
        found.append(f"{label}: begins at {address:#x}, below {FIRST_FREE:#x}")
    if address + size > flash_size:
        end = address + size
        found.append(f"{label}: ends at {end:#x}, after the flash's {flash_size:#x} bytes")
    return found


def _together(rows: Sequence[Row]) -> list[str]:
    found = []
    labels = [row[4] for row in rows]
    for label in sorted({label for label in labels if labels.count(label) > 1}):
        found.append(f"{label}: one of that name expected, got {labels.count(label)}")
    in_order = sorted(rows, key=lambda row: row[2])
    reach, last = 0, ""
    for _, _, address, size, label in in_order:
        if address < reach:
            found.append(f"{label}: overlaps {last}, which ends at {reach:#x}")
        if address + size > reach:
            reach, last = address + size, label
    return found


def _needed(rows: Sequence[Row]) -> list[str]:
    found = []
    for label, subtype in LABELS.items():
        row = find(rows, label)
        if row and row[:2] != (DATA, subtype):
            found.append(
                f"{label}: data of subtype {subtype:#x} expected, got {row[0]}, {row[1]:#x}"
            )
    for label in ("nvs", "otadata", "phy_init", "vfs"):
        if not find(rows, label):
            found.append(f"{label}: a partition of that name expected, found none")
    otadata, nvs = find(rows, "otadata"), find(rows, "nvs")
    if otadata and otadata[3] != OTADATA_SIZE:
        found.append(f"otadata: {OTADATA_SIZE:#x} bytes expected, got {otadata[3]:#x}")
    if nvs and nvs[3] < _NVS_LEAST:
        found.append(f"nvs: {_NVS_LEAST:#x} bytes or more expected, got {nvs[3]:#x}")
    return found + _slot_problems(rows)


def _slot_problems(rows: Sequence[Row]) -> list[str]:
    found = []
    ota = slots(rows)
    numbers = sorted(row[1] - 0x10 for row in ota)
    if numbers != [0, 1]:
        found.append(f"slots: ota_0 and ota_1 expected, got {numbers or 'none'}")
    if len({row[3] for row in ota}) > 1:
        sizes = ", ".join(f"{row[4]} {row[3]:#x}" for row in ota)
        found.append(f"slots: equal sizes expected, got {sizes}")
    return found
