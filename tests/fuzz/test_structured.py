"""Artifacts as hypothesis makes them, right and changed: the board's reader against CPython's.

What a valid writer makes is accepted and means the same to both. What is accepted after a change,
with all sums made right again, is what tarfile, gzip and json see in it, too. Only Rejected comes
out of the reader. `make fuzz` runs the same for minutes, in rounds of FUZZ_EXAMPLES (clocked.py).
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import board

# isort: split
import reading
import sealing
import structured
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from instar.errors import Rejected

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "60"))
SEEDS = sorted((board.VECTORS / "artifact").glob("*.mender"))
few = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize="FUZZ_EXAMPLES" not in os.environ,
    suppress_health_check=list(HealthCheck),
)


@few
@given(structured.artifacts(), st.sampled_from((0, 1, 7, 512)))
def test_what_is_right_is_accepted_and_means_the_same(written, size):
    assert reading.oracle(written.data) == written.meaning
    assert reading.read(written.data, size) == written.meaning


@few
@given(structured.artifacts(), st.sampled_from(sealing.LAYERS), structured.changes)
def test_what_is_accepted_after_a_change_is_what_others_see(written, layer, change):
    compare(sealing.change_layer(written.data, layer, change))


@few
@given(st.sampled_from(SEEDS), st.sampled_from(sealing.LAYERS), structured.changes)
def test_the_same_with_real_artifacts(path, layer, change):
    compare(sealing.change_layer(path.read_bytes(), layer, change))


def compare(data: bytes) -> None:
    try:
        found = reading.read(data, ignore_scripts=True)
    except Rejected:
        return
    except Exception as error:
        raise AssertionError(f"the reader raised {error!r}: {kept(data)}") from error
    try:
        expected = reading.oracle(data)
    except Exception as error:
        raise AssertionError(f"accepted, but {error!r}: {kept(data)}") from error
    assert found == expected, kept(data)


def kept(data: bytes) -> Path:
    """Where the Artifact lies that a test failed with."""
    folder = board.ROOT / "build" / "fuzz"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"structured-{hashlib.sha256(data).hexdigest()[:16]}.mender"
    path.write_bytes(data)
    return path


def test_every_layer_of_a_real_artifact_can_be_changed():
    # Otherwise the tests above would change nothing but raw bytes.
    data = (board.VECTORS / "artifact" / "module_rsa.mender").read_bytes()
    for layer in sealing.LAYERS:
        changed = sealing.change_layer(data, layer, lambda raw: raw + b"\0")
        assert changed != data, layer
        assert changed != data + b"\0" or layer in ("raw", "outer"), layer
    reading.read(sealing.change_layer(data, "type-info", lambda raw: raw + b" "))
