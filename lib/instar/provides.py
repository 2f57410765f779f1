# What this board provides: the names and versions of the software on it, kept in the store.
#
#   provides = Provides(store, "release-1", note)
#   provides.get()                      # {"artifact_name": "release-1"}
#   provides.put(merged(provides.get(), header))      # after a commit
# SPDX-License-Identifier: MIT

from .errors import Broken

_RECORD = "provides"
_INCONSISTENT = "_INCONSISTENT"


class Provides:
    """first: the artifact_name of what was flashed, before any Artifact was committed.

    note(level, text) hears of a record that cannot be read.
    """

    def __init__(self, store, first, note):
        self._store = store
        self._first = first
        self._note = note

    def get(self):
        """A dict of strings; artifact_name is always in it."""
        try:
            stored = self._store.get_json(_RECORD)
        except Broken as error:
            self._note("error", str(error))
            return {"artifact_name": "unknown"}  # Mender's word for it
        return {"artifact_name": self._first} if stored is None else stored

    def put(self, provides):
        """Store what the committed software provides; durable when this returns."""
        self._store.put_json(_RECORD, provides)

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
