"""``instar package``: what mip installs, bytecode, ROMFS images."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from pathlib import Path

import click

from . import packaging, sets
from .image_builder import build_romfs, compiled
from .paths import ROOT


@click.command()
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Folder; for --romfs a file."
)
@click.option("--mpy", "form", flag_value="mpy", help="A set's bytecode, for the board's /lib.")
@click.option("--romfs", "form", flag_value="romfs", help="A ROMFS image of a set's bytecode.")
@click.option(
    "--set",
    "name",
    type=click.Choice([*sets.SETS]),
    help="For --mpy and --romfs: which.  [default: instar]",
)
@click.option(
    "-O",
    "optimise",
    type=click.IntRange(0, 3),
    default=0,
    help="mpy-cross's; with 3 the modules are smaller, and tracebacks have no line numbers.",
)
@click.option(
    "--update", is_flag=True, help="Write this checkout's package.json files anew, nothing else."
)
def package(
    output: Path | None, form: str | None, name: str | None, optimise: int, update: bool
) -> None:
    """Build what goes onto boards.

    Without --mpy or --romfs: a folder for a web server, from which mip installs instar or one of
    its sets, by a package.json or as from an index.
    """
    if update:
        return _update()
    if not output:
        raise click.UsageError("expected -o FOLDER (or FILE with --romfs)")
    if name and not form:
        raise click.UsageError("--set goes with --mpy or --romfs; a folder for mip has every set")
    if not form:
        packaging.build(output, optimise)
        names = ", ".join(packaging.packages())
        click.echo(f"{output}: version {packaging.version()} of {names}")
        return
    files = compiled(packaging.contents(name or "instar"), optimise)
    if form == "romfs":
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_bytes(build_romfs(files))
    else:
        _write_tree(output, files)
    total = sum(map(len, files.values()))
    click.echo(f"{output}: {len(files)} modules, {total} bytes of bytecode")


def _write_tree(folder: Path, files: dict[str, bytes]) -> None:
    stale = {path.relative_to(folder).as_posix() for path in folder.rglob("*.mpy")} - {*files}
    for path in stale:
        (folder / path).unlink()
    for path, data in files.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)


def _update() -> None:
    for path, text in packaging.committed().items():
        (ROOT / path).write_text(text)
        click.echo(path)
