# The end of an update: what the board provides from now on, the final status, the log. And at a
# start: is what was committed what runs?
#
#   after = merged(before, header)
#   await close(journal, ledger(provides, installers), courier, server, note)
#   compare(provides, installers)
#
# The record outlives software that is flashed or copied over a cable. So what an Artifact gave
# stands in it once more, under "." and the payload type, with the identity of what ran then: JSON
# of [identity, {key: value}].
# Needed once an update, and once a start: update.py unloads this module after use.
# SPDX-License-Identifier: MIT

import asyncio
import json

from micropython import const

from .errors import Broken
from .installers import INSTALLERS
from .provides import MARK, RECORD, UNKNOWN

_TRIES = const(3)
_PAUSE_S = const(2)
_INCONSISTENT = "_INCONSISTENT"


class Ledger:
    """Changes what `provides` (a Provides) has stored. present(kind): identity of what runs of a
    payload type; None: there is nothing to compare."""

    def __init__(self, provides, present):
        self._provides = provides
        self._present = present

    def put(self, provides, kind=None, gives=()):
        """Store what the committed software provides; durable when this returns.

        kind: payload type of the Artifact that was committed; gives: its own provides' keys.
        Raises OSError or Broken."""
        record = {key: provides[key] for key in provides if key[:1] != MARK}
        for key, value in self._provides.stored().items():
            if key[:1] == MARK:
                record[key] = value
        identity = self._present(kind) if kind and gives else None
        if kind and identity:
            given = {key: provides[key] for key in gives}
            record[MARK + kind] = json.dumps([identity, given])
        self._save(record)

    def compare(self):
        """Take back what Artifacts gave for software that does not run: the name is unknown then.

        Raises OSError or Broken if that cannot be stored; Provides.get() knows it all the same."""
        record = self._provides.stored()
        for key in [key for key in record if key[:1] == MARK]:
            was, given = json.loads(record[key])
            now = self._present(key[1:])
            if now == was:
                continue
            self._provides.note("error", f"{key[1:]}: {was} was committed, but {now} runs")
            for name in [key] + [name for name in given if record.get(name) == given[name]]:
                del record[name]
            record.setdefault("artifact_name", UNKNOWN)
            self._provides.unsaved = record
        if self._provides.unsaved:
            self._save(record)

    def spoil(self):
        """A rollback failed: the name says, as Mender's does, that nobody knows what runs."""
        provides = self._provides.get()
        if not provides["artifact_name"].endswith(_INCONSISTENT):
            provides["artifact_name"] += _INCONSISTENT
            self.put(provides)

    def _save(self, record):
        self._provides.store.put_json(RECORD, record)
        self._provides.unsaved = None


def ledger(provides, installers):
    """The Ledger of a board with these installers (payload type -> callable)."""
    return Ledger(provides, lambda kind: present(installers, kind))


def present(installers, kind):
    """Identity of what runs of a payload type, told in a moment: whether it is still what was
    committed is asked at every start. None: there is nothing to compare."""
    if installers.get(kind) is not INSTALLERS.get(kind):
        return None  # a type of the application's own
    try:
        if kind == "micropython-app":
            from .installers.app import present
        elif kind == "rootfs-image":
            from .installers.firmware import present
        else:
            return None
        return present()
    except (Broken, ImportError):  # no image like those of an update, or instar without the part
        return None


def compare(provides, installers):
    """See Ledger.compare(). Whatever the record holds, the agent starts."""
    try:
        ledger(provides, installers).compare()
    except Exception as error:
        provides.note("error", f"what this board provides and what runs: {error!r}")


async def close(journal, book, courier, server, note):
    """Report, then close the journal. Raises what courier.deliver() raises; may be called again.

    The provides are stored first: the server must not hear of software that the board will not
    say it has. Where that cannot be done the update has failed, and its name is in doubt.
    """
    if journal.verdict == "success":
        new = journal.provides, journal.type, journal.gives
        if not await _stored(book.put, note, *new):
            journal.verdict = "failure"
            journal.inconsistent = True
    if journal.verdict != "success" and journal.inconsistent:
        await _stored(book.spoil, note)
    if journal.verdict != "aborted" and not journal.reported:
        await courier.deliver(courier.report, journal.id, journal.verdict)
        journal.reported = True
    if journal.verdict == "failure":
        await courier.deliver(server.send_log, journal.id, journal.log)
    journal.close()


async def _stored(put, note, *args):
    # A full flash may have room again in a moment; a board that waits for it takes no update.
    for left in range(_TRIES - 1, -1, -1):
        try:
            put(*args)
            return True
        except (OSError, Broken) as error:
            note("error", f"what this board provides could not be stored: {error}")
        if left:
            await asyncio.sleep(_PAUSE_S)
    return False


def merged(stored, header):
    """The provides after `header`'s Artifact, from those before it (both dicts of strings).

    Mender's rule: what the Artifact clears goes (`*` in a pattern is any run of characters), then
    its own provides are laid over the rest. An Artifact without a list of what it clears clears
    nothing, as in the official client's daemon. device_type is the board's, not the software's.
    """
    patterns = header.clears_provides or ()
    kept = {
        key: value
        for key, value in stored.items()
        if key != "device_type" and not any(matches(pattern, key) for pattern in patterns)
    }
    kept.update(header.provides)
    return kept


def matches(pattern, text):
    """Whether all of `text` matches: `*` is any run of characters, the rest is literal."""
    first, *rest = pattern.split("*")
    if not rest:
        return pattern == text
    if not text.startswith(first):
        return False
    at = len(first)
    for part in rest[:-1]:
        found = text.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    return len(text) - at >= len(rest[-1]) and text.endswith(rest[-1])
