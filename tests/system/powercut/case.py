"""A board that came to rest, with what the server believes: to be damaged in small ways, for tests
of the oracle.

    case = came_to_rest("firmware-good", folder)
    assert case.judged() == []
    assert case.files({"/orphan": b"x"}).judged() == [Finding("leftover", ...)]

Each change gives another case; the one before stays as it is.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import binascii
import copy
import json
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from .chip import BLANK, RECORDS, SECTOR, Chip
from .oracle import Finding
from .scenario import Scenario
from .scenarios import SCENARIOS
from .world import Ran, World


@dataclass(frozen=True)
class Case:
    """A board that came to rest, and what there is to judge of it."""

    scenario: Scenario
    flash: bytes
    view: dict[str, Any]
    ran: Ran

    def judged(self) -> list[Finding]:
        return self.scenario.judge(self.flash, self.view, self.ran)

    def flashed(self, address: int, data: bytes) -> Case:
        flash = self.flash[:address] + data + self.flash[address + len(data) :]
        return replace(self, flash=flash)

    def at(self, label: str) -> int:
        return Chip(self.flash).rows[label][0]

    def files(self, changes: Mapping[str, bytes | None]) -> Case:
        """Other content of files; None: without the file. A path that ends in / is a folder's."""
        chip = Chip(self.flash)
        fs = chip.file_system()
        for path, data in changes.items():
            if path.endswith("/"):
                fs.mkdir(path.rstrip("/"))
            elif data is None:
                fs.remove(path)
            else:
                with fs.open(path, "wb") as file:
                    file.write(data)
        return self.flashed(chip.vfs()[0], bytes(fs.context.buffer))

    def record(self, name: str, value: Any) -> Case:
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        head = struct.pack("<4sII", b"iST1", len(data), binascii.crc32(data))
        return self.files({RECORDS + name: head + data})

    def entry(self, place: int, sequence: int, state: int) -> Case:
        raw = struct.pack("<I", sequence)
        crc = binascii.crc32(raw, BLANK)
        entry = raw + b"\xff" * 20 + struct.pack("<II", state, crc)
        return self.flashed(self.at("otadata") + place * SECTOR, entry)

    def believed(self, change: Callable[[dict[str, Any]], Any]) -> Case:
        view = copy.deepcopy(self.view)
        change(view)
        return replace(self, view=view)

    def deployment(self, **changes: Any) -> Case:
        (id,) = self.view["deployments"]
        return self.believed(lambda view: view["deployments"][id].update(changes))

    def statuses(self, *said: str) -> Case:
        return self.deployment(statuses=list(said))


def came_to_rest(name: str, folder: Path) -> Case:
    """The scenario's run without a power cut."""
    scenario = SCENARIOS[name]
    with World(folder, scenario.board) as world:
        scenario.prepare(world.lab)
        scenario.during(world.lab)
        ran = world.boot_until_quiet(scenario.max_boots)
        return Case(scenario, world.flash(), world.view(scenario), ran)


def fixture(name: str):
    """For the tests of a module: the scenario's run, under the first word of its name."""

    @pytest.fixture(scope="module", name=name.partition("-")[0])
    def case(tmp_path_factory) -> Case:
        return came_to_rest(name, tmp_path_factory.mktemp(name))

    return case


def texts(case: Case, kind: str) -> str:
    """Of its findings of this kind, one a line."""
    return "\n".join(finding.text for finding in case.judged() if finding.kind == kind)
