# What this board provides: the names and versions of the software on it, kept in the store.
#
#   provides = Provides(store, "release-1", note, present)
#   provides.compare()                  # at a start: is what was committed what runs?
#   provides.get()                      # {"artifact_name": "release-1"}
#   provides.put(merged(provides.get(), header), "rootfs-image", header.provides)   # committed
#
# The record outlives software that is flashed or copied over a cable. So what an Artifact gave
# stands in it once more, under "." and the payload type, with the identity of what ran then: JSON
# of [identity, {key: value}].
# SPDX-License-Identifier: MIT

import json

from .errors import Broken

_RECORD = "provides"
_INCONSISTENT = "_INCONSISTENT"
_UNKNOWN = "unknown"  # Mender's word for it
_MARK = "."


class Provides:
    """first: the artifact_name of what was flashed, before any Artifact was committed.

    note(level, text) hears of a record that cannot be read, and of one that is not true any more.
    present(kind): identity of what runs of a payload type; None: there is nothing to compare.
    """

    def __init__(self, store, first, note, present):
        self._store = store
        self._first = first
        self._note = note
        self._present = present
        self._unsaved = None  # what compare() found, until it is stored

    def _stored(self):
        if self._unsaved:
            return dict(self._unsaved)
        try:
            stored = self._store.get_json(_RECORD)
        except Broken as error:
            self._note("error", str(error))
            return {"artifact_name": _UNKNOWN}
        return {"artifact_name": self._first} if stored is None else stored

    def get(self):
        """A dict of strings; artifact_name is always in it."""
        return {key: value for key, value in self._stored().items() if key[:1] != _MARK}

    def put(self, provides, kind=None, gives=()):
        """Store what the committed software provides; durable when this returns.

        kind: payload type of the Artifact that was committed; gives: its own provides' keys."""
        record = {key: provides[key] for key in provides if key[:1] != _MARK}
        for key, value in self._stored().items():
            if key[:1] == _MARK:
                record[key] = value
        identity = self._present(kind) if kind and gives else None
        if kind and identity:
            given = {key: provides[key] for key in gives}
            record[_MARK + kind] = json.dumps([identity, given])
        self._save(record)

    def _save(self, record):
        self._store.put_json(_RECORD, record)
        self._unsaved = None

    def compare(self):
        """Take back what Artifacts gave for software that does not run: the name is unknown then.

        Raises OSError or Broken if that cannot be stored; get() knows it all the same."""
        record = self._stored()
        for key in [key for key in record if key[:1] == _MARK]:
            was, given = json.loads(record[key])
            now = self._present(key[1:])
            if now == was:
                continue
            self._note("error", f"{key[1:]}: {was} was committed, but {now} runs")
            for name in [key] + [name for name in given if record.get(name) == given[name]]:
                del record[name]
            record.setdefault("artifact_name", _UNKNOWN)
            self._unsaved = record
        if self._unsaved:
            self._save(record)

    def spoil(self):
        """A rollback failed: the name says, as Mender's does, that nobody knows what runs."""
        provides = self.get()
        if not provides["artifact_name"].endswith(_INCONSISTENT):
            provides["artifact_name"] += _INCONSISTENT
            self.put(provides)


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
