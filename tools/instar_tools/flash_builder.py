"""Flash files for the simulated board: partition table, image, file system in one host file.

    write_flash(path, image, size=4 << 20, files={"/instar.json": "settings.json"}, seed=7)

The partition table is what gen_esp32part makes of MicroPython's partitions-4MiB-ota.csv; LittleFS
is made by MicroPython itself. The boot-loader area is blank (the simulated boot loader is in
boards/UNIX), but for the MAC address in the bytes that a real ESP32 leaves unused.
"""

from __future__ import annotations

import hashlib
import os
import struct
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from .paths import BOARDS, micropython

Row = tuple[int, int, int, int, str]  # type, subtype, address, size, label

# MicroPython's ports/esp32/partitions-4MiB-ota.csv. `vfs` is what is left of the chip.
OTA_4MIB: tuple[Row, ...] = (
    (1, 0x02, 0x9000, 0x4000, "nvs"),
    (1, 0x00, 0xD000, 0x2000, "otadata"),
    (1, 0x01, 0xF000, 0x1000, "phy_init"),
    (0, 0x10, 0x10000, 0x180000, "ota_0"),
    (0, 0x11, 0x190000, 0x180000, "ota_1"),
)
TABLES: dict[str, tuple[Row, ...]] = {"ESP32_GENERIC": OTA_4MIB}

TABLE_ADDRESS = 0x8000
_TABLE_SIZE = 0xC00
_SECTOR = 4096
_OUI = bytes.fromhex("240ac4")  # Espressif


def table_binary(rows: Sequence[Row]) -> bytes:
    """The partition table as it lies in flash: rows, an entry with their MD5, 0xFF to 3 KiB."""
    entries = b"".join(
        struct.pack("<HBBII16sI", 0x50AA, kind, subtype, address, size, label.encode(), 0)
        for kind, subtype, address, size, label in rows
    )
    md5 = b"\xeb\xeb" + b"\xff" * 14 + hashlib.md5(entries).digest()
    return (entries + md5).ljust(_TABLE_SIZE, b"\xff")


def parse_table(flash: bytes) -> list[Row]:
    """The rows of the table in a flash file's bytes."""
    rows: list[Row] = []
    for at in range(TABLE_ADDRESS, TABLE_ADDRESS + _TABLE_SIZE, 32):
        magic, kind, subtype, address, size, label, _ = struct.unpack_from("<HBBII16sI", flash, at)
        if magic != 0x50AA:
            break
        rows.append((kind, subtype, address, size, label.rstrip(b"\0").decode()))
    return rows


def write_flash(
    path: Path,
    image: bytes,
    *,
    size: int = 4 << 20,
    files: Mapping[str, os.PathLike | str] | None = None,
    seed: int | None = None,
    rows: Sequence[Row] = OTA_4MIB,
) -> None:
    """Make the flash file of a board that was just flashed.

    image: goes into the first app partition. files: path on the board -> path on the host.
    seed: of the MAC address; None: a random one.

    Raises:
        click.ClickException: the image or the table does not fit, or the files do not.
    """
    app = next(row for row in rows if row[0] == 0)
    end = max(row[2] + row[3] for row in rows)
    if len(image) > app[3]:
        raise click.ClickException(f"{app[4]} holds {app[3]} bytes, the image has {len(image)}")
    if end + 16 * _SECTOR > size:
        raise click.ClickException(f"flash of more than {end} bytes expected, got {size}")
    flash = bytearray(b"\xff" * size)
    for address, data in (
        (0, _mac(seed)),
        (TABLE_ADDRESS, table_binary(rows)),
        (app[2], image),
    ):
        flash[address : address + len(data)] = data
    path.write_bytes(flash)
    _make_vfs(path, files or {})


def _mac(seed: int | None) -> bytes:
    tail = os.urandom(3) if seed is None else hashlib.sha256(b"mac %d" % seed).digest()[:3]
    return _OUI + tail


def _make_vfs(path: Path, files: Mapping[str, os.PathLike | str]) -> None:
    pairs = [f"{Path(host).resolve()}:{board}" for board, host in files.items()]
    done = subprocess.run(
        [micropython(), BOARDS / "UNIX" / "make_vfs.py", path.resolve(), *pairs],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise click.ClickException(f"the file system could not be made: {done.stdout.strip()}")
