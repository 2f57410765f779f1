"""Brings instar and an application onto a board, over its REPL.

    job = Job(link, wanted, in_place=False)
    job.work                      # what is to be done: see deploy_plan.py
    job.check(force=False)        # raises what keeps it from being done
    job.run("release-2", sent)    # does it; sent: is told the bytes of each piece

A board without software gets it into slot a, and its boot.py and main.py at the very end. On a
board that works the slot that does not run is filled and switched to; its settings, keys and
records stay. What is being filled is called .part, as in an update, and each file is verified by
the SHA-256 that the board computes. So a deploy that was cut leaves a board that does what it did
before, and the next one goes on from there; only a slot that is changed in place may be left
between old and new. A boot.py or main.py that is somebody's own program is kept beside.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
from collections.abc import Callable, Iterable

import click

from ..board_code import BOARD
from .deploy_plan import (
    PROGRAMS,
    UNKNOWN,
    Listing,
    Survey,
    Wanted,
    Work,
    folders_of,
    is_foreign,
    plan,
    sha256,
)
from .port import BoardError, Link

_LONG = 60.0  # seconds: what a board may be silent for while it hashes, copies or deletes
_FULL = ("OSError: 28", "OSError: [Errno 28]")  # ENOSPC, with and without its name
_NEW = ".new"


class Refused(click.ClickException):
    """The deploy would harm what is on the board, or does not fit."""


class Job:
    """One deploy to one board: `survey` and `work` say what is there and what is to be done;
    `aside`: programs of somebody's, and the names under which they are kept."""

    def __init__(self, link: Link, wanted: Wanted, in_place: bool = False) -> None:
        self._link = link
        self._wanted = wanted
        link.run((BOARD / "deployer.py").read_text())
        self.survey = Survey(**link.call("survey", seconds=_LONG))
        self._slots = self._listings()
        self._root = {path: link.sha256(path) for path in wanted.root}
        self.work = self._plan(in_place)
        self.aside = {path: self._free_name(path) for path in PROGRAMS if self._foreign(path)}

    def _listings(self) -> dict[str, Listing]:
        names = [*self.survey.slots, *(f"{slot}.part" for slot in self.survey.parts)]
        return {name: self._listing(f"/{name}") for name in names}

    def _listing(self, folder: str) -> Listing:
        lines = self._link.run(f"listing({folder!r})", _LONG).split("\r\n")
        rows = [json.loads(line) for line in lines if line]
        return {path: (size, digest) for path, size, digest in rows}

    def _plan(self, in_place: bool) -> Work:
        return plan(self._wanted, self.survey, self._slots, self._root, in_place)

    def _foreign(self, path: str) -> bool:
        there = path in self.work.root and self._root[path]
        return bool(there) and is_foreign(*self._link.call("program", path))

    def _free_name(self, path: str) -> str:
        number, name = 1, f"{path}.old"
        while self._link.call("exists", name):
            number += 1
            name = f"{path}.old{number}"
        return name

    # ---- may it be done?

    def check(self, force: bool) -> None:
        """Raise Refused for what is under way, what does not fit, and what would not start.

        force: an update that is under way is given up.
        """
        self._check_file_system()
        survey = self.survey
        if (survey.update or survey.trial) and not force:
            what = "an update under way" if survey.update else "new software on trial"
            raise Refused(
                f"the board has {what}; let it end (instar monitor), or give it up with --force"
            )
        if self.work.missing_blocks:
            raise Refused(self._no_room())
        # Before a new ROMFS is written, nothing on the board knows what it will have.
        if self._wanted.firmware and self._link.info.frozen_instar:
            names = sorted({path.split("/")[0] for path in self._wanted.slot})
            if hidden := self._link.call("hidden", names):
                raise Refused(
                    f"{', '.join(hidden)} would hide modules of the firmware: expected other names"
                )

    def _check_file_system(self) -> None:
        self._link.run((BOARD / "doctor" / "flash.py").read_text())
        if self._link.call("look")["kind"] == "fat":
            raise Refused(
                "expected LittleFS on the board, found FAT, where a power cut while a file is"
                " renamed can take it: no slot and no record would be safe; write MicroPython in"
                " the layout of a generic board, which has LittleFS: instar flash"
            )

    def _no_room(self) -> str:
        survey, missing = self.survey, self.work.missing_blocks
        text = (
            f"not enough space: {missing} blocks of 4 KiB are missing ({survey.blocks} in all,"
            f" {survey.used} used); leave parts of instar out (--set), or delete files of yours"
        )
        beside = survey.running and not self.work.in_place
        if beside and not self._plan(True).missing_blocks:
            text += "; --in-place changes the running slot, without a way back"
        return text

    # ---- doing it

    def run(self, name: str | None, sent: Callable[[int], None] = lambda count: None) -> None:
        """name: of the software, for the server; None: one made of its content.

        Raises:
            BoardGone, BoardError, Refused: in the middle of it; running it again mends that.
        """
        try:
            self._run(name, sent)
        except BoardError as error:
            if any(words in error.trace for words in _FULL):
                raise Refused(
                    "the board's file system is full; delete files of yours, or leave parts of"
                    " instar out (--set), and run this again"
                ) from None
            raise

    def _run(self, name: str | None, sent: Callable[[int], None]) -> None:
        work, link = self.work, self._link
        for folder in work.dropped:
            link.call("remove", folder, seconds=_LONG)
        # The boot guard first: its code writes the records, whatever the slots are like.
        self._put_root(sent, (path for path in work.root if path not in PROGRAMS))
        named = bool(name) or self._renamed
        if named and work.in_place:
            link.call("call_it", UNKNOWN)
        if not work.whole:
            self._fill(sent)
        if self.survey.update:
            link.call("drop_update")
        if self._switches:
            # Between two steps nobody knows what runs, and so says the name.
            if named and (self.survey.running or self._wanted.firmware):
                link.call("call_it", UNKNOWN)
            link.call("switch", work.slot)
        if named:
            link.call("call_it", name or self._wanted.name)
        for path, old in self.aside.items():
            link.run(f"os.rename({path!r}, {old!r})")
        self._put_root(sent, (path for path in work.root if path in PROGRAMS))

    def _put_root(self, sent: Callable[[int], None], paths: Iterable[str]) -> None:
        for path in paths:
            self._put(path, self.work.root[path], sent)

    @property
    def nothing(self) -> bool:
        """Everything is as wanted, and an earlier deploy said what runs."""
        done = self.work.whole and not self.work.root and not self._switches
        return done and self.survey.name != UNKNOWN

    @property
    def replaced(self) -> list[str]:
        """Files beside the slots that are there already, and that nobody needs any more."""
        return [path for path in self.work.root if self._root[path] and path not in self.aside]

    @property
    def _renamed(self) -> bool:
        if self.work.whole and self.work.slot == self.survey.running:
            return self.survey.name == UNKNOWN
        return bool(self.survey.running) or self.survey.name is not None or self._wanted.firmware

    @property
    def _switches(self) -> bool:
        # The guard starts slot a where there is no record, unless the firmware has software too.
        survey, work = self.survey, self.work
        if survey.active is None:
            return survey.running != work.slot and (work.slot == "b" or self._wanted.firmware)
        return survey.active != work.slot or survey.trial

    def _fill(self, sent: Callable[[int], None]) -> None:
        work, link = self.work, self._link
        if work.retire:
            link.call("retire", work.slot, seconds=_LONG)
        for path in work.surplus:
            link.call("remove", f"{work.place}/{path}".rstrip("/"), seconds=_LONG)
        folders = [f"{work.place}/{folder}" for folder in work.folders]
        link.call("make_folders", [work.place, *folders])
        for path, source in work.copied.items():
            got = link.call("copy", source, f"{work.place}/{path}", seconds=_LONG)
            self._verify(f"{work.place}/{path}", got, sha256(self._wanted.slot[path]))
        for path, data in work.sent.items():
            write = self._put if work.in_place else self._send
            write(f"{work.place}/{path}", data, sent)
        if not work.in_place:
            link.run(f"os.rename({work.place!r}, '/{work.slot}')")

    def _put(self, path: str, data: bytes, sent: Callable[[int], None]) -> None:
        """In one step: the old file, or the new one."""
        self._link.call("make_folders", _parents(path))
        self._send(path + _NEW, data, sent)
        self._link.run(f"os.rename({path + _NEW!r}, {path!r})")

    def _send(self, path: str, data: bytes, sent: Callable[[int], None]) -> None:
        self._link.write(path, data, sent)
        self._verify(path, self._link.sha256(path, _LONG), sha256(data))

    def _verify(self, path: str, got: str | None, expected: str) -> None:
        if got != expected:
            raise Refused(
                f"{path}: the flash does not hold what was written to it; run this again, and if"
                " that does not help, the flash is worn out"
            )


def _parents(path: str) -> list[str]:
    return ["/" + folder for folder in folders_of([path[1:]])]
