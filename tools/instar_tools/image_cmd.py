"""``instar image``: a firmware image for a simulated board."""

from __future__ import annotations

from pathlib import Path

import click

from . import image_builder
from .simulated import stock_firmware


@click.command()
@click.option("-o", "--output", required=True, type=click.Path(dir_okay=False, path_type=Path))
@click.option("--version", required=True, help="Goes into the app descriptor; at most 31 bytes.")
@click.option(
    "--app",
    "apps",
    multiple=True,
    type=click.Path(exists=True),
    help="A file or folder to add; DIR/ (with a slash) adds the folder's content.",
)
@click.option("--no-instar", is_flag=True, help="Leave out instar, board.py, boot.py and main.py.")
@click.option(
    "--root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The ROMFS is this folder's content, as it is; nothing is compiled or added.",
)
@click.option("--chip", type=click.Choice(image_builder.CHIPS), default="esp32")
@click.option("--bare", is_flag=True, help="No ROMFS at all: an image that starts but runs none.")
@click.option(
    "--official",
    is_flag=True,
    help="Stock MicroPython as micropython.org has it: boot loader, table with one slot, app;"
    " a UF2 for a Pico W, if the name ends in that.",
)
def image(
    output: Path,
    version: str,
    apps: tuple[str, ...],
    no_instar: bool,
    root: Path | None,
    chip: str,
    bare: bool,
    official: bool,
) -> None:
    """Build a firmware image: instar, the firmware and applications as a ROMFS.

    The file is a real ESP32 app image (`esptool image-info` reads it). Equal input gives equal
    bytes.
    """
    alone = [bool(root), bare, official]
    if sum(alone) > 1 or (any(alone) and (apps or no_instar)):
        raise click.UsageError(
            "--root, --bare and --official say the whole content: each stands alone"
        )
    if official:
        _official(output, version, chip)
        return
    files = None
    if root:
        files = image_builder.read_tree(root, content_only=True)
    elif not bare:
        parts = image_builder.firmware_files(apps, instar=not no_instar)
        files = image_builder.compiled(parts)
    data = image_builder.build_image(version, files, chip)
    output.write_bytes(data)
    romfs = len(image_builder.find_romfs(data))
    click.echo(f"{output}: {len(data)} bytes, {romfs} of them ROMFS, version {version}")


def _official(output: Path, version: str, chip: str) -> None:
    if output.suffix == ".uf2":
        output.write_bytes(stock_firmware.official_uf2(version))
        where = "for the drive of a Pico W"
    else:
        output.write_bytes(stock_firmware.official_image(version, chip))
        where = f"to be written from 0x{stock_firmware.BOOTLOADER_AT[chip]:x} on"
    click.echo(f"{output}: {output.stat().st_size} bytes, {where}")
