"""The inflate window on a heap without a large free block."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from instar_tools.paths import LIB, ROOT, micropython

SCRIPT = Path(__file__).with_name("fragmented_heap.py")
TEXT = ROOT / "tests" / "vectors" / "artifact" / "text.gz"


def run(reserve: str, heap: int) -> list[str]:
    done = subprocess.run(
        [micropython(), "-X", f"heapsize={heap}k", SCRIPT, TEXT, reserve],
        env={**os.environ, "MICROPYPATH": f"{LIB}:{ROOT / 'bench'}:.frozen"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


# Several sizes: where the heap's pieces come to lie differs with each.
@pytest.mark.parametrize("heap", [128, 150, 177, 256])
def test_with_its_place_reserved_a_stream_inflates_on_a_fragmented_heap(heap):
    largest, *inflated, held = run("yes", heap)
    assert int(largest.split()[1]) < 16
    assert inflated == ["inflated 100000", "inflated 100000"]
    assert held == "held True True"


def test_without_it_the_error_says_what_is_missing():
    largest, first, second, held = run("no", 128)
    assert int(largest.split()[1]) < 16
    assert first == second == "gzip: expected 32 KiB of heap in one piece for the window"
    assert held == "held False True"
