# The bounded queue of what waits for the network, kept over an outage and a reboot.
#
#   outbox = Outbox(store, limit=65536, save_interval=600, note=log)
#   outbox.put("channel/room", '{"n":"temperature","v":21.5}')    # at once, never waits
#   await outbox.drain(send)            # await send(topic, [bodies]), oldest first
#   outbox.tick()                       # once a minute: what waited long goes to the flash
#   outbox.save()                       # before a reset
#
# Entries gather in one segment in RAM. A full one becomes a store record, `<prefix><number>`, that
# fits one block of LittleFS; drain() sends from RAM what never had to go there. So the flash is
# written once per segment during an outage, once per save_interval at most besides, and not at
# all while the network is there. When there is no more room the oldest segment goes.
#
# Each entry arrives at least once, in order. It comes twice if the answer to it was lost, or if
# the board lost its power after it was sent and before its segment was deleted. What was put
# since the last save is lost with the power.
# A batch for which send raises Unauthorised goes behind all others, as a whole; so whole batches
# of one topic may change their order. It stays if the outbox is `ordered`, nothing else waits, or
# others would have to go for it. Moving it writes two segments at most: one if RAM has no room
# for it, and one before that is deleted where it was.
# Limits: 1 KiB per entry, its topic included; a block of 4 KiB for each 3.5 KiB of entries.
# SPDX-License-Identifier: MIT

import asyncio
import time

from micropython import const

from .entries import HEAD, MAX_ENTRY, batch, behind, count, cut, encoded, older_half, room, write
from .errors import Broken, Rejected, Unauthorised

_BLOCK = const(4096)  # what a segment takes of the flash
_SEGMENT = const(3584)  # writing one takes three pieces of this size off the heap, for a moment
_DRAIN_MS = const(20000)  # then drain() ends: an application may publish as fast as it sends
_FAILED = (OSError, Broken, MemoryError)


