# The bounded queue of what waits for the network, kept over an outage and a reboot.
#
#   outbox = Outbox(store, limit=65536, save_interval=600, note=log)
#   outbox.put("channel/room", '{"n":"temperature","v":21.5}')    # at once, never waits
#   await outbox.drain(send)            # await send(topic, [bodies]), oldest first
#   outbox.tick()                       # once a minute: what waited long goes to the flash
#   outbox.save()                       # before a reset
#
# Entries gather in one segment in RAM. A full one becomes a store record, `out-<number>`, that
# fits one block of LittleFS; drain() sends from RAM what never had to go there. So the flash is
# written once per segment during an outage, once per save_interval at most besides, and not at
# all while the network is there. When there is no more room the oldest segment goes.
#
# Each entry arrives at least once, in order. It comes twice if the answer to it was lost, or if
# the board lost its power after it was sent and before its segment was deleted. What was put
# since the last save is lost with the power.
# Limits: 1 KiB per entry, its topic included; a block of 4 KiB for each 3.5 KiB of entries.
# SPDX-License-Identifier: MIT

import asyncio
import time

from micropython import const

from .entries import HEAD, batch, count, lead, older_half, write
from .errors import Broken, Rejected

_PREFIX = "out-"
_BLOCK = const(4096)  # what a segment takes of the flash
_SEGMENT = const(3584)  # writing one takes three pieces of this size off the heap, for a moment
_MAX_ENTRY = const(1024)
_MAX_TOPIC = const(255)
_FAILED = (OSError, Broken, MemoryError)


