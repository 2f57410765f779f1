"""The board's pure modules under CPython: import this before anything from `instar`.

Stand-ins take the place of MicroPython's own modules, and memory.py neither collects garbage nor
unloads modules: under CPython that only costs time.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VECTORS = ROOT / "tests" / "vectors"
for folder in (Path(__file__).parent / "stand_ins", ROOT / "lib"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

from instar import memory  # noqa: E402


class _NoCollector:
    """What memory.py uses of the module gc."""

    @staticmethod
    def collect() -> None:
        pass

    enable = disable = collect


memory.gc = _NoCollector
memory.forget = lambda package: None
