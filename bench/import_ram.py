"""How much heap each set of instar takes once it is imported: from .py, from .mpy, from ROMFS.

    .venv/bin/python bench/import_ram.py

`start`: an agent as firmware/start.py makes it, for the servers that the set is for, with one
message published or value recorded; its modules and objects, without what is unloaded again.
`all`: every module of the set at once, which no board ever has. Heap is live heap after
gc.collect(); the interpreter's own modules (asyncio, json) are not in it, nor is a ROMFS, which
lies in flash.

On the MicroPython unix port, whose words have 64 bits: a 32-bit board takes a little more than
half, and the ratios are what to go by.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from instar_tools import packaging, sets
from instar_tools.image_builder import build_romfs, compiled
from instar_tools.paths import micropython

BOARD = Path(__file__).with_name("import_ram_board.py")
MENDER = {"mender_url": "https://mender", "watchdog": 0}
MAGISTRALA = {
    "magistrala_url": "https://magistrala",
    "magistrala_id": "id",
    "magistrala_secret": "secret",
    "bootstrap_url": "https://magistrala/b",
    "external_key": "key",
    "watchdog": 0,
}
MURANO = {"murano_url": "https://murano", "watchdog": 0}
SETTINGS = {
    "instar": {**MURANO, **MAGISTRALA, **MENDER, "update_server": "mender"},
    "instar-mender": MENDER,
    "instar-magistrala": MAGISTRALA,
    "instar-murano": MURANO,
}
HEAP = "heapsize=4M"
FORMS = (".py", ".mpy", "ROMFS")


def lay_out(folder: Path, name: str) -> dict[str, Path]:
    """The set's modules in each form: where they are."""
    source = packaging.contents(name)
    code = compiled(source)
    for form, files in ((".py", source), (".mpy", code)):
        for path, data in files.items():
            place = folder / form / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
    image = folder / "set.romfs"
    image.write_bytes(build_romfs(code))
    return {".py": folder / ".py", ".mpy": folder / ".mpy", "ROMFS": image}


def modules(name: str) -> list[str]:
    """The names of a set's modules, but those that only run on one chip."""
    paths = [path for path in sets.files_of(name) if not path.endswith("_board.py")]
    names = [path.removesuffix(".py").replace("/", ".") for path in paths]
    return [name.removesuffix(".__init__") for name in names]


def measure(place: Path, settings: dict, names: list[str]) -> dict[str, int]:
    """Bytes of heap: {"start": .., "all": ..}."""
    with tempfile.TemporaryDirectory() as scratch:
        Path(scratch, "instar.json").write_text(json.dumps(settings))
        done = subprocess.run(
            [micropython(), "-X", HEAP, BOARD, place, scratch],
            input="\n".join(names),
            env={**os.environ, "MICROPYPATH": ".frozen"},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    return json.loads(done.stdout)


def main() -> None:
    table = Table(title="heap taken by importing, in bytes (64-bit words)")
    table.add_column("set", no_wrap=True)
    table.add_column("what")
    for form in FORMS:
        table.add_column(form, justify="right")
    table.add_column("ROMFS / .mpy", justify="right")
    for name, settings in SETTINGS.items():
        with tempfile.TemporaryDirectory() as folder:
            places = lay_out(Path(folder), name)
            found = {form: measure(places[form], settings, modules(name)) for form in FORMS}
        for what in ("start", "all"):
            counts = [found[form][what] for form in FORMS]
            table.add_row(name, what, *map(str, counts), f"{counts[2] / counts[1]:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
