# The application's measurements on their way to Murano: each gets its time when it is taken, waits
# in the outbox, and is sent in batches with `record` when there is a network.
#
#   recorder = Recorder(host)
#   recorder.record("temperature", 23.5)       # queued, at once
#   await recorder.deliver()                   # sends what waits; see sender.py
#
# host offers: settings, clock, murano, emit(event, **info), online(), client(). Events: recorded
# (records: sent and taken; conflicts: how many of them the server had already), error.
# Each arrives once, in order: one that was sent again, because its answer was lost or the power
# failed, has the same time as before, and is a conflict.
# While nobody said what time it is, an entry keeps the time since this start, to the millisecond;
# it gets its true time when it is sent. Later starts know of the earlier ones what `rec-starts`
# has, a record of the store: when a start was, if it learnt that; else what the RTC said at its
# beginning. The first start that learns the time learns how wrong the RTC was: so were the starts
# before, as the RTC counts on through resets (but for its drift since, and the seconds between a
# clock that is set and the note of it). A time that cannot be is none: before clock.py's floor,
# before an earlier start, or after the RTC was lost with the power or set back. As two RTCs that
# were both lost look alike, an RTC below the floor tells only of starts a minute later or more.
# Entries without a time are dropped and told: none is better than a false one.
# What Murano refuses is sent in smaller and smaller parts. An entry refused alone is dropped and
# told, once another of its batch was taken; if none is, that is the server's trouble, and all
# stay. So eight in a row that are refused hold up the others, until the outbox is full.
# Limits: see outbox.py; 1018 bytes for alias, time and value together, encoded. Where the clock is
# set back, a time of before may come once more: that value is told as a conflict, too.
# SPDX-License-Identifier: MIT

import binascii
import os
import time

from micropython import const

from .errors import Broken, Rejected, Transient
from .sender import Sender

_TOPIC = "record"  # one for all, so that a batch has several aliases
_MOST = const(1018)  # an entry of the outbox has 1024 bytes, its topic included
_NEAR_US = const(1000)
_EARLIEST_US = 1000000 * 1000000000  # September 2001: a smaller time has another unit
_STARTS = "rec-starts"  # [[mark, offset] or [mark, None, what the RTC said], ...], oldest first
_MAX_STARTS = const(8)
_MINUTE_US = const(60000000)
_IN_A_ROW = const(8)


