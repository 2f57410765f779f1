"""How fast the Artifact reader is against C alone, and how much heap it holds, by payload size.

    .venv/bin/python bench/artifact.py

The reader runs under the MicroPython unix port; the other column is inflate, SHA-256 and a copy
in the same interpreter without a line of Python per byte. Heap is live heap, taken after
gc.collect() all along the way, and excludes the caller's chunk buffer. The last column is the same
on a heap in pieces, where but for the place held for the window no 32 KiB are free in one block.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import gzip
import json
import os
import random
import subprocess
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from instar_tools.artifact_writer import write_artifact
from instar_tools.paths import LIB, micropython

BOARD = Path(__file__).with_name("artifact_board.py")
SIZES = (1 << 20, 4 << 20, 16 << 20)


def firmware(size: int) -> bytes:
    """Bytes that compress to about half, as machine code does."""
    source = random.Random(size)
    words = [source.randbytes(source.randrange(2, 12)) for _ in range(4096)]
    found = bytearray()
    while len(found) < size:
        found += source.choice(words) if source.random() < 0.9 else source.randbytes(4)
    return bytes(found[:size])


def measure(folder: Path, size: int, compression: str) -> dict:
    image = folder / "firmware.bin"
    image.write_bytes(firmware(size))
    packed = folder / "firmware.gz"
    packed.write_bytes(gzip.compress(image.read_bytes()))
    path = folder / "bench.mender"
    write_artifact(
        path,
        artifact_name="bench",
        device_types=["unix"],
        payload_type="rootfs-image",
        files=[image],
        compression=compression,
    )
    found = on_board("64M", "speed", path, packed)
    found["heap"] = on_board("4M", "heap", path)["heap"]
    found["fragmented"] = on_board("256k", "fragmented", path)
    return found


def on_board(heap: str, *args: str | Path) -> dict:
    done = subprocess.run(
        [micropython(), "-X", f"heapsize={heap}", BOARD, *args],
        env={**os.environ, "MICROPYPATH": f"{LIB}:.frozen"},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def row(found: dict, compression: str) -> list[str]:
    # C alone inflates: there is nothing to compare an Artifact without compression to.
    compared = compression == "gzip"
    fragmented = found["fragmented"]
    return [
        f"{found['reader'] * 1000:.0f} ms",
        f"{found['c'] * 1000:.0f} ms" if compared else "",
        f"{found['reader'] / found['c']:.2f}" if compared else "",
        f"{found['heap'] / 1024:.1f} KiB",
        f"{fragmented['heap'] / 1024:.1f} KiB, largest block {fragmented['largest']} KiB",
    ]


def main() -> None:
    table = Table(
        "payload", "compression", "reader", "C alone", "ratio", "live heap", "on a heap in pieces"
    )
    with tempfile.TemporaryDirectory() as scratch:
        for size in SIZES:
            for compression in ("gzip", "none"):
                found = measure(Path(scratch), size, compression)
                table.add_row(f"{size >> 20} MiB", compression, *row(found, compression))
    Console().print(table)


if __name__ == "__main__":
    main()
