# Long polls of one resource: once, or again and again without a missed or a doubled value.
#
#   change = await wait(murano, "thermostat", 240, since="1408088308")      # or None
#   watch = Watch(murano, "thermostat")
#   while True:
#       found = await watch.next(240)         # ("65",), or None; may raise: call it again then
#
# Murano keeps one value for each resource, and tells when it was written in whole seconds. What
# was overwritten before anybody could ask is lost to every client; a value that stays for some
# two seconds is not. That time is compared with others of its kind only: an answer's Date may be
# of a machine whose clock is ahead or behind.
# SPDX-License-Identifier: MIT

import asyncio
import time

from micropython import const

from ... import memory
from ...errors import Rejected, Transient
from .form import FORM, decode
from .form import alias as encoded

_PATH = "/onep:v1/stack/alias?"
_MAX_MS = const(300000)  # Murano's own limit
_MARGIN_S = const(20)  # for the answer to travel, and a handshake before
_SECOND_MS = const(1100)
_EARLY_MS = const(10000)  # no server gives up a long poll sooner
_LULL_MS = const(60000)
_UNIX_2000 = const(946684800)


class Change:
    """A value (str) of a resource. modified: when it was written, as the server put it, "" if it
    did not."""

    def __init__(self, value, modified):
        self.value = value
        self.modified = modified


async def wait(murano, alias, seconds, since=None):
    """The Change of a resource that is written within `seconds` (at most 300), else None.

    since: seconds since 1970, or a text that Murano gave as `modified`: what was written then or
    later counts, too. It is a patient request: GaveWay is raised where another one needs the
    connection. Raises Rejected if the product does not define the resource.
    """
    wait_ms = max(1, min(int(seconds * 1000), _MAX_MS))
    headers = {"Accept": FORM, "Request-Timeout": wait_ms}
    if since is not None:
        headers["If-Modified-Since"] = since
    timeout = wait_ms / 1000 + _MARGIN_S
    path = _PATH + encoded(alias)
    response = await murano.call("GET", path, headers, patient=True, timeout=timeout)
    if response.status_code == 404:
        raise Rejected("wait: expected resource %s, got 404: the product defines none" % alias)
    murano.check(response, "wait for %s" % alias, 200, 204, 304)
    return _change(response, alias)


def _change(response, alias):
    if not response.content:
        return None
    for name, value in decode(response.content):
        if name == alias:
            return Change(value, response.headers.get("last-modified", ""))
    text = "wait: expected a value of %s, got %d bytes without one"
    raise Transient(text % (alias, len(response.content)))


def _seconds(text):
    """Seconds since 2000 of a time in either form that Murano uses, or None."""
    if text.isdigit() and len(text) < 12:
        return int(text) - _UNIX_2000
    try:
        from ...http.dates import parse_date

        return parse_date(text)
    finally:
        memory.forget("instar.http.dates")


class Watch:
    """The values of one resource, in the order in which they are written, each of them once.

    first: whether the value that next() returned last is the one that was there before.
    """

    def __init__(self, murano, alias):
        self.first = False
        self._murano = murano
        self._alias = alias
        self._begun = False
        # What is known: a value, and when it was written: seconds since 2000, or the server's
        # text if that is no time; None: it was only read.
        self._value = self._mark = None
        self._since = "1"  # of the next long poll: whatever is there, by 1970's first second
        self._open = False  # whether the second of _mark may bring one more value
        self._inclusive = False  # whether the server counts values of the very second asked for
        self._asked = self._rest = 0  # ticks of the last request; ms to wait from then
        self._lull = _SECOND_MS  # _rest after an answer that brought nothing, and too soon

    async def next(self, seconds):
        """Wait for at most about `seconds`. Returns (value,), or None if there is nothing new.

        Raises what wait() raises, and loses nothing by it: the next call goes on from there.
        """
        end = time.ticks_add(time.ticks_ms(), int(seconds * 1000))
        self.first = not self._begun and await self._begin()
        if self.first:
            return (self._value,)
        while True:
            rested = time.ticks_diff(time.ticks_ms(), self._asked)
            left = time.ticks_diff(end, time.ticks_ms())
            pause = min(self._rest - rested, left)
            if pause > 0:
                await asyncio.sleep_ms(pause)
                left -= pause
            if left <= 0:
                return None
            self._asked, self._rest = time.ticks_ms(), self._lull
            change = await wait(self._murano, self._alias, left / 1000, self._since)
            spent = time.ticks_diff(time.ticks_ms(), self._asked)
            if not change:
                early = spent < min(left // 2, _EARLY_MS)
                if early or spent > _SECOND_MS:  # else there was no time to tell
                    self._slow_down(early)
                return None
            self._asked = time.ticks_ms()
            if self._is_new(change):
                return (change.value,)

    def _slow_down(self, early):
        # A server that answers at once with nothing new must not be asked in a busy loop.
        self._lull = min(self._lull * 2, _LULL_MS) if early else _SECOND_MS
        self._rest = self._lull

    async def _begin(self):
        # A plain read tells whether there is a value; a long poll alone would wait for one. When
        # it was written is known to long polls only.
        path = _PATH + encoded(self._alias)
        response = await self._murano.call("GET", path, {"Accept": FORM})
        self._murano.check(response, "read %s" % self._alias, 200, 204)
        found = _change(response, self._alias)
        if found:
            change = await wait(self._murano, self._alias, 1, self._since)
            self._value = found.value
            if change and change.value == found.value:
                self._is_new(change)
        self._asked = time.ticks_ms()
        self._begun = True
        return found is not None

    def _is_new(self, change):
        mark = _seconds(change.modified)
        if mark is None:
            mark = change.modified
        known = self._mark is not None
        # What was only read is that very value; without a time it may have been written again.
        same = change.value == self._value and (not known or mark == self._mark != "")
        self._value, self._mark = change.value, mark
        if isinstance(mark, int):
            self._go_on(change, mark, same and known)
        else:  # what cannot be read can still be sent back
            self._slow_down(same)
            self._since = mark or None
        return not same

    def _go_on(self, change, mark, again):
        """What to ask for next. mark: when it was written; again: the same came once more."""
        if not again:
            # Another value may be written in the same second, of which nobody would tell. So the
            # second has to pass, by our own clock; then comes a look back.
            self._open, self._lull, self._rest = True, _SECOND_MS, _SECOND_MS
        elif self._open:  # the look back found nothing: that second is over
            self._open, self._rest = False, 0
        elif not self._inclusive:
            self._inclusive, self._rest = True, 0
        else:
            self._slow_down(True)
        if self._open:
            self._since = str(mark - 1 + _UNIX_2000)
        elif self._inclusive:
            self._since = str(mark + 1 + _UNIX_2000)
        else:
            self._since = change.modified
