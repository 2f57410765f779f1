"""Every rule of tests/conformance.py, as the board's own reader enforces it."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import functools
from pathlib import Path

import pytest
from conformance import ROWS, Row

from instar_tools.check_cmd import Conditions, check_files


@pytest.fixture(scope="module")
def verdict(tmp_path_factory):
    """verdict(row): all rows of one kind of board are read in one MicroPython."""
    folder = tmp_path_factory.mktemp("rows")

    @functools.cache
    def verdicts(board: str) -> dict[str, dict]:
        rows = [row for row in ROWS if repr(row.board) == board]
        conditions = Conditions(device_type="esp32", payload_types=["thing"], **rows[0].board)
        found = check_files([written(folder, row) for row in rows], conditions)
        return {row.number: one for row, one in zip(rows, found, strict=True)}

    return lambda row: verdicts(repr(row.board))[row.number]


def written(folder: Path, row: Row) -> Path:
    path = folder / f"{row.number}.mender"
    path.write_bytes(row.build())
    return path


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_the_board_says(verdict, row):
    assert verdict(row)["reason"] == row.reason
    assert verdict(row)["accepted"] is (row.reason is None)
