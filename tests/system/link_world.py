"""A board that takes one update after the other over a Network, and what came of each.

    with World(folder) as world:
        story = world.update(storage=[cut(After(5000, DOWN))])
        assert story.wrong() == ""

Each update is a boot that finds a deployment, the boot of what was installed, and the first poll
that finds nothing to do: equal sessions, but for what the faults do to them.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from fault_proxies import SERVER, Network
from lab import Lab, image, sha256
from link_faults import DOWN, Fault

from instar_tools.server.testing import DevServer

TIME = "time.test"
# Steps on the way may get lost, the proof's and the end may not.
_LEGAL = re.compile(r"(downloading )?((installing )?rebooting )?installing success")
_SECONDS = 120  # a limit for what never ends, not a measure
# Two releases for each compression, so that there is always another one.
_NAMES = {"gzip": ("release-2", "release-3"), "none": ("release-4", "release-5")}


def distinct(statuses: list[str]) -> list[str]:
    """Without those that say again what was said last: an answer had got lost."""
    return [status for status, _ in groupby(statuses)]


@dataclass
class Story:
    """What came of an update. sent: bytes that the object store's link carried to the board, with
    all that TLS and HTTP add; requests: that reached the server;
    connections: of both links; struck: names of faults."""

    name: str
    ended: bool
    statuses: list[str]
    runs: str
    intact: bool
    sent: int
    requests: int
    connections: int
    struck: list[str]
    errors: list[str]

    def wrong(self) -> str:
        """What is not as a good end has to be; empty: nothing."""
        statuses = " ".join(distinct(self.statuses))
        if not self.ended:
            return f"it never came to an end: {self.errors[-5:]}"
        if not _LEGAL.fullmatch(statuses):
            return f"statuses: {statuses}: {self.errors[-5:]}"
        if self.runs != self.name or not self.intact:
            return f"{self.name} was reported, {self.runs} runs, intact: {self.intact}"
        return ""


class World:
    """One board, its server and the links in between, until it is left.

    plain: without TLS. server: DevServer's options; more: the board's settings. options: of the
    simulated board, from its next boot on; its "dns" has the time server, too, as TIME.
    """

    def __init__(
        self, folder: Path, plain: bool = False, server: dict | None = None, **more: Any
    ) -> None:
        self.folder, self.plain = folder, plain
        self._server = server or {}
        self._settings = {"download_tries": 10, "ntp_host": TIME, "ntp_port": 123, **more}
        self._uploaded: set[str] = set()
        self._runs = "release-1"

    def __enter__(self) -> World:
        options = {**SERVER, **self._server}
        self.server = DevServer(self.folder / "server", plain=self.plain, **options)
        self.server.start()
        self.network = Network(self.server)
        self.network.__enter__()
        self.options: dict[str, object] = {"dns": self.dns()}
        self.lab = Lab(self.folder, self.server, options=self.options)
        self.lab.flash(settings={**self.network.settings, **self._settings})
        self.lab.meet()
        return self

    def __exit__(self, *_: object) -> None:
        self.network.__exit__()
        self.server.stop()

    def dns(self, *others: str) -> str:
        """All names as they should be, but for `others`: name=address or name=!"""
        time = f"{TIME}=127.0.0.1:{self.server.sntp_port}"
        entries = *self.network.dns.split(","), time, *others
        table = dict(entry.split("=") for entry in entries)
        return ",".join(f"{name}={place}" for name, place in table.items())

    def deploy(self, compression: str = "gzip") -> tuple[str, str]:
        """Another release than the one that runs, for the board to find: (name, deployment)."""
        name = next(name for name in _NAMES[compression] if name != self._runs)
        if name not in self._uploaded:
            self.server.upload(self.lab.artifact(name, compression=compression))
            self._uploaded.add(name)
        return name, self.server.deploy(name, [self.lab.device()])

    def update(
        self,
        api: Iterable[Fault] = (),
        storage: Iterable[Fault] = (),
        compression: str = "gzip",
        hear: Callable[[dict], None] = lambda event: None,
    ) -> Story:
        """A whole update, during which these faults strike, and `hear` gets each event."""
        name, deployment = self.deploy(compression)
        self.network.begin(api, storage)
        return self.go_on(name, deployment, hear)

    def is_stuck(self) -> str:
        """Switch the board on until it has tried three times: what it said last. Nothing may have
        been written meanwhile."""
        tries: list[int] = []

        def third(event: dict) -> bool:
            if event["event"] == "retry":
                tries.append(self.lab.board.ops)
            return len(tries) == 3

        self.lab.run(third)
        assert tries[0] == tries[1] == tries[2]
        return self.lab.errors()[-1]

    def go_on(
        self, name: str, deployment: str, hear: Callable[[dict], None] = lambda event: None
    ) -> Story:
        """Switch the board on until it finds nothing to do."""
        self.server.forget_requests()
        heard = len(self.lab.events)

        def idle(event: dict) -> bool:
            hear(event)
            return event["event"] == "idle"

        outcome = self.lab.board.run(until=idle, seconds=_SECONDS)
        self._runs = str(self.server.inventory(self.lab.device())["artifact_name"])
        events = self.lab.events[heard:]
        return Story(
            name=name,
            ended=outcome.met,
            statuses=self.server.statuses(deployment),
            runs=self._runs,
            intact=self._intact(),
            sent=self.network.storage.passed[DOWN],
            requests=len(self.server.requests()),
            connections=sum(proxy.connections for proxy in self.network.proxies),
            struck=self.network.struck,
            errors=[event["message"] for event in events if event["event"] == "error"],
        )

    def _intact(self) -> bool:
        # The slot that booted last holds, byte for byte, what the inventory names.
        expected = image(self._runs)
        return self.lab.digest(self.lab.slot(), len(expected)) == sha256(expected)
