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
    "--part",
    "parts",
    multiple=True,
    type=click.Choice([*sets.PARTS]),
    help="In place of --set: a part to put in beside the core. May be repeated.",
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
    output: Path | None,
    form: str | None,
    name: str | None,
    parts: tuple[str, ...],
    optimise: int,
    update: bool,
) -> None:
    """Build what goes onto boards.

    Without --mpy or --romfs: a folder for a web server, from which mip installs instar or one of
    its sets, by a package.json or as from an index.
    """
    if update:
        return _update()
    if not output:
        raise click.UsageError("expected -o FOLDER (or FILE with --romfs)")
    if (name or parts) and not form:
        raise click.UsageError(
            "--set and --part go with --mpy or --romfs; a folder for mip has every set"
        )
    if name and parts:
        raise click.UsageError("--part is in place of --set: one of them is expected")
    if not form:
        packaging.build(output, optimise)
        names = ", ".join(packaging.packages())
        click.echo(f"{output}: version {packaging.version()} of {names}")
        return
    wanted = parts or sets.SETS[name or "instar"]
    files = compiled(packaging.contents_of(wanted), optimise)
    if form == "romfs":
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_bytes(build_romfs(files))
    else:
        _write_tree(output, files)
    total = sum(map(len, files.values()))
    click.echo(f"{output}: {len(files)} modules, {total} bytes of bytecode")


def _write_tree(folder: Path, files: dict[str, bytes]) -> None:
    for path in (folder / sets.PACKAGE.name).rglob("*.mpy"):
        if path.relative_to(folder).as_posix() not in files:
            path.unlink()  # of another set
    for path, data in files.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)


def _update() -> None:
    for path, text in packaging.committed().items():
        (ROOT / path).write_text(text)
        click.echo(path)