class Outbox:
    """Entries of a topic and a body on their way out, in `store`.

    limit: bytes on flash; less than 4096: RAM only, one segment. save_interval: seconds until an
    entry in RAM goes to the flash. note(level, text) hears of what was lost. `lost` counts the
    entries that are known to be.
    """

    def __init__(self, store, limit=65536, save_interval=600, note=None):
        self.lost = 0
        self._store = store
        self._most = limit // _BLOCK
        self._interval_ms = save_interval * 1000
        self._note = note or (lambda level, text: None)
        self._lock = asyncio.Lock()
        # Segments on flash, oldest first. Of the first one, `_sent` bytes were sent; `_topic` is
        # the topic there. `_head` is that segment's bytes, while drain() is at work.
        found = [name[len(_PREFIX) :] for name in store.names(_PREFIX)]
        self._numbers = [int(digits) for digits in found if digits.isdigit()]
        self._forget_place()
        # The segment in RAM. Its first `_saved` bytes are on flash too, under its number.
        self._buffer = bytearray(0)
        self._number = self._numbers[-1] + 1 if self._numbers else 1
        self._used = self._saved = self._since = 0
        self._last = None  # the topic that its last entry has
        self._flight = None  # the batch that is being sent; None once its place is not known
        self._resume()

    @property
    def waiting(self):
        """Whether anything waits to be sent."""
        return bool(self._numbers or self._used)

    def put(self, topic, body):
        """Queue one entry. topic: str; body: str or bytes; drain() hands it out as bytes.

        Raises Rejected if both together have more than 1024 bytes, or the topic more than 255.
        """
        name = topic.encode()
        body = body.encode() if isinstance(body, str) else body
        size = HEAD + len(name) + len(body)
        if not 0 < len(name) <= _MAX_TOPIC or size > HEAD + _MAX_ENTRY:
            text = "outbox: expected a topic of 1 to %d bytes and at most %d in all, got %d and %d"
            raise Rejected(text % (_MAX_TOPIC, _MAX_ENTRY, len(name), size - HEAD))
        if self._used + size > _SEGMENT:
            self._make_room()
        self._buffer = self._buffer or bytearray(_SEGMENT)
        if self._used == self._saved:
            self._since = time.ticks_ms()
        same = topic == self._last
        self._used = write(self._buffer, self._used, b"" if same else name, body)
        self._last = topic

    async def drain(self, send):
        """Send all that waits, oldest first: await send(topic, bodies), with at most 64 bodies (as
        bytes) and 2 KiB of them, all of one topic.

        A batch for which send raises Rejected is dropped, and told. Any other error comes out of
        here; that batch and all behind it stay. put() may be called meanwhile.
        """
        async with self._lock:
            try:
                while self.waiting:
                    await self._send_oldest(send)
            finally:
                self._head = None  # its room is for others now

    def tick(self):
        """Called about once a minute: saves what has waited in RAM for save_interval."""
        if self._most and self._used > self._saved:
            now = time.ticks_ms()
            if time.ticks_diff(now, self._since) >= self._interval_ms:
                self._since = now  # if it fails, the next try is as far away
                self._save()

    def save(self):
        """Before a deliberate reset: what is unsent goes to the flash, and what was sent leaves
        it, so that nothing is sent twice; but what is being sent at this moment may be."""
        if self._numbers and self._sent:
            try:
                self._trim()
            except _FAILED as error:
                self._tell("outbox: what was sent may be sent again: %r" % error)
        if self._most and self._used:
            self._save_anyhow()

    # ---- sending

    async def _send_oldest(self, send):
        try:
            flight = self._oldest()
        except (Broken, OSError) as error:
            self._tell("outbox: entries are lost: %s" % error)
            return self._forget_oldest() if self._numbers else self._clear()
        topic, bodies, _ = flight
        if not bodies:
            return self._forget_oldest()
        self._flight, refused = flight, None
        try:
            await send(topic, bodies)
        except Rejected as error:
            refused = error
        if self._flight is not flight:
            return  # put() or save() moved what lies there: it is sent once more
        if refused:
            self._lose(len(bodies), "refused: %s" % refused)
        self._advance(flight)

    def _oldest(self):
        # (topic, bodies, where they end) of the next batch; no bodies at a segment's end.
        if not self._numbers:
            return batch(self._buffer, 0, self._used, "")
        return batch(self._load(), self._sent, len(self._load()), self._topic)

    def _load(self):
        if self._head is None:
            name = _name(self._numbers[0])
            self._head = self._store.get(name)
            if self._head is None:
                raise Broken("record %s is gone" % name)
        return self._head

    def _advance(self, flight):
        topic, _, end = flight
        if self._numbers:  # also if it was the one in RAM when the sending began
            self._sent, self._topic = end, topic
        else:
            self._cut(end, topic)

    # ---- the segment in RAM

    def _resume(self):
        # Goes on with the last segment of the start before, if that was saved half full: a board
        # that resets often would fill its blocks with single entries.
        if not self._numbers:
            return
        try:
            data = self._store.get(_name(self._numbers[-1]))
        except (Broken, OSError):
            return  # drain() will meet it, and tell
        if data and len(data) + HEAD + _MAX_ENTRY <= _SEGMENT:
            self._buffer = bytearray(_SEGMENT)
            self._buffer[: len(data)] = data
            self._used = self._saved = len(data)
            self._number = self._numbers.pop()

    def _make_room(self):
        # The RAM segment goes to the flash; or, if that takes none, its older half goes.
        if self._most and self._save_anyhow():
            self._numbers.append(self._number)
            self._number += 1
            self._saved = 0
            return self._clear()
        lost, topic, end = older_half(self._buffer, self._used)
        self._lose(lost, "no room for more")
        self._cut(end, topic)
        if not self._numbers:
            self._flight = None  # it was what is being sent

    def _save_anyhow(self):
        # One failure costs the oldest segment: a flash that is full has room again.
        return self._save() or (self._drop_oldest("the flash takes no more") and self._save())

    def _save(self):
        # Whether the RAM segment is on flash now.
        while len(self._numbers) >= self._most:
            self._drop_oldest("the outbox is full")
        try:
            self._store.put(_name(self._number), memoryview(self._buffer)[: self._used])
        except _FAILED as error:
            self._tell("outbox: not saved: %r" % error)
            return False
        self._saved = self._used
        return True

    def _cut(self, end, topic):
        # The first `end` bytes are done with; `topic` is theirs, and may be needed behind them.
        if end == self._used:
            return self._clear()
        begin = lead(self._buffer, end, topic)
        if self._saved > end:
            self._saved -= begin
        else:
            self._unsave()
        self._used -= begin
        view = memoryview(self._buffer)
        view[: self._used] = view[begin : begin + self._used]

    def _clear(self):
        self._unsave()
        self._used = 0
        self._last = None

    def _unsave(self):
        if self._saved:
            self._saved = 0
            self._delete(self._number)

    # ---- the oldest segment on flash

    def _drop_oldest(self, why):
        # Makes room; False if there is none to drop.
        if not self._numbers:
            return False
        try:
            lost = count(self._load(), self._sent, self._topic)
        except _FAILED as error:
            lost, why = 0, "%s; %r" % (why, error)
        self._lose(lost, why)
        self._forget_oldest()
        return True

    def _forget_oldest(self):
        self._delete(self._numbers.pop(0))
        self._forget_place()
        self._flight = None

    def _forget_place(self):
        self._sent = 0
        self._topic = ""
        self._head = None

    def _trim(self):
        # Take what was sent out of the oldest segment.
        data = bytearray(self._load())
        begin = lead(data, self._sent, self._topic)
        self._store.put(_name(self._numbers[0]), memoryview(data)[begin:])
        self._forget_place()
        self._flight = None

    def _delete(self, number):
        try:
            self._store.delete(_name(number))
        except (OSError, Broken) as error:
            self._tell("outbox: sent, but not deleted: %s" % error)

    def _lose(self, entries, why):
        self.lost += entries
        self._tell("outbox: %d entries are lost: %s" % (entries, why))

    def _tell(self, text):
        self._note("error", text)


def _name(number):
    return "%s%08d" % (_PREFIX, number)