class Recorder(Sender):
    """One board's records, kept in the store's outbox over an outage and a reboot."""

    server = "murano"
    _word = "record"
    _prefix = "rec-"
    _ordered = True
    _needs = ("murano_url",)
    _unload = ""

    def __init__(self, host):
        super().__init__(host)
        self._mark = binascii.hexlify(os.urandom(4)).decode()  # of this start
        self._ticks = time.ticks_ms()
        self._since_us = 0  # of this start
        self._offset = None  # microseconds from 1970 to this start, once somebody knows
        self._untimed = False  # whether entries wait that need it
        self._last = {}  # alias: its last time
        clock = host.clock
        self._rtc = clock.rtc_us() - clock.moved_us  # at this start's beginning
        self._kept = []  # what `rec-starts` has
        try:
            self._kept = host.settings.store.get_json(_STARTS) or []
        except (Broken, OSError, ValueError) as error:
            self._note("error", f"record: {error}")
        # Of those, the ones whose time is known or may be yet: the RTC was not lost since.
        self._starts = [
            start
            for start in self._kept
            if start[1] is not None
            or start[2] + (_MINUTE_US if start[2] < clock.floor_us else 0) <= self._rtc
        ]

    def record(self, alias, value, time_us=None):
        """Queue a value of the resource `alias`; see servers/murano/form.py for what values are.

        time_us: microseconds since 1970; None: now. Murano has one value for an alias and a time:
        a time that equals the alias's last, or lies up to 1 ms before it, becomes 1 us later than
        that. Raises Rejected for what Murano does not take, and what is too long for an entry.
        """
        mark = ""
        if time_us is None:
            time_us, mark = self._now()
        elif not isinstance(time_us, int) or time_us < _EARLIEST_US:
            text = "record: %s: expected microseconds since 1970, after September 2001, got %r"
            raise Rejected(text % (alias, time_us))
        last = self._last.get(alias)
        if last is not None and 0 <= last - time_us <= _NEAR_US:
            time_us = last + 1
        try:
            self._outbox.put(_TOPIC, _entry(alias, value, time_us, mark))
        except MemoryError as error:  # costs this record, not the application
            return self._note("error", f"record: {alias} is lost: {error}")
        self._last[alias] = time_us
        self._untimed = self._untimed or mark != ""

    async def deliver(self):
        """As Sender's: each batch in order."""
        error = await super().deliver()
        self._keep()
        return error

    def tick(self):
        """Once a minute, or at least once in six days: ticks begin anew after twelve."""
        self._now()
        if self._kept:
            self._keep()
        super().tick()

    def save(self):
        """A reset follows: what waits goes to the flash."""
        self._keep()
        super().save()

    def _now(self):
        # (microseconds since 1970, ""); or (since this start, its mark): nobody knows the time.
        ticks = time.ticks_ms()
        self._since_us += time.ticks_diff(ticks, self._ticks) * 1000
        self._ticks = ticks
        now = self._host.clock.stamp_us()
        if now is None:
            if self._offset is None:
                return self._since_us, self._mark
            now = self._offset + self._since_us
        elif self._offset is None:
            self._offset = now - self._since_us
            for alias in self._last:
                if self._last[alias] < _EARLIEST_US:
                    self._last[alias] += self._offset
            self._date()
        return now, ""

    def _date(self):
        # The time is known, so that of earlier starts is, too; or will never be.
        slow = self._offset - self._rtc
        starts, self._starts = self._starts, []
        earliest = self._host.clock.floor_us
        for mark, offset, *rtc in starts:
            if offset is None and rtc[0] + slow >= earliest:
                offset = rtc[0] + slow
            if offset is not None:
                self._starts.append([mark, offset])
                earliest = offset
        if self._kept:  # at once: it is of the RTC as it was
            self._keep()

    async def _send(self, topic, bodies):
        entries = self._timed(bodies)
        lost = len(bodies) - len(entries)
        if entries:
            await self._offer(entries)
        if lost:
            text = "record: %d records are lost: of an earlier start that did not know the time"
            self._note("error", text % lost)
        return bool(entries)

    async def _offer(self, entries):
        begin, size, taken, refused, why = 0, len(entries), False, 0, ""
        while begin < len(entries):
            part = entries[begin : begin + size]
            try:
                conflicts = await self._host.murano.record(part)
            except Rejected as error:
                size = len(part) // 2 or 1
                if len(part) > 1:
                    continue
                refused, why = refused + 1, str(error)
                if not taken and (begin + 1 == len(entries) or refused == _IN_A_ROW):
                    raise Transient(why)
            else:
                self._host.emit("recorded", records=len(part), conflicts=len(conflicts))
                taken, size = True, 2 * size
            begin += len(part)
        if refused:
            self._note("error", f"record: {refused} records are lost: refused: {why}")

    def _timed(self, bodies):
        # The entries as Murano takes them, without those that have no time and never will.
        from .servers.murano.form import stamp

        self._now()
        offsets = {start[0]: start[1] for start in self._starts}
        offsets[self._mark] = self._offset
        entries = []
        for body in bodies:
            *start, text = body.decode().split("@")  # form.entry() has none
            if start:
                mark, since = start
                offset = offsets.get(mark)
                if offset is None:
                    if mark in offsets:
                        raise Transient("expected a clock that is set: nobody said the time yet")
                    continue
                text = text.replace("&0=", f"&{stamp(offset + int(since))}=", 1)
            entries.append(text)
        return entries

    def _keep(self):
        # What later starts have to know of this one and those before, while anything waits.
        self._now()
        starts = []
        if self.waiting:
            starts = self._starts
            if self._untimed:
                rtc = [self._rtc] if self._offset is None else []
                starts = starts + [[self._mark, self._offset] + rtc]
            # Who found the RTC below the floor lifted it: later starts find it there.
            moved = self._host.clock.moved_us
            starts = [[mark, offset] + [us + moved for us in rtc] for mark, offset, *rtc in starts]
            starts = starts[-_MAX_STARTS:]
        else:
            self._starts, self._untimed = [], False
        if starts == self._kept:
            return
        store = self._host.settings.store
        try:
            if starts:
                store.put_json(_STARTS, starts)
            else:
                store.delete(_STARTS)
        except (Broken, OSError, MemoryError) as error:
            return self._note("error", f"record: the times of this start are not saved: {error!r}")
        self._kept = starts


def _entry(alias, value, time_us, mark):
    # As Murano takes it; with a mark: that, the time since that start, and an entry of time 0.
    from .servers.murano.form import entry, text

    found = text(value)
    if len(found) <= _MOST:  # else it is not encoded either: that may be three times as long
        found = entry(alias, found, 0 if mark else time_us)
        found = f"{mark}@{time_us}@{found}" if mark else found
    if len(found) > _MOST:
        words = "record: %s: expected at most %d bytes with alias and time, encoded, got %d"
        raise Rejected(words % (alias, _MOST, len(found)))
    return found
