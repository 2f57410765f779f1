# Installs an application into the slot that does not run: payload type micropython-app.
#
# The payload is update.tar, unpacked straight into the slot, or flat files for the slot's root. A
# slot needs app.py (or .mpy) in it; where instar itself runs from a slot, it needs all that, too.
#
# What is emptied or filled is called /a.part or /b.part, and gets its name, in one step, when its
# content was checked: a folder named /a or /b is whole, whenever the power fails. A download that
# fails leaves the .part, which nothing starts, and a slot that did not stand its trial is renamed
# to that as well: cleanup() deletes both, so that they take no room from what comes next. What a
# power cut leaves goes at the next start (leftovers.py). What switches is the boot guard's record
# (boot.py), in one step again.
#
# Limits: LittleFS. An application must not write into its own slot: the slot's digest tells what
# runs.
# SPDX-License-Identifier: MIT

import asyncio
import binascii
import os
import sys

from micropython import const

from ..boot import FIRMWARE, Slots, hiding
from ..errors import Broken, Rejected
from . import tree
from .base import Installer

_TAR = "update.tar"
_TRIAL_BOOTS = const(3)
_FOLDER = const(0x4000)  # in a mode, as os.ilistdir() gives it
# What has to be in a slot. In the second case it is the agent's only home.
_NEEDED = ("app",) if FIRMWARE else ("app", "start", "board", "instar/agent")


class App(Installer):
    """Two folders and the boot guard's record. board: needs reset() and feed()."""

    needs_reboot = True
    supports_rollback = True

    def __init__(self, board, installed=None, settings=None):
        """installed: the identity that an earlier start got from installed(), or None."""
        super().__init__(board, installed, settings)
        self._store = settings.store  # pyright: ignore[reportOptionalMemberAccess]
        self._watchdog = settings.watchdog * 1000  # pyright: ignore[reportOptionalMemberAccess]
        self._target = None  # the slot that download() fills
        self._sink = None

    def running(self):
        """Identity of the slot that runs now: `b:digest` over its names and contents."""
        slot = self._slots().running
        if slot is None:
            return "firmware"  # the application in it
        return self._identity(slot, "/" + slot)

    def installed(self):
        """Identity of what download() wrote, read from the flash.

        Raises Rejected if something is missing or would hide the firmware's own modules.
        """
        if self._target is None:
            raise Rejected(f"the payload holds no file: expected {_TAR}, or files")
        _check_content(_part(self._target))
        self._installed = self._identity(self._target, _part(self._target))
        return self._installed

    def begin(self, header):
        _check_guard()
        names = [name for name, _ in header.files]
        if not names or (_TAR in names and len(names) > 1):
            raise Rejected(f"expected {_TAR} alone, or other files; the payload holds {names}")

    def download(self, name, size):
        """A sink for update.tar or one file.

        Raises Rejected for what may not be or does not fit, Broken if no slot may be touched now.
        """
        if self._target is None:
            self._target = self._emptied()
        self._board.feed()
        root = _part(self._target)
        tree.check_size(size, name)
        if name == _TAR:
            self._sink = tree.Unpacker(root, name, self._board.feed)
        else:
            self._sink = tree.open_file(root, name, size, name, self._board.feed)
        return self._sink

    def _emptied(self):
        """Make the slot that does not run one with nothing in it, and return its name."""
        slots = self._slots()
        target = slots.other
        if self.on_trial():
            raise Broken("the running slot is unconfirmed: its only fallback is not overwritten")
        if slots.active == target:
            slots.back()  # a slot that would start next is not written to
        self._retire(target)
        tree.remove(_part(target), self._board.feed)
        return target

    def _retire(self, slot):
        """Take the name of a slot from it: the boot guard cannot start it any more."""
        if tree.exists("/" + slot):
            tree.remove(_part(slot), self._board.feed)
            os.rename("/" + slot, _part(slot))

    async def install(self):
        """Give the slot its name, and make it the one to start.

        Raises Broken if the flash does not hold what was written.
        """
        part = _part(self._target)
        if self._identity(self._target, part) != self._installed:
            raise Broken(f"slot {self._target} does not hold what was written to it")
        await asyncio.sleep_ms(0)
        self._board.feed()
        os.rename(part, f"/{self._target}")
        self._slots().switch(self._target, _TRIAL_BOOTS, self._watchdog)

    async def commit(self):
        """Keep the running slot. Raises Broken if that did not hold."""
        self._slots().confirm()
        slots = self._slots()
        if slots.active != slots.running or slots.left is not None:
            raise Broken(f"expected slot {slots.running} proven, the record says {slots.active}")

    async def rollback(self):
        """Let the old slot start again. Does nothing where it does already."""
        slots = self._slots()
        if self._installed:
            new = self._installed[0]
        else:
            new = slots.active if slots.left is not None else None
        if new and slots.active == new:
            slots.back()

    async def cleanup(self):
        if self._sink:
            self._sink.abandon()
            self._sink = None
        # What was downloaded or installed, and is neither to start nor running, has failed: not
        # even a damaged record shall make the boot guard start it.
        new = self._target or (self._installed and self._installed[0])
        slots = self._slots()
        if new and new not in (slots.active, slots.running):
            self._retire(new)
            tree.remove(_part(new), self._board.feed)

    def on_trial(self):
        """Whether the running slot has not been confirmed yet."""
        slots = self._slots()
        return slots.left is not None and slots.active == slots.running

    def _slots(self):
        return Slots(self._store)

    def _identity(self, slot, path):
        return f"{slot}:{tree.digest(path, self._board.feed)}"


def _check_guard():
    # firmware/boot.py takes "" from the front of sys.path, and the guard lies where it looks.
    there = FIRMWARE or _has_module("/guard", "instar/boot")
    if not there or sys.path[:1] == [""]:
        raise Rejected("no boot guard starts a slot: expected /boot.py and /guard (instar deploy)")


def present():
    """The slot that runs, and a sum over names and sizes: `b:1234567`. A file that is replaced by
    one of the same size is not noticed; a digest of the content takes seconds (running())."""
    for slot in "ab":
        if "/" + slot in sys.path:
            return f"{slot}:{_sum('/' + slot)}"
    return "firmware"  # the application in it


def _sum(folder):
    total = 0
    for entry in os.ilistdir(folder):
        path = f"{folder}/{entry[0]}"
        size = f"{path} {entry[3:]}".encode()
        total += _sum(path) if entry[1] == _FOLDER else binascii.crc32(size)
    return total & 0xFFFFFFFF


def _part(slot):
    return f"/{slot}.part"


def _check_content(root):
    hides = FIRMWARE and hiding(os.listdir(root))
    if hides:
        raise Rejected(f"the application would hide modules of the firmware: {sorted(hides)}")
    missing = [name for name in _NEEDED if not _has_module(root, name)]
    if missing:
        raise Rejected(f"the slot lacks {missing}: expected each as .py or .mpy, or a package")


def _has_module(root, name):
    ends = (".py", ".mpy", "/__init__.py", "/__init__.mpy")
    return any(tree.exists(f"{root}/{name}{end}") for end in ends)
