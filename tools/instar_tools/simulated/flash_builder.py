"""Flash files for the simulated boards: partition table, image, file system in one host file.

    write_flash(path, image, files={"/instar.json": "settings.json"}, seed=7)
    write_flash(path, kind=RPI_PICO_W, files={"/main.py": b"print(1)"})
    write_blank(path, seed=7)            # a chip as it comes from its maker

An ESP32's partition table is what gen_esp32part makes of MicroPython's partitions-4MiB-ota.csv;
LittleFS is made by MicroPython itself. The area of the boot loader or of the RP2040's firmware is
blank (both are in boards/UNIX), but for the MAC address and the board's name.
"""

from __future__ import annotations

import hashlib
import os
import struct
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from ..flashing.partition_table import TABLE_ADDRESS, TABLE_SIZE, Row, table_binary
from ..paths import BOARDS, micropython
from .board_kinds import ESP32_GENERIC, NAME_AT, OTA_4MIB, BoardKind

_SECTOR = 4096


def parse_table(flash: bytes) -> list[Row]:
    """The rows of the table in a flash file's bytes."""
    rows: list[Row] = []
    for at in range(TABLE_ADDRESS, TABLE_ADDRESS + TABLE_SIZE, 32):
        magic, kind, subtype, address, size, label, _ = struct.unpack_from("<HBBII16sI", flash, at)
        if magic != 0x50AA:
            break
        rows.append((kind, subtype, address, size, label.rstrip(b"\0").decode()))
    return rows


def write_flash(
    path: Path,
    image: bytes | None = None,
    *,
    kind: BoardKind = ESP32_GENERIC,
    size: int | None = None,
    files: Mapping[str, os.PathLike | str | bytes] | None = None,
    seed: int | None = None,
) -> None:
    """Make the flash file of a board that was just flashed.

    image: goes into the first app partition, where there are any. size: of the flash; None: the
    kind's. files: path on the board -> path on the host, or content. seed: of the MAC address;
    None: a random one.

    Raises:
        click.ClickException: the image or the table does not fit, or the files do not.
    """
    flash = _chip(kind, size, seed)
    if kind.firmware_slots:
        for address, data in _firmware(kind.rows, image or b"", len(flash)):
            flash[address : address + len(data)] = data
    elif image is not None:
        raise click.ClickException(f"{kind.name} has no firmware slots: an image cannot be there")
    path.write_bytes(flash)
    _make_vfs(path, files or {})


def write_blank(
    path: Path,
    *,
    kind: BoardKind = ESP32_GENERIC,
    size: int | None = None,
    seed: int | None = None,
) -> None:
    """Make the flash file of a board whose flash nobody wrote to yet. An ESP32 has nothing to
    start then; a Pico W, whose firmware is not in the file, makes itself an empty file system.

    Raises:
        click.ClickException: there is no such board of that size.
    """
    path.write_bytes(_chip(kind, size, seed))


def _chip(kind: BoardKind, size: int | None, seed: int | None) -> bytearray:
    size = kind.flash_size if size is None else size
    if size != kind.flash_size and not kind.any_size:
        raise click.ClickException(f"{kind.name} has {kind.flash_size} bytes of flash, not {size}")
    flash = bytearray(b"\xff" * size)
    for address, data in ((0, _mac(kind, seed)), (NAME_AT, kind.name_field)):
        flash[address : address + len(data)] = data
    return flash


def _firmware(rows: Sequence[Row], image: bytes, size: int) -> list[tuple[int, bytes]]:
    app = next(row for row in rows if row[0] == 0)
    end = max(row[2] + row[3] for row in rows)
    if len(image) > app[3]:
        raise click.ClickException(f"{app[4]} holds {app[3]} bytes, the image has {len(image)}")
    if end + 16 * _SECTOR > size:
        raise click.ClickException(f"flash of more than {end} bytes expected, got {size}")
    return [(TABLE_ADDRESS, table_binary(rows)), (app[2], image)]


def _mac(kind: BoardKind, seed: int | None) -> bytes:
    tail = os.urandom(3) if seed is None else hashlib.sha256(b"mac %d" % seed).digest()[:3]
    return kind.oui + tail


def _make_vfs(path: Path, files: Mapping[str, os.PathLike | str | bytes]) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        pairs = []
        for number, (board, content) in enumerate(files.items()):
            host = content
            if isinstance(content, bytes):
                host = Path(scratch, str(number))
                host.write_bytes(content)
            pairs.append(f"{Path(host).resolve()}:{board}")
        done = subprocess.run(
            [micropython(), BOARDS / "UNIX" / "make_vfs.py", path.resolve(), *pairs],
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise click.ClickException(f"the file system could not be made: {done.stdout.strip()}")
