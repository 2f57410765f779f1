# The update's journal: which deployment is open, in which state, with which verdict, and its log.
# Saved before a state acts, so that a start after a power cut knows.
#
#   journal = Journal(store, clock)
#   journal.open(id)                    # a new deployment; journal.state etc. are its fields
#   journal.enter("install")            # durable when it returns
#   journal.close()                     # nothing is open any more
#
# It is two records. `update` has everything; it is there from the end of the download until the
# deployment is closed, and is written rarely. `step` has what changes from state to state, in so
# few bytes that LittleFS takes it in one program: it counts where it was written later, for the
# same deployment. During a download there is only `step`: nothing else has to outlive a restart.
# SPDX-License-Identifier: MIT

import binascii
import json

from micropython import const

from .errors import Broken

_RECORD = "update"
_STEP = "step"
_STEP_SIZE = const(80)  # with the store's header 92: one program of 128 bytes holds the commit
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
    "saves": 0,  # states that were entered
    "writes": 0,  # of both records together: the later one counts
    "log": (),  # (RFC 3339 time, level, text)
}
_STEPPED = ("writes", "state", "verdict", "starts", "tries", "saves", "inconsistent", "reported")


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
    writes: int
    log: list

    def __init__(self, store, clock):
        self._store = store
        self._clock = clock
        self._load(_EMPTY)

    def _load(self, fields, writes=0):
        for name, empty in _EMPTY.items():
            setattr(self, name, fields.get(name, empty))
        self.log = list(self.log)
        self.writes = max(self.writes, writes)  # whatever was open: what is later has more
        self._left = None  # key and tries of a download that a restart ended
        self._whole = False  # `update` holds what step does not

    def restore(self):
        """Take up what an earlier start left. Raises Broken if a record is damaged."""
        try:
            self._restore()
        except (AttributeError, Broken, KeyError, TypeError, ValueError) as error:
            self._store.delete(_STEP)
            raise Broken(f"the journal is damaged: {error}")

    def _restore(self):
        found = self._store.get_json(_RECORD)
        key, *values = self._store.get_json(_STEP) or [0, 0]
        step = dict(zip(_STEPPED, values))
        if found and found["state"] == "download":  # of an agent that had one record for all
            self._store.delete(_RECORD)
            key, step, found = _key(found["id"]), found, None
        self._load(found or _EMPTY, step.get("writes", 0))
        if not found:
            if step.get("state") == "download":
                self._left = key, step.get("tries", 0)
            return
        self._whole = True
        if key == _key(self.id) and step.get("writes", 0) > found.get("writes", 0):
            for name in step:
                setattr(self, name, step[name])

    def open(self, deployment_id):
        """Begin with a deployment. The same one again counts as another try."""
        left = self._left
        self._load(_EMPTY, self.writes)
        self.id = deployment_id
        if left and left[0] == _key(deployment_id):
            self.tries = left[1] + 1

    def enter(self, state):
        """Save that `state` begins. False if so many were entered that this is a loop.

        Raises OSError or Broken if it could not be saved; it is entered all the same, in RAM.
        """
        self.state = state
        self.saves += 1
        self.save()
        return self.saves <= _MAX_SAVES

    def save(self):
        """Raises OSError or Broken."""
        self.writes += 1
        if self._whole or self.state == "download":
            values = [_key(self.id)] + [getattr(self, name) for name in _STEPPED]
            text = json.dumps(values)
            self._store.rewrite(_STEP, (text + " " * (_STEP_SIZE - len(text))).encode())
        else:
            self._store.put_json(_RECORD, {name: getattr(self, name) for name in _EMPTY})
            self._whole = True

    def close(self):
        """The deployment was reported: nothing is open."""
        self._store.delete(_RECORD)
        self._load(_EMPTY, self.writes)

    def note(self, level, text):
        """A line of the deployment's log, which has the newest 24: in RAM until the next save.
        A line of level info is no reason to write all of the log again."""
        self.log.append((self._clock.rfc3339(), level, text[-_LOG_TEXT:]))
        del self.log[:-_LOG_ENTRIES]
        self._whole = self._whole and level == "info"


def _key(deployment_id):
    return binascii.crc32(deployment_id.encode())
