"""``instar flash``: MicroPython onto a board, with two slots where the board can have them.

An ESP32: the official file is checked, laid out for two slots, written and verified with esptool.
A Pico: the file is checked, and copied to the drive that the board is in BOOTSEL mode.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import contextlib
import shlex
import tempfile
from collections.abc import Iterable
from pathlib import Path

import click

from .cable.ports import Place
from .cable.serial_line import AUTO, PortError, open_line, resolve
from .flashing import firmware_file, flash_layout, flash_plan, image_tool, uf2
from .flashing.esptool_run import BETTER_CABLE, Chip, Esptool, EsptoolError, Part
from .flashing.firmware_file import Firmware
from .flashing.flash_layout import Area
from .real_boards import BOARDS, RealBoard

_UNITS = {"k": 1 << 10, "m": 1 << 20}
_SLOT_STEP = 0x10000


class Size(click.ParamType):
    """Bytes: 1572864, 0x180000, 1536k, 2M."""

    name = "size"

    def convert(self, value, param, ctx) -> int:
        if isinstance(value, int):
            return value
        unit = _UNITS.get(value[-1:].lower(), 1)
        try:
            size = int(value[:-1] if unit > 1 else value, 0) * unit
        except ValueError:
            size = 0
        if size <= 0 or size % _SLOT_STEP:
            self.fail(f"a multiple of 64 KiB like 0x180000, 1536k or 2M expected, got {value!r}")
        return size


@click.command()
@click.option("--board", required=True, type=click.Choice(sorted(BOARDS)))
@click.option(
    "--firmware",
    "path",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="As micropython.org has it: .bin for an ESP32, .uf2 for a Pico.",
)
@click.option("--port", help="Serial port, like /dev/ttyUSB0 or COM3; auto: the only one there.")
@click.option(
    "--drive",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A Pico in BOOTSEL mode, where it is mounted: the file is copied there.",
)
@click.option("--dry-run", is_flag=True, help="Print the commands; run none.")
@click.option("--erase", is_flag=True, help="Keep nothing: no settings, keys, records, files.")
@click.option("--app-size", type=Size(), default=0, help="Of each slot. [default: the layout's]")
@click.option("--baud", type=click.IntRange(9600), help="[default: 460800]")
@click.option(
    "--no-stub/--stub",
    default=None,
    help="Speak with the chip's ROM alone. [default: on a pty, as a simulated board's port is]",
)
def flash(
    board: str,
    path: Path,
    port: str | None,
    drive: Path | None,
    dry_run: bool,
    erase: bool,
    app_size: int,
    baud: int | None,
    no_stub: bool | None,
) -> None:
    """Write MicroPython onto a board, with two slots where it can have them.

    Nothing is written before the file, the chip and the layout are known to fit. A board that was
    flashed so before keeps its settings and files; where it cannot, --erase has to be said.

    Exit 0: done, 1: refused or failed, 2: wrong usage.
    """
    chosen = BOARDS[board]
    if chosen.port == "rp2":
        if port or erase or app_size or baud or no_stub is not None:
            raise click.UsageError(f"{board} takes its file as a drive: --drive, and no --port")
        _flash_rp2(chosen, path, drive, dry_run)
        return
    if drive or not (port or dry_run):
        raise click.UsageError(f"{board} is flashed over its serial port: --port, and no --drive")
    firmware = firmware_file.read(path, chosen.chip)
    _say(firmware)
    if dry_run:
        tool = Esptool(_shown_port(port), Path(), no_stub=no_stub, baud=baud)
        _show(tool, chosen, firmware, app_size, erase)
        return
    assert port
    name = Place(port, click.echo).name
    with open_line(name):
        pass  # its errors say more than esptool's
    with tempfile.TemporaryDirectory(prefix="instar-flash-") as scratch:
        tool = Esptool(name, Path(scratch), no_stub=no_stub, baud=baud)
        _flash_esp32(tool, chosen, firmware, app_size, erase)


def _say(firmware: Firmware) -> None:
    version = firmware.version or "of a version that it does not say"
    click.echo(
        f"{firmware.path}: MicroPython {version} for the {firmware.chip}, application of"
        f" {len(firmware.app)} bytes; checksums are right"
    )


# ESP32.


def _flash_esp32(
    tool: Esptool, board: RealBoard, firmware: Firmware, app_size: int, erase: bool
) -> None:
    with tool.before_writing():
        chip = tool.identify()
        click.echo(f"Found {chip.description}, MAC {chip.mac}, {chip.flash_mib} MiB of flash")
        _check_chip(board, chip)
        layout = flash_layout.choose(board, firmware, chip.flash_mib, app_size)
        programs = image_tool.make(firmware, layout, tool.folder)
        plan = flash_plan.make(tool, chip, layout, erase)
        click.echo("\n".join(plan.words))
        parts = [*_blanks(plan.areas, tool.folder), *programs]
    _write(tool, board, parts, programs)
    click.echo(
        f"\nDone: {board.name} has MicroPython in slot {layout.first_slot[4]} and starts it; if it"
        " does not, press its RESET button.\n"
        f"Next: instar deploy --board {board.name} --port {tool.port}"
    )


def _check_chip(board: RealBoard, chip: Chip) -> None:
    if chip.name != board.chip:
        fitting = [b.name for b in BOARDS.values() if b.chip == chip.name]
        advice = f"say --board {fitting[0]}" if fitting else "instar has no board with that chip"
        raise click.ClickException(
            f"{board.name} has an {board.chip}, on this port is an {chip.name}"
            f" ({chip.description}); is it the right board? If so, {advice}"
        )


def _blanks(areas: Iterable[Area], folder: Path) -> list[Part]:
    parts = []
    for area in areas:
        path = folder / f"blank-{area.label}.bin"
        path.write_bytes(b"\xff" * area.size)
        parts.append((area.address, path))
    return parts


def _write(tool: Esptool, board: RealBoard, parts: list[Part], programs: list[Part]) -> None:
    if not tool.run(tool.write(parts)):
        raise EsptoolError(
            f"esptool did not get to its end: {board.name} may not start now. Its loader is in"
            " ROM and cannot be lost: run this again, and it goes on from there; if it happens"
            f" again, take {BETTER_CABLE}"
        )
    # Not what was erased: a chip that starts in between writes there.
    if not tool.run(tool.verify(programs)):
        raise EsptoolError(
            f"what lies on {board.name} is not what was written, or it was unplugged: run this"
            f" again; if it happens again, take {BETTER_CABLE}"
        )


# Without a chip.


def _shown_port(port: str | None) -> str:
    if port == AUTO:
        with contextlib.suppress(PortError):
            return resolve(port)
        port = None
    return port or "PORT"


def _show(tool: Esptool, board: RealBoard, firmware: Firmware, app_size: int, erase: bool) -> None:
    """The commands for a chip with the flash that the file expects, and no table on it."""
    size = max(firmware.flash_mib, min(board.flash_sizes))
    layout = flash_layout.choose(board, firmware, size, app_size)
    tool.folder = Path(tempfile.mkdtemp(prefix="instar-flash-"))
    image_tool.copy_in(firmware, layout, tool.folder)
    areas = flash_layout.to_blank(None, layout.rows, size, erase)
    programs = image_tool.programs(firmware, layout, tool.folder)
    lines = [["cd", str(tool.folder)], tool.look()]
    tool.chip = board.chip
    lines += [
        *image_tool.commands(layout),
        tool.write([*_blanks(areas, tool.folder), *programs]),
        tool.verify(programs),
    ]
    click.echo(
        f"# For a chip with {size} MiB and no partition table: {layout.source}. A real run goes by"
        "\n# what the first esptool finds, and keeps the files of a board with this table."
    )
    for line in lines:
        click.echo(shlex.join(line))


# RP2.


def _flash_rp2(board: RealBoard, path: Path, drive: Path | None, dry_run: bool) -> None:
    file = uf2.read(path, board)
    version = file.version or "of a version that it does not say"
    click.echo(
        f"{path}: MicroPython {version} for {board.name}, {len(file.program)} bytes, complete"
    )
    name = uf2.DRIVES[board.chip]
    if not drive:
        click.echo(
            f"Next: hold BOOTSEL down while you plug the board in, and copy the file to the drive"
            f" {name} that appears:\n"
            f"  instar flash --board {board.name} --firmware {shlex.quote(str(path))}"
            f" --drive /path/to/{name}\n"
            "A board that runs MicroPython goes there with: mpremote bootloader"
        )
    elif dry_run:
        uf2.check_drive(drive, board)
        click.echo(f"cp {shlex.quote(str(path))} {shlex.quote(str(drive))} && sync")
    else:
        try:
            uf2.copy(file, drive, board)
        except OSError as error:
            raise click.ClickException(
                f"the copy to {drive} failed ({error}): unplug the board, hold BOOTSEL down while"
                " you plug it in again, and run this again"
            ) from None
        click.echo(
            f"Copied to {drive}: the board restarts with it, its files stay.\n"
            f"Next: instar deploy --board {board.name} --port PORT"
        )
