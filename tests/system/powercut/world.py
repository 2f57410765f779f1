"""One server and one board with names for everything, so that no port is in the board's flash.

    with World(folder) as world:
        world.lab.flash(settings=PLAIN); ...       # a Lab as the other system tests have it
        flash, snapshot = world.flash(), world.beliefs.take()
        world.load(flash, snapshot)                # any time later, or in another process
        ran = world.boot_until_quiet(max_boots=8)

Quiet is the agent's event `idle`: it asked, and there was nothing to do. Then the board is
switched off. The names: updates.test (Mender's API and Magistrala's messages), storage.test,
bootstrap.test, time.test (SNTP), and the domain of each Murano product; there is no other.

Limits: plain HTTP. A World on a copy of another's server folder (``like``) has its keys, Artifacts
and products, and so understands its snapshots.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab import Lab

from instar_tools.server.testing import DevServer
from instar_tools.simulated.simulator import Outcome

from .beliefs import Beliefs, Snapshot

HEAP = "1M"
SECONDS = 60  # a limit for a board that never comes to an end, not a measure


@dataclass
class Ran:
    """boots: how many there were. slot: of the last one, None on a board without. quiet: whether
    it came to an end; why: if not, what the simulator says of it. cuts: labels of the power cuts
    that led here. owed: what has to come of it after them, if that is certain."""

    boots: int
    slot: str | None
    quiet: bool
    why: str = ""
    cuts: list[str] = field(default_factory=list)
    owed: str | None = None


class NamedLab(Lab):
    """A Lab whose board knows the server by names."""

    def __init__(self, folder: Path, server: DevServer, board: str) -> None:
        # heap: no ballast beside the board's own heap, which every collection would walk over.
        self._options: dict[str, object] = {"dns": "*=!", "heap": 0}
        super().__init__(folder, server, board, heap=HEAP, seed=1, options=self._options)

    def boot(self, until, seconds: float, boots: int | None = None) -> Outcome:
        self._options["dns"] = self._names()  # a product may have come since
        return self.board.run(until=until, seconds=seconds, boots=boots)

    def run(self, until, seconds: float = SECONDS) -> None:
        outcome = self.boot(until, seconds)
        assert outcome.met, (outcome, self.said(), self.console[-15:])

    def _names(self) -> str:
        server = self.server.server
        ports = {
            "updates.test": server.port,
            "storage.test": server.storage.port,
            "bootstrap.test": server.bootstrap_port,
            "time.test": server.sntp_port,
        }
        for service in server.murano.services.values():
            ports[service.product.domain] = service.product.listens
        places = [f"{name}=127.0.0.1:{port}" for name, port in ports.items()]
        return ",".join([*places, "*=!"])


class World:
    """See the module. like: the server's folder of another World, which has been stopped."""

    def __init__(
        self, folder: Path, board: str = "ESP32_GENERIC", like: Path | None = None
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.server_folder = folder / "server"
        if like:
            shutil.copytree(like, self.server_folder)
        self.server = DevServer(self.server_folder, plain=True, storage_host="storage.test")
        self.server.start()
        self.beliefs = Beliefs(self.server)
        self.lab = NamedLab(folder, self.server, board)

    def __enter__(self) -> World:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop the server; its folder stays."""
        self.beliefs.settle()
        self.server.stop()

    def flash(self) -> bytes:
        return self.lab.path.read_bytes()

    def load(self, flash: bytes, snapshot: Snapshot) -> None:
        """Let the board's flash and the server's beliefs be these."""
        self.beliefs.settle()
        self.beliefs.restore(snapshot)
        self.lab.path.write_bytes(flash)
        self.forget()

    def forget(self) -> None:
        """What the board has said, and how many operations there were."""
        self.lab.events.clear()
        self.lab.console.clear()
        self.lab.board.ops = self.lab.board.boots = 0

    def boot_until_quiet(self, max_boots: int, seconds: float = SECONDS) -> Ran:
        """Switch the board on, and off when it is quiet."""
        first = len(self.lab.events)
        outcome = self.lab.boot("idle", seconds, max_boots)
        self.beliefs.settle()
        boots = [event for event in self.lab.events[first:] if event["event"] == "boot"]
        slot = boots[-1].get("slot") if boots else None
        return Ran(len(boots), slot, outcome.met, "" if outcome.met else outcome.reason)

    def view(self, scenario: Any) -> dict[str, Any]:
        """What the server believes, and what this scenario wants to know besides."""
        return {**self.beliefs.view(), **scenario.extra(self.server)}
