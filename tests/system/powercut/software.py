"""The software of the scenarios: images and application slots that are as small as they can be,
perhaps with a bug planted in them.

    image = firmware("release-2", {"mender", "firmware"}, CRASHES, mutation)
    files = pico_slot(app(2), mutation)

A mutation is a function that takes the sources of lib/, by their paths there, and returns what to
use instead of them.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import binascii
import random
from collections.abc import Callable, Collection, Mapping

from instar_tools import image_builder, sets, slot_builder
from instar_tools.paths import BOARDS, FIRMWARE, LIB

_DIGEST = 32  # bytes at the end of an image

Sources = dict[str, bytes]
Mutation = Callable[[Sources], Sources]
PICO = "RPI_PICO_W"

# Well at once, so that no second is lost.
WELL = "async def run(agent):\n    pass\n\n\ndef healthy():\n    return True\n"
CRASHES = "raise RuntimeError('no sensor')\n"
HANGS = "while True:\n    pass\n"
# Starts, and says that it is not well.
UNWELL = """
async def run(agent):
    pass


def healthy():
    raise ValueError("not well")
"""


def app(version: int) -> str:
    """A healthy application that is another one than that of another version."""
    return f"VERSION = {version}\n\n\n{WELL}"


def firmware(
    name: str,
    parts: Collection[str],
    source: str,
    mutation: Mutation | None = None,
    ballast: int = 0,
) -> bytes:
    """An image with these parts of instar (sets.PARTS) and the application `source`.

    ballast: bytes of a file that does not get smaller by compression.
    """
    kept = {f"instar/{name}" for name in (*sets.modules(parts), *sets.GUARD)}
    kept |= set(sets.board_files("ESP32_GENERIC"))
    files = image_builder.firmware_files()
    files = {
        path: x for path, x in files.items() if not path.startswith("instar/") or path in kept
    }
    files = _mutated(files, mutation) | {"app.py": source.encode()}
    if ballast:
        files["ballast.bin"] = random.Random(ballast).randbytes(ballast)
    return image_builder.build_image(name, image_builder.compiled(files))


def pico_slot(source: str, mutation: Mutation | None = None) -> dict[str, bytes]:
    """A slot of a Pico W: what of instar an application's updates need, and the application."""
    names = {f"instar/{name}" for name in sets.modules({"mender", "app"})}
    files = _part(names | set(sets.board_files(PICO)), mutation)
    files["board.py"] = (BOARDS / PICO / "board.py").read_bytes()
    files["start.py"] = (FIRMWARE / "start.py").read_bytes()
    return image_builder.compiled(files | {"app.py": source.encode()})


def esp32_slot(source: str) -> dict[str, bytes]:
    """A slot of a board that has instar in its firmware: the application alone."""
    return image_builder.compiled({"app.py": source.encode()})


def pico_root(mutation: Mutation | None = None) -> dict[str, bytes]:
    """What lies beside a Pico W's slots, by absolute path: its programs and the boot guard."""
    guard = image_builder.compiled(_part({f"instar/{name}" for name in sets.GUARD}, mutation))
    own = {path: x for path, x in slot_builder.root_files().items() if "/guard/" not in path}
    return own | {f"/guard/{name}": data for name, data in guard.items()}


def _part(names: Collection[str], mutation: Mutation | None) -> Sources:
    return _mutated({name: (LIB / name).read_bytes() for name in names}, mutation)


def _mutated(files: Mapping[str, bytes], mutation: Mutation | None) -> Sources:
    # All of lib/ is offered: a mutation need not know in which of the two this file is used.
    if mutation is None:
        return dict(files)
    changed = mutation(library())
    return {path: changed.get(path, data) for path, data in files.items()}


def library() -> Sources:
    """All sources of lib/, by their paths there."""
    return {path.relative_to(LIB).as_posix(): path.read_bytes() for path in LIB.rglob("*.py")}


def digest(image: bytes) -> str:
    """What an image is known by: the SHA-256 that it ends in."""
    return image[-_DIGEST:].hex()


def sizes(slot: str, files: Mapping[str, bytes]) -> str:
    """What an application slot is known by at a start: a sum over its files' names and sizes."""
    total = sum(
        binascii.crc32(b"/%s/%s (%d,)" % (slot.encode(), name.encode(), len(data)))
        for name, data in files.items()
    )
    return f"{slot}:{total & 0xFFFFFFFF}"
