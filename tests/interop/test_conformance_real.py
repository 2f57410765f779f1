"""Every rule of tests/conformance.py, as the real mender-artifact enforces it: mostly less."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import functools
import subprocess

import pytest
from conformance import KEYS, ROWS

pytestmark = pytest.mark.interop


@pytest.fixture(autouse=True)
def version_3_9(program):
    program("mender-artifact")
    if "version 3.9" not in version():
        pytest.skip("not installed: mender-artifact 3.9 (what later ones do was not recorded)")


@functools.cache
def version() -> str:
    return subprocess.run(
        ["mender-artifact", "--version"], capture_output=True, text=True, check=True
    ).stdout


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_mender_artifact_says(tmp_path, row):
    artifact, key = tmp_path / "row.mender", tmp_path / "key.pem"
    artifact.write_bytes(row.build())
    flags = []
    if "keys" in row.board:
        key.write_bytes(KEYS["keys"][0])
        flags = ["-k", str(key)]
    found = {command: run(command, *flags, str(artifact)) for command in row.real}
    assert found == row.real


def run(command: str, *arguments: str) -> str:
    """R or -: whether it rejects."""
    done = subprocess.run(
        ["mender-artifact", command, *arguments], capture_output=True, timeout=60, check=False
    )
    return "R" if done.returncode else "-"
