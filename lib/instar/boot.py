# The boot guard: which of the two application slots this start runs from.
#
#   from instar import boot
#   boot.start()                   # firmware/boot.py, at every start, before anything else
#
#   slots = boot.Slots(store)      # the installer's side
#   slots.switch("b", 3, 60000)    # b starts from now on: three boots on trial
#
# A slot is the folder /a or /b. It has that name only while it is whole: what is being filled or
# emptied is called otherwise (installers/app.py). The record `slots` says which one starts:
#   {"active": "a" or "b", "left": boots that it still gets on trial, null once it is proven,
#    "watchdog": ms, or 0 for none}
# That format is fixed for ever: boards without instar in their firmware run this code from /guard,
# where no update reaches it, and it has to read what newer software wrote.
# Limits: LittleFS only. Without a readable record nobody knows which of two slots was proven:
# a starts if it is there, else b.
# SPDX-License-Identifier: MIT

import os
import sys

from micropython import const

from .errors import Broken
from .store import Store

# Whether this code lies in the firmware, which then brings instar and everything but `app`: in a
# ROMFS, or frozen, where a path has no slash in front. Else it lies in /guard or in a slot, and a
# slot brings it all; or in /lib, and no boot guard runs.
FIRMWARE = __file__[:1] != "/" or __file__[:5] == "/rom/"

# Modules that a firmware with instar has itself. In a slot they would be imported instead. One
# string, because a list of them takes kilobytes.
RESERVED = (
    " asyncio binascii board boot collections cryptolib deflate errno esp32 gc hashlib instar io"
    " json machine main micropython network os random rp2 select socket ssl start struct sys time"
    " tls vfs "
)

_STATE = "/.instar"
_RECORD = "slots"
_WATCHDOG_MS = const(8388)  # the most that an RP2040 takes, and every port takes it


def start():
    """Choose the slot, count its trial boots, and put it first in sys.path."""
    try:
        slot = _choose()
    except Exception as error:  # whatever is damaged, some slot starts
        sys.print_exception(error)
        slot = _first("ab")
    path = [place for place in sys.path if place != "/guard"]
    sys.path[:] = (["/" + slot] if slot else []) + path


def _choose():
    """The slot to start, or None: the application in the firmware."""
    try:
        os.stat(_STATE)  # Store() would make it
    except OSError:
        return None if FIRMWARE else _first("ab")
    slots = Slots(Store(_STATE))
    active = slots.active
    if active is None:
        return None if FIRMWARE and not slots.damaged else _first("ab")
    if slots.left is None:
        return _first(active + beside(active))
    try:
        return _on_trial(slots)
    except Exception as error:
        # What cannot be counted would be on trial for ever: the fallback, if there is one.
        sys.print_exception(error)
        return _first(beside(active)) or (None if FIRMWARE else _first(active))


def _on_trial(slots):
    if slots.left > 0 and usable(slots.active):
        slots.count_down()
        _watch(slots.watchdog)
    else:
        slots.back()
    return slots.active


def _watch(timeout_ms):
    """Start the watchdog, so that a slot that hangs in its first line is over, too."""
    if not timeout_ms:
        return
    for timeout in (timeout_ms, _WATCHDOG_MS):
        try:
            from machine import WDT

            WDT(timeout=timeout)
            return
        except Exception as error:  # too long for this port, or there is none: the count remains
            print("boot: no watchdog of", timeout, "ms:", error)


def _first(order):
    for slot in order:
        if usable(slot):
            return slot
    return None


def usable(slot):
    """Whether the slot's folder holds something, and nothing that hides the firmware's modules."""
    try:
        names = os.listdir("/" + slot)
    except OSError:
        return False
    return bool(names) and not (FIRMWARE and hiding(names))


def hiding(names):
    """Those of the file names that would be imported instead of the firmware's own modules."""
    return [name for name in names if f" {_module(name)} " in RESERVED]


def _module(name):
    stem, _, suffix = name.rpartition(".")
    return stem if suffix in ("py", "mpy") else name


def beside(slot):
    """The other one of the two slots."""
    return "a" if slot == "b" else "b"


class Slots:
    """What the record said when this was made, and how it is changed: in one atomic step.

    `damaged`: there is a record that cannot be read; then, as without one, `active` is the slot
    that runs, and proven. The methods raise OSError or Broken if the flash does not take it.
    """

    def __init__(self, store):
        self._store = store
        self._record = {}
        self.damaged = False
        try:
            self._record = _checked(store.get_json(_RECORD))
        except (Broken, OSError, ValueError):
            self.damaged = True

    @property
    def running(self):
        """The slot that this start runs from, read from sys.path; None if from neither."""
        for slot in "ab":
            if "/" + slot in sys.path:
                return slot
        return None

    @property
    def other(self):
        """The slot that does not run: the one that may be written to."""
        return "b" if self.running == "a" else "a"

    @property
    def active(self):
        """The slot that starts next."""
        return self._record.get("active", self.running)

    @property
    def left(self):
        """Boots that the active slot still gets to prove itself; None: it is proven."""
        return self._record.get("left")

    @property
    def watchdog(self):
        """Milliseconds that the active slot has on trial to feed the watchdog; 0: no watchdog."""
        return self._record.get("watchdog", 0)

    def switch(self, to, boots, watchdog_ms):
        """Let slot `to` start from now on, for so many boots unless it is confirmed."""
        self._put({"active": to, "left": boots, "watchdog": watchdog_ms})

    def count_down(self):
        """One boot of the trial begins."""
        record = dict(self._record)  # with what newer software may have added
        record["left"] -= 1
        self._put(record)

    def confirm(self):
        """The running slot is proven. Raises Broken if it is not the active one."""
        if self.running is None or self.active != self.running:
            raise Broken(f"slot {self.active} is active, slot {self.running} runs: expected one")
        self._put({"active": self.running, "left": None, "watchdog": 0})

    def back(self):
        """Let the other slot start again, or the firmware alone where it is all there was.

        Raises Broken if there is nothing to go back to.
        """
        old = beside(self.active)
        if usable(old):
            self._put({"active": old, "left": None, "watchdog": 0})
        elif FIRMWARE:
            self._store.delete(_RECORD)
            self._record = {}
        else:
            raise Broken(f"no slot to go back to: expected files in /{old}")

    def _put(self, record):
        self._store.put_json(_RECORD, record)
        self._record = record


def _checked(record):
    """The record, {} for none. Raises ValueError if it is not in the format."""
    if record is None:
        return {}
    numbers = isinstance(record, dict) and (record.get("left"), record.get("watchdog"))
    if not numbers or record.get("active") not in ("a", "b"):
        raise ValueError(f"slots: expected a slot a or b, got {record!r}")
    for number in numbers:
        if number is not None and not isinstance(number, int):
            raise ValueError(f"slots: expected numbers, got {record!r}")
    record["left"], record["watchdog"] = numbers[0], numbers[1] or 0
    return record
