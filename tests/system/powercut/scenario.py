"""What every scenario is: a board and a server that are made ready, a run, and a judgement.

    scenario.prepare(lab)               # flash, first start, deployment: no power is cut here
    scenario.during(lab)                # before each run from there: who else does something
    scenario.judge(flash, view, ran)    # of a board that came to rest: what is wrong

prepare() keeps what judge() needs in `kept`: another process needs the scenario as it is then (it
can be pickled). view is beliefs.py's, with what extra() adds.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import binascii
import json
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab import Lab

from instar_tools.server.testing import DevServer
from instar_tools.simulated.board_kinds import KINDS
from instar_tools.simulated.flash_builder import write_flash

from . import evidence, oracle
from .chip import BLANK, RECORDS, VALID, Chip, Damaged
from .oracle import BRICK, LIE, Finding, Outcome
from .software import Mutation, pico_root

if TYPE_CHECKING:
    from .world import Ran

# On top of Lab.flash()'s: names instead of ports, and nothing that lets a second pass.
SETTINGS = {
    "mender_url": "http://updates.test",
    "allow_plain_http": True,
    "ntp_host": "time.test",
    "ntp_port": 123,
    "ca": [],
}
FIRST, SECOND = "release-1", "release-2"
_ALWAYS = ("identity-key", "provides", "slots")


@dataclass(frozen=True)
class Scenario:
    """See the module. sampled: ranges of the flash in which long runs of plain data are enough to
    be sampled. waits: real time passes in each recovery. records: names (regular expressions) of
    records that may be there at the end, beside those of every board."""

    name: str
    board: str = "ESP32_GENERIC"
    sampled: tuple[tuple[int, int], ...] = ()
    max_boots: int = 8
    waits: bool = False
    records: tuple[str, ...] = ()
    kept: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def prepare(self, lab: Lab, mutation: Mutation | None = None) -> None:
        """Make the flash and what the server believes, from which a run begins. mutation: of the
        board's software; see software.py."""
        raise NotImplementedError

    def during(self, lab: Lab) -> None:
        """Called before each run. As it stands, nobody else does anything."""
        attend(lab)

    def extra(self, server: DevServer) -> dict[str, Any]:
        """More of the server's for `view`."""
        return {}

    def owed(self, flash: bytes, view: Mapping[str, Any], cuts: int) -> str | None:
        """What has to come of it where the power was cut here, if that is certain: an Outcome's
        name. cuts: so many there were, this one included."""
        return None

    def judge(self, flash: bytes, view: Mapping[str, Any], ran: Ran) -> list[Finding]:
        """Everything that is wrong with a board that came to rest."""
        chip = Chip(flash)
        findings = oracle.at_rest(ran) or oracle.readable(chip)
        if findings:
            return findings
        findings = oracle.records(chip, (*_ALWAYS, *self.records))
        findings += oracle.untouched(chip, self.kept["fixed"])
        if any(finding.kind == BRICK for finding in findings):
            return findings
        try:
            return findings + self.check(chip, view, ran)
        except Damaged as damage:
            return [*findings, Finding(BRICK, str(damage))]

    def check(self, chip: Chip, view: Mapping[str, Any], ran: Ran) -> list[Finding]:
        """What is judged of every scenario, as far as nothing is unreadable."""
        return [
            *oracle.chosen(chip, ran),
            *oracle.settled(chip),
            *oracle.counted(chip),
            *oracle.closed(chip),
            *oracle.identity(chip, view),
        ]