class Outbox:
    """Entries of a topic and a body on their way out, in `store`.

    limit: bytes on flash; less than 4096: RAM only, one segment. save_interval: seconds until an
    entry in RAM goes to the flash. note(level, text) hears of what was lost. `lost` counts the
    entries that are known to be. prefix: of the records' names. ordered: no batch is moved.
    """

    def __init__(
        self, store, limit=65536, save_interval=600, note=None, prefix="out-", ordered=False
    ):
        self._store = store
        self._name, self._ordered = prefix + "%08d", ordered
        self._most = limit // _BLOCK
        self._interval_ms = save_interval * 1000
        self._tell = lambda text: note and note("error", text)
        self._lock = asyncio.Lock()
        # Segments on flash, oldest first. Of the first one, `_sent` bytes were sent; `_topic` is
        # the topic there. `_head` is that segment's bytes, while drain() is at work; `_flight` the
        # batch that is being sent, None once its place is not known.
        found = [name[len(prefix) :] for name in store.names(prefix)]
        self._numbers = [int(digits) for digits in found if digits.isdigit()]
        self._forget_place()
        # The segment in RAM. Its first `_saved` bytes are on flash too, under its number.
        self._buffer = bytearray(0)
        self._number = self._numbers[-1] + 1 if self._numbers else 1
        self._used = self._saved = self._since = self.lost = 0
        self._moved = False  # whether some are on flash only where they lay before _move()
        self._last = None  # the topic that its last entry has
        self._resume()

    @property
    def waiting(self):
        """Whether anything waits to be sent."""
        return bool(self._numbers or self._used)

    def put(self, topic, body):
        """Queue one entry. topic: str; body: str or bytes; drain() hands it out as bytes.

        Raises Rejected if both together have more than 1024 bytes, or the topic more than 255.
        """
        name, body = encoded(topic, body)
        if self._used + room(name, (body,)) > _SEGMENT:
            self._make_room()
        self._buffer = self._buffer or bytearray(_SEGMENT)
        self._append(topic, name, (body,))

    async def drain(self, send):
        """Send what waits, oldest first, for 20 s at most: await send(topic, bodies), with at most
        64 bodies (as bytes) and 2 KiB of them, all of one topic.

        A batch for which send raises Rejected is dropped, and told. Any other error comes out of
        here; that batch and all behind it stay; after Unauthorised it is the last of them. put()
        may be called meanwhile.
        """
        async with self._lock:
            began = time.ticks_ms()
            try:
                while self.waiting and time.ticks_diff(time.ticks_ms(), began) < _DRAIN_MS:
                    await self._send_oldest(send)
            finally:
                self._head = None  # its room is for others now

    def tick(self):
        """Called about once a minute: saves what has waited in RAM for save_interval."""
        now = time.ticks_ms()
        unsaved = self._most and self._used > self._saved
        if unsaved and time.ticks_diff(now, self._since) >= self._interval_ms:
            self._since = now  # if it fails, the next try is as far away
            self._save()

    def save(self):
        """Before a deliberate reset: what is unsent goes to the flash, and what was sent leaves
        it, so that nothing is sent twice; but what is being sent at this moment may be."""
        if self._most and self._used:
            self._save_anyhow()
        if self._numbers and self._sent and not self._moved:
            try:
                self._trim()
            except _FAILED as error:
                self._tell("outbox: what was sent may be sent again: %r" % error)

    # ---- sending

    async def _send_oldest(self, send):
        try:
            flight = self._oldest()
        except (Broken, OSError) as error:
            self._tell("outbox: entries are lost: %s" % error)
            return self._forget_oldest() if self._numbers else self._clear()
        topic, bodies, end = flight
        if not bodies:
            return self._forget_oldest()
        self._flight = flight
        try:
            await send(topic, bodies)
        except Rejected as error:
            if self._flight is flight:
                self._lose(len(bodies), "refused: %s" % error)
        except Unauthorised:
            if self._flight is flight and not self._ordered:
                self._move(topic, bodies, end)
            raise
        if self._flight is flight:  # else put() or save() moved what lies there: it is sent again
            self._advance(topic, end)

    def _oldest(self):
        # (topic, bodies, where they end) of the next batch; no bodies at a segment's end.
        if not self._numbers:
            return batch(self._buffer, 0, self._used, "")
        return batch(self._load(), self._sent, len(self._load()), self._topic)

    def _load(self):
        if self._head is None:
            self._head = self._store.get(self._name % self._numbers[0])
            if self._head is None:
                raise Broken("record %d is gone" % self._numbers[0])
        return self._head

    def _advance(self, topic, end):
        if self._numbers:  # also if it was the one in RAM when the sending began
            self._sent, self._topic = end, topic
        else:
            self._cut(end, topic)

    def _move(self, topic, bodies, end):
        # Put a batch behind all others, if there are any and none has to go for it.
        name = topic.encode()
        others, freed = end < self._used, end - len(name)  # at least: see entries.lead()
        if self._numbers:
            others, freed = self._used or self._numbers[1:] or end < len(self._load()), 0
        if not others:
            return
        if self._used - freed + room(name, bodies) > _SEGMENT:
            if len(self._numbers) >= self._most or not self._save():
                return
            self._close()
        self._buffer = self._buffer or bytearray(_SEGMENT)
        self._moved = self._moved or bool(self._numbers or self._saved)
        self._advance(topic, end)
        self._append(topic, name, bodies)

    # ---- the segment in RAM

    def _append(self, topic, name, bodies):
        if self._used == self._saved:
            self._since = time.ticks_ms()
        same = topic == self._last
        self._used = write(self._buffer, self._used, b"" if same else name, bodies)
        self._last = topic

    def _resume(self):
        # Goes on with the last segment of the start before, if that was saved half full: a board
        # that resets often would fill its blocks with single entries.
        try:
            data = self._numbers and self._store.get(self._name % self._numbers[-1])
        except (Broken, OSError):
            return  # drain() will meet it, and tell
        if data and len(data) + HEAD + MAX_ENTRY <= _SEGMENT:
            self._buffer = bytearray(_SEGMENT)
            self._buffer[: len(data)] = data
            self._used = self._saved = len(data)
            self._number = self._numbers.pop()

    def _make_room(self):
        # The RAM segment goes to the flash; or, if that takes none, its older half goes.
        if self._most and self._save_anyhow():
            return self._close()
        lost, topic, end = older_half(self._buffer, self._used)
        self._lose(lost, "no room for more")
        self._cut(end, topic)
        if not self._numbers:
            self._flight = None  # it was what is being sent

    def _close(self):
        # The RAM segment, which was saved, becomes the last of those on flash.
        self._numbers.append(self._number)
        self._number += 1
        self._saved = 0
        self._clear()

    def _save_anyhow(self):
        # One failure costs the oldest segment: a flash that is full has room again.
        return self._save() or (self._drop_oldest("the flash takes no more") and self._save())

    def _save(self):
        # Whether the RAM segment is on flash now.
        while len(self._numbers) >= self._most:
            self._drop_oldest("the outbox is full")
        return self._write()

    def _write(self):
        try:
            self._store.put(self._name % self._number, memoryview(self._buffer)[: self._used])
        except _FAILED as error:
            self._tell("outbox: not saved: %r" % error)
            return False
        self._saved, self._moved = self._used, False
        return True

    def _cut(self, end, topic):
        # The first `end` bytes are done with; `topic` is theirs, and may be needed behind them.
        if end == self._used:
            return self._clear()
        begin = cut(self._buffer, end, self._used, topic)
        self._used -= begin
        if self._saved > end:
            self._saved -= begin
        elif self._moved:
            self._saved = 0  # the record stays, until _write() or _clear()
        else:
            self._unsave()

    def _clear(self):
        self._unsave()
        self._used, self._last = 0, None

    def _unsave(self):
        if self._saved or self._moved:
            self._saved, self._moved = 0, False
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
        self._forget_place()
        if self._moved:
            self._write()  # first: until now it may be the only record that has them
        self._delete(self._numbers.pop(0))

    def _forget_place(self):
        self._sent, self._topic = 0, ""
        self._head = self._flight = None

    def _trim(self):
        # Take what was sent out of the oldest segment.
        if self._sent == len(self._load()):
            return self._forget_oldest()
        rest = behind(self._load(), self._sent, self._topic)
        self._store.put(self._name % self._numbers[0], rest)
        self._forget_place()

    def _delete(self, number):
        try:
            self._store.delete(self._name % number)
        except (OSError, Broken) as error:
            self._tell("outbox: sent, but not deleted: %s" % error)

    def _lose(self, entries, why):
        self.lost += entries
        self._tell("outbox: %d entries are lost: %s" % (entries, why))
