"""A state that a board did not recover from, in a file of its own: to be looked at again.

    Failed.of(golden, path, flash, snapshot).save(folder)       # its name tells the scenario
    failed = Failed.load(file)
    with failed.world(folder) as world: ...                     # board and server are there

A golden run is another one each time (ids, keys, times), so labels alone do not lead back.

Limits: a pickle, for the version of this harness that wrote it; never one of somebody else's.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import pickle
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .beliefs import Snapshot
from .scenario import Scenario
from .trace import Cut
from .world import World

if TYPE_CHECKING:
    from .sweep import Golden


@dataclass(frozen=True)
class Failed:
    """path: the cuts that led there. server: the files of the golden run's server."""

    scenario: Scenario
    path: tuple[Cut, ...]
    flash: bytes
    snapshot: Snapshot
    server: dict[str, bytes]

    @classmethod
    def of(cls, golden: Golden, path: tuple[Cut, ...], flash: bytes, snapshot: Snapshot) -> Failed:
        files = [path for path in golden.server.rglob("*") if path.is_file()]
        server = {str(path.relative_to(golden.server)): path.read_bytes() for path in files}
        return cls(golden.scenario, path, flash, snapshot, server)

    def save(self, folder: Path) -> Path:
        """Write it into this folder, and give the file."""
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{self.scenario.name}-{self.path[-1].digest.hex()[:12]}.state"
        file.write_bytes(zlib.compress(pickle.dumps(self), 1))
        return file

    @staticmethod
    def load(file: Path) -> Failed:
        """Raises zlib.error or pickle.UnpicklingError for another file."""
        return pickle.loads(zlib.decompress(file.read_bytes()))

    def world(self, folder: Path) -> World:
        """A world in which the power was just cut."""
        like = folder / "like"
        for name, data in self.server.items():
            (like / name).parent.mkdir(parents=True, exist_ok=True)
            (like / name).write_bytes(data)
        world = World(folder / "world", self.scenario.board, like=like)
        world.load(self.flash, self.snapshot)
        return world