@dataclass(frozen=True)
class Update(Scenario):
    """One deployment. kept: `deployment`, its id; `old` and `new`, each an Outcome.

    ends: what is allowed to be there at the end; the last of these is what comes of it where no
    power is cut. words: what the log of a failure has to say, where there may be one without a
    power cut.
    """

    ends: tuple[str, ...] = ("old", "new")
    words: str = ""

    def check(self, chip: Chip, view: Mapping[str, Any], ran: Ran) -> list[Finding]:
        findings = super().check(chip, view, ran)
        findings += oracle.statuses(view, self.kept["deployment"])
        findings += oracle.refused(view, self.kept["deployment"])
        words = [self.words] if self.words else []
        words += oracle.RESTARTS if ran.cuts else []
        findings += oracle.log(view, self.kept["deployment"], words)
        runs = next((end for end in ("old", "new") if self.is_there(chip, self.kept[end])), None)
        if runs not in self.ends:
            text = f"what runs is {runs or 'neither the old nor the new'}: expected {self.ends}"
            return [*findings, Finding(BRICK, text)]
        if not ran.cuts and runs != self.ends[-1]:
            findings.append(Finding(BRICK, f"the {runs} one is there, though no power was cut"))
        if ran.owed and runs != ran.owed:
            text = f"the {runs} one is there, though the cut was no reason for it"
            findings.append(Finding(BRICK, text))
        final = oracle.verdict(view, self.kept["deployment"])
        if (final == oracle.SUCCESS) != (runs == "new"):
            findings.append(Finding(LIE, f"the server has {final}, but the {runs} one is there"))
        return findings + self.matches(chip, view, self.kept[runs])

    def owed(self, flash: bytes, view: Mapping[str, Any], cuts: int) -> str | None:
        if self.ends[-1] != "new":
            return None
        chip, deployment = Chip(flash), self.kept["deployment"]
        statuses = view["deployments"][deployment]["statuses"]
        committed = self.is_committed(chip)
        certain = evidence.has_to_succeed(chip, statuses, deployment, committed, cuts)
        return "new" if certain else None

    def is_committed(self, chip: Chip) -> bool:
        """Whether new software that was proven cannot be lost any more by a restart."""
        return True

    def is_there(self, chip: Chip, outcome: Outcome) -> bool:
        """Whether this is what the board came out with, judged by the one thing that decides."""
        return not oracle.image(chip, outcome.image)

    def matches(self, chip: Chip, view: Mapping[str, Any], outcome: Outcome) -> list[Finding]:
        """Everything fits that outcome."""
        keys = {*self.kept["old"].provides, *self.kept["new"].provides}
        return [
            *oracle.image(chip, outcome.image),
            *oracle.same_files(chip, outcome.files),
            *oracle.guard(chip, outcome.active),
            *oracle.provides(chip, outcome.provides, FIRST),
            *oracle.committed(chip, outcome.committed),
            *oracle.inventory(view, outcome.provides, sorted(keys)),
        ]

    # ---- for prepare()

    def start(
        self, lab: Lab, image: bytes, files: dict[str, bytes] | None = None, home: int = 0, **more
    ) -> None:
        """An ESP32 with release-1 that was accepted and found nothing to do. home: the slot that
        it runs from, as if updates had brought it there. more: settings."""
        flash_esp32(lab, image, files, **more)
        if home:
            lab.path.write_bytes(moved(lab.path.read_bytes(), image))
        self._meet(lab)

    def start_pico(self, lab: Lab, slot: dict[str, bytes], mutation: Mutation | None) -> None:
        """A Pico W with this in its slot /a, accepted."""
        lab.flash(settings=SETTINGS)  # for what it knows of a lab's settings
        files = {"/instar.json": json.dumps(lab.settings).encode(), **pico_root(mutation)}
        files |= {f"/a/{name}": data for name, data in slot.items()}
        write_flash(lab.path, kind=KINDS[self.board], files=files, seed=1)
        self._meet(lab)

    def _meet(self, lab: Lab) -> None:
        attend(lab)
        lab.meet()
        self.kept.update(files=files_of(_read(lab)), fixed=Chip(_read(lab)).fixed())

    def deploy(self, lab: Lab, artifact: Path, old: Outcome, new: Outcome) -> None:
        """Offer it, and keep what may come of it."""
        self.kept.update(deployment=lab.deploy(artifact), old=old, new=new)


def flash_esp32(
    lab: Lab, image: bytes, files: dict[str, bytes] | None = None, **settings: Any
) -> None:
    """A board that was just flashed, with nothing but its settings and these files."""
    lab.flash(image, settings={**SETTINGS, **settings})
    content = {"/instar.json": json.dumps(lab.settings).encode(), **(files or {})}
    write_flash(lab.path, image, files=content, seed=1)


def moved(flash: bytes, image: bytes) -> bytes:
    """The flash with the image in ota_1, valid, and nothing in ota_0."""
    rows, found = Chip(flash).rows, bytearray(flash)
    sequence = struct.pack("<I", 2)
    crc = binascii.crc32(sequence, BLANK)
    entry = sequence + b"\xff" * 20 + struct.pack("<II", VALID, crc)
    for label, data in (("ota_0", b"\xff" * len(image)), ("ota_1", image), ("otadata", entry)):
        at = rows[label][0]
        found[at : at + len(data)] = data
    return bytes(found)


def files_of(flash: bytes) -> dict[str, bytes]:
    """All files in a flash but the records."""
    found = Chip(flash).files
    return {path: data for path, data in found.items() if not path.startswith(RECORDS)}


def _read(lab: Lab) -> bytes:
    return lab.path.read_bytes()


def attend(
    lab: Lab,
    abort_after: str | None = None,
    accept: Callable[[], Any] | None = None,
) -> None:
    """The operator of this run, who accepts every board before it asks twice. abort_after: a
    status; the deployment is aborted as soon as the server has it. accept: what is done where a
    board says that somebody has to do something."""
    rollouts = lab.server.server.rollouts
    report = type(rollouts).report

    def aborting(deployment, device, status, substate):
        known = report(rollouts, deployment, device, status, substate)
        if status == abort_after:
            rollouts.abort(deployment)
        return known

    lab.server.server.options.accept_all = True
    # Of a board's randomness: with another number another key is made, where one is made again.
    lab.board.boots = binascii.crc32(lab.path.read_bytes()) & 0xFFFF
    # On this server alone: what was put there for the run before goes.
    vars(rollouts).pop("report", None)
    vars(lab.server).pop("accept_all", None)
    if abort_after:
        rollouts.report = aborting
    if accept:
        lab.server.accept_all = accept
