# The update's journal: one record that says which deployment is open, in which state, with which
# verdict, and its log. Saved before a state acts, so that a start after a power cut knows.
#
#   journal = Journal(store, clock)
#   journal.open(id)                    # a new deployment; journal.state etc. are its fields
#   journal.enter("install")            # durable when it returns
#   journal.close()                     # nothing is open any more
# SPDX-License-Identifier: MIT

from micropython import const

_RECORD = "update"
_MAX_SAVES = const(28)  # as the official client's: more is a loop
_LOG_ENTRIES = const(24)
_LOG_TEXT = const(400)

_EMPTY = {
    "id": None,  # the server's name of the deployment
    "state": None,  # the state that was entered last
    "type": None,  # payload type
    "verdict": None,  # success, failure or aborted: an intent until it was reported
    "installed": None,  # identity of the software that was installed
    "provides": None,  # what the board provides once that software is committed
    "gives": (),  # keys of the Artifact's own among them
    "inconsistent": False,  # what was installed could not be taken back
    "reported": False,  # the server has the final status; the log may have to be sent yet
    "tries": 0,  # downloads of this deployment that a restart ended
    "starts": 0,  # starts of the board since the download was complete
    "saves": 0,
    "log": (),  # (RFC 3339 time, level, text)
}


class Journal:
    """Fields are attributes; `state` is None while no deployment is open."""

    id: str | None
    state: str  # None while nothing is open
    type: str | None
    verdict: str | None
    installed: str | None
    provides: dict | None
    gives: list
    inconsistent: bool
    reported: bool
    tries: int
    starts: int
    saves: int
    log: list

    def __init__(self, store, clock):
        self._store = store
        self._clock = clock
        self._load(_EMPTY)

    def _load(self, fields):
        for name, empty in _EMPTY.items():
            setattr(self, name, fields.get(name, empty))
        self.log = list(self.log)

    def restore(self):
        """Take up what an earlier start left. Raises Broken if the record is damaged."""
        self._load(self._store.get_json(_RECORD) or _EMPTY)

    def open(self, deployment_id):
        """Begin with a deployment. The same one again counts as another try."""
        tries = self.tries + 1 if self.id == deployment_id else 0
        self._load(_EMPTY)
        self.id = deployment_id
        self.tries = tries

    def enter(self, state):
        """Save that `state` begins. False if so many were entered that this is a loop.

        Raises OSError or Broken if it could not be saved; it is entered all the same, in RAM.
        """
        self.state = state
        self.saves += 1
        self.save()
        return self.saves <= _MAX_SAVES

    def save(self):
        self._store.put_json(_RECORD, {name: getattr(self, name) for name in _EMPTY})

    def close(self):
        """The deployment was reported: nothing is open."""
        self._store.delete(_RECORD)
        self._load(_EMPTY)

    def note(self, level, text):
        """A line of the deployment's log: kept in RAM until the next save, the newest 24."""
        self.log.append((self._clock.rfc3339(), level, text[-_LOG_TEXT:]))
        del self.log[:-_LOG_ENTRIES]
