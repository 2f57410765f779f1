"""``instar sim``: make the flash file of a simulated board, and run it."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from pathlib import Path

import click

from . import slot_builder
from .event_view import View
from .events import Event
from .plug_cmd import heap_option, plug
from .simulated import flash_builder
from .simulated.board_kinds import ESP32_GENERIC, KINDS, BoardKind
from .simulated.simulator import Simulator
from .simulated.wear import Wear

NOT_MET = 3
CUTS = ("before", "torn", "ragged", "after")
_UNITS = {"KB": 1 << 10, "MB": 1 << 20}


@click.group()
def sim() -> None:
    """Create and run simulated boards."""


sim.add_command(plug)


def _size(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    if value is None:
        return None
    match = re.fullmatch(r"(\d+)(KB|MB)", value.upper())
    if not match:
        raise click.BadParameter(f"a size like 4MB expected, got {value!r}")
    return int(match[1]) * _UNITS[match[2]]


def _files(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for pair in value:
        host, colon, board = pair.rpartition(":")
        if not colon or not board.startswith("/") or not Path(host).is_file():
            raise click.BadParameter(f"HOST:/BOARD with an existing file expected, got {pair!r}")
        found[board] = host
    return found


def _kind(ctx: click.Context, param: click.Parameter, value: str) -> BoardKind:
    return KINDS[value]


@sim.command()
@click.argument("flash", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--board",
    "kind",
    type=click.Choice(list(KINDS)),
    callback=_kind,
    default=ESP32_GENERIC.name,
    show_default=True,
)
@click.option(
    "--image",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Firmware image: needed where there are firmware slots, refused elsewhere.",
)
@click.option(
    "--app",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder with the application for slot /a, where there are no firmware slots;"
    " without it the sample application.",
)
@slot_builder.slot_options
@click.option(
    "--flash-size", callback=_size, metavar="SIZE", help="Like 4MB; default: the board's."
)
@click.option("--settings", type=click.Path(exists=True), help="Becomes /instar.json.")
@click.option(
    "--file",
    "files",
    multiple=True,
    metavar="HOST:BOARD",
    callback=_files,
    help="A file for the board's file system.",
)
@click.option("--blank", is_flag=True, help="Nothing is in the flash: a chip from its maker.")
@click.option("--seed", type=int, help="Of the MAC address; without it a random one.")
@click.option("--force", is_flag=True, help="Replace an existing flash file.")
def create(
    flash: Path,
    kind: BoardKind,
    image: Path | None,
    app: Path | None,
    base: str,
    parts: tuple[str, ...],
    flash_size: int | None,
    settings: str | None,
    files: dict[str, str],
    blank: bool,
    seed: int | None,
    force: bool,
) -> None:
    """Make FLASH, the flash chip of a board that was just flashed and deployed."""
    if flash.exists() and not force:
        raise click.UsageError(f"{flash} exists; --force replaces it")
    if blank:
        if image or app or parts or settings or files:
            raise click.UsageError("--blank: nothing is in the flash, so nothing else is expected")
        flash_builder.write_blank(flash, kind=kind, size=flash_size, seed=seed)
        click.echo(f"{flash}: {kind.name}, {flash.stat().st_size >> 10} KiB, blank")
        return
    content: dict[str, str | bytes] = {}
    if kind.firmware_slots:
        if not image or app:
            raise click.UsageError(
                f"{kind.name} has firmware slots: --image is expected, and --app is part of it"
            )
    elif image:
        raise click.UsageError(
            f"{kind.name} has no firmware slots: --app FOLDER is expected instead of --image"
        )
    else:
        content |= slot_builder.device_files(kind.name, app, parts, base)
    if settings:
        content["/instar.json"] = settings
    content |= files
    data = image.read_bytes() if image else None
    flash_builder.write_flash(flash, data, kind=kind, size=flash_size, files=content, seed=seed)
    click.echo(f"{flash}: {kind.name}, {flash.stat().st_size >> 10} KiB, {len(content)} files")


def _cut(ctx: click.Context, param: click.Parameter, value: str | None):
    if value is None:
        return None
    number, _, how = value.partition(":")
    if not number.isdigit() or (how or "before") not in CUTS:
        raise click.BadParameter(f"N[:{'|'.join(CUTS)}] expected, got {value!r}")
    return int(number), how or "before"


def _rtc(ctx: click.Context, param: click.Parameter, value: str | None) -> int | str | None:
    if value is None or value == "host":
        return value
    try:
        when = datetime.fromisoformat(value.replace("Z", "+00:00"))
    except ValueError as error:
        raise click.BadParameter(f"host or an ISO 8601 time expected, got {value!r}") from error
    when = when if when.tzinfo else when.replace(tzinfo=timezone.utc)
    since = when - datetime(2000, 1, 1, tzinfo=timezone.utc)
    return int(since.total_seconds() * 1_000_000)


@sim.command()
@click.argument("flash", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--heap", callback=heap_option, help="As -X heapsize; without it as the board has.")
@click.option("--until", type=click.Choice(["idle", "success", "failure"]))
@click.option("--seconds", type=float, help="Switch the board off after this time.")
@click.option("--boots", type=int, help="Switch the board off after so many boots.")
@click.option("--events", is_flag=True, help="One JSON event per line on stdout.")
@click.option("--trace", is_flag=True, help="An event for each flash operation.")
@click.option("--wear", is_flag=True, help="A table at the end: what the flash went through.")
@click.option("--seed", type=int, help="Of the board's randomness.")
@click.option("--rtc", "rtc_us", callback=_rtc, metavar="ISO|host", help="The RTC at power-on.")
@click.option("--cut", callback=_cut, metavar="N[:HOW]", help="Cut the power at operation N.")
@click.option("--quiet", is_flag=True, help="The board's console is not shown.")
@click.pass_context
def run(ctx, flash, until, seconds, boots, events, quiet, cut, trace, wear, **board) -> None:
    """Run the board in FLASH, boot after boot, until the condition or a dead end.

    The board's console is on stderr. HOW of a cut: before, torn (half of it done), ragged
    (scattered bits done), after. Exit code: 0 the condition was met, or none was asked for; 3 it
    was not met; 2 usage.
    """
    view = View(events, quiet)
    counts = Wear(flash) if wear else None

    def hear(event: Event) -> None:
        if counts:
            counts.hear(event)
        if trace or event["event"] != "op":
            view.event(event)

    with view.progress:
        outcome = Simulator(
            flash,
            on_event=hear,
            console=view.console,
            power_cut_at=cut,
            trace=trace or wear,
            **board,
        ).run(until, seconds, boots)
    view.say(f"simulator: ended by {outcome.reason}")
    if counts:
        view.progress.console.print(counts.table())
    ctx.exit(0 if outcome.met or until is None else NOT_MET)
