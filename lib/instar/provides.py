# What this board provides: the names and versions of the software on it, kept in the store.
#
#   provides = Provides(store, "release-1", note)
#   provides.get()                      # {"artifact_name": "release-1"}
#
# What changes the record is in closing.py: keys that begin with MARK are its own.
# SPDX-License-Identifier: MIT

from .errors import Broken

RECORD = "provides"
UNKNOWN = "unknown"  # Mender's word for it
MARK = "."


class Provides:
    """first: the artifact_name of what was flashed, before any Artifact was committed.

    note(level, text) hears of a record that cannot be read. unsaved: what holds instead of the
    record, until it can be stored.
    """

    def __init__(self, store, first, note):
        self.store = store
        self.note = note
        self.unsaved = None
        self._first = first

    def stored(self):
        """The record as a dict, or what stands for it."""
        if self.unsaved:
            return dict(self.unsaved)
        try:
            stored = self.store.get_json(RECORD)
        except Broken as error:
            self.note("error", f"what this board provides cannot be read: {error}")
            return {"artifact_name": UNKNOWN}
        return {"artifact_name": self._first} if stored is None else stored

    def get(self):
        """A dict of strings; artifact_name is always in it."""
        return {key: value for key, value in self.stored().items() if key[:1] != MARK}
