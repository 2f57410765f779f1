"""The heap that reading an Artifact takes, however large its payload is.

The names of files are in the heap, those of modules too: MicroPython gets short ones, relative to
a folder made for it, so that the figures are the same in every clone.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
import os
import random
import subprocess
from pathlib import Path

import pytest

from instar_tools.artifact_writer import write_artifact
from instar_tools.paths import LIB, ROOT, micropython

BOARD = ROOT / "bench" / "artifact_board.py"
LIMIT = 48 * 1024
MIB = 1 << 20


def artifact(folder: Path, size: int, compression: str = "gzip", count: int = 1) -> Path:
    # Noise that comes again within the window: there is something to look back for, and it is
    # quickly written.
    noise = random.Random(1).randbytes(20000)
    data = (noise * (size // len(noise) + 1))[:size]
    files = [folder / f"file{number}.bin" for number in range(count)]
    for file in files:
        file.write_bytes(data)
    path = folder / "heap.mender"
    write_artifact(
        path,
        artifact_name="heap",
        device_types=["unix"],
        payload_type="rootfs-image" if count == 1 else "micropython-app",
        files=files,
        compression=compression,
    )
    return path


def measure(
    path: Path, mode: str = "heap", heap: str = "4M", lib: Path = LIB, script: Path = BOARD
) -> dict:
    pieces = script.with_name("heap_pieces.py")
    for name, target in (("lib", lib), ("board.py", script), (pieces.name, pieces)):
        link = path.with_name(name)
        link.unlink(missing_ok=True)
        link.symlink_to(target)
    done = subprocess.run(
        # As a module: of a script, the folder's whole path would be in sys.path.
        [micropython(), "-X", f"heapsize={heap}", "-m", "board", mode, path.name],
        cwd=path.parent,
        env={**os.environ, "MICROPYPATH": "lib:.frozen:"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_a_packed_payload_takes_less_than_48_kib_whatever_its_size(tmp_path):
    found = {size: measure(artifact(tmp_path, size)) for size in (MIB, 16 * MIB)}
    for size, row in found.items():
        assert row["bytes"] == size
        assert row["heap"] < LIMIT, found
    # Garbage that a stale word on the stack still points to is counted: hence not exactly equal.
    assert abs(found[MIB]["heap"] - found[16 * MIB]["heap"]) < 1024, found


def test_where_the_clone_lies_makes_no_difference(tmp_path):
    far = tmp_path.joinpath(*["a-clone-with-a-long-name" * 4] * 3)
    far.mkdir(parents=True)
    (far / "lib").symlink_to(LIB)
    (far / "board.py").symlink_to(BOARD)
    (far / "heap_pieces.py").symlink_to(BOARD.with_name("heap_pieces.py"))
    near = measure(artifact(tmp_path, 1000))
    assert measure(artifact(far.parent, 1000), lib=far / "lib", script=far / "board.py") == near


def test_an_unpacked_payload_takes_no_window(tmp_path):
    assert measure(artifact(tmp_path, MIB, "none"))["heap"] < 16 * 1024


@pytest.mark.parametrize("heap", ["192k", "256k", "300k"])
def test_a_heap_without_another_free_32_kib_will_do(tmp_path, heap):
    found = measure(artifact(tmp_path, MIB), "fragmented", heap)
    assert found["bytes"] == MIB
    assert found["largest"] < 32
    assert found["heap"] < LIMIT, found


def test_forty_files_take_little_more(tmp_path):
    one = measure(artifact(tmp_path, 1000))["heap"]
    forty = measure(artifact(tmp_path, 1000, count=40))["heap"]
    assert forty - one < 40 * 320, (one, forty)
