# Watches resources of Murano and calls back when a value was written.
#
#   watcher = Watcher(host)
#   watcher.add("thermostat", set_temperature)     # set_temperature("21.5"), plain or async
#   await watcher.run()                            # never returns
#
# host offers: settings, murano, resting (an asyncio.Event: set while the agent itself has nothing
# to do), emit(event, **info).
# Murano takes one resource for a long poll, which keeps a connection busy for as long as the
# setting murano_wait says; it gives way to every other request that finds no connection free. So
# there are one less of them than `max_connections`, but always one; more resources than that take
# turns of ten seconds. With the default of one connection, a board that has just sent something
# looks every three seconds for a minute, over that connection, and only then polls long again.
# Many proxies cut what is silent for a minute: a poll that is cut is asked again at once, for half
# the time, and each one after that which is not, for a second more.
# Limits: of several values written while no poll was under way, the last one alone is told. While
# a callback runs, its resource is not asked for.
# SPDX-License-Identifier: MIT

import asyncio
import sys

from micropython import const

from .errors import InstarError, Transient
from .http import GaveWay
from .retry import Backoff
from .servers.murano.polling import Watch
from .stopwatch import Stopwatch

_TURN_S = const(10)
_IDLE_MS = const(100)
_LOOK_S = 0.1  # so short that it is rarely in the way
_PAUSE_S = const(3)
_BUSY_S = const(60)
_LONG_S = const(60)  # for a callback
_WAITED_S = const(10)  # what fails after that was cut; the server may well be there
_LEAST_S = const(30)


class _Watched:
    def __init__(self, watch, callback, initial, backoff):
        self.watch = watch
        self.callback = callback
        self.initial = initial
        self.backoff = backoff
        self.next = 0  # seconds of uptime: not asked for before
        self.busy = False
        self.task = None  # what its callback still has to do
        self.late = None  # seconds of uptime when that is told


class Watcher:
    """The watches of one board. first: whether what a callback is told at the moment was there
    already when its watch began."""

    def __init__(self, host):
        self.first = False
        self._host = host
        self._watched = []
        self._uptime = Stopwatch()
        self._longest = 300  # seconds of a long poll that is not cut, as far as is known
        self._busy_until = 0  # seconds of uptime: others need the connections

    def add(self, alias, callback, initial=True):
        """Call callback(value) with each value (str) of the resource `alias`: the one that is
        there, if `initial`, and every one that is written from then on."""
        settings = self._host.settings
        backoff = Backoff(settings.retry_interval, settings.retry_interval_max)
        watch = Watch(self._host.murano, alias)
        self._watched.append(_Watched(watch, callback, initial, backoff))

    async def run(self):
        """Never returns. What goes wrong is told, and tried again later."""
        await asyncio.gather(*[self._work() for _ in range(self._polls)])

    @property
    def _polls(self):
        return max(1, self._host.settings.max_connections - 1)

    async def _work(self):
        while True:
            await self._host.resting.wait()
            watched = self._due()
            if not watched:
                await asyncio.sleep_ms(_IDLE_MS)
                continue
            watched.busy = True
            try:
                await self._turn(watched)
            finally:
                watched.busy = False

    def _due(self):
        # Who waits longest comes first.
        now = self._uptime.seconds()
        for watched in self._watched:
            if not watched.busy and watched.next <= now and self._heard(watched, now):
                self._watched.remove(watched)
                self._watched.append(watched)
                return watched

    def _heard(self, watched, now):
        # Whether its callback is done with the value before.
        if not watched.task or watched.task.done():
            return True
        if watched.late is not None and now >= watched.late:
            watched.late = None
            self._host.emit("error", message=f"watch: a callback runs for {_LONG_S} s")
        return False

    async def _turn(self, watched):
        now = self._uptime.seconds()
        seconds = min(self._host.settings.murano_wait, self._longest)
        if now < self._busy_until:
            seconds = _LOOK_S
            watched.next = now + _PAUSE_S
        elif len(self._watched) > self._polls:
            seconds = min(seconds, _TURN_S)
        try:
            found = await watched.watch.next(seconds)
        except GaveWay:
            self._busy_until = self._uptime.seconds() + _BUSY_S
            watched.next = self._uptime.seconds() + _PAUSE_S
            return
        except Exception as error:  # also what nobody thought of: a watch is for ever
            if not isinstance(error, (InstarError, OSError, MemoryError)):
                sys.print_exception(error)
            self._host.emit("error", message=f"watch: {str(error) or repr(error)}")
            waited = self._uptime.seconds() - now
            if isinstance(error, Transient) and waited >= _WAITED_S and seconds > _LEAST_S:
                self._longest = max(_LEAST_S, seconds // 2)
            else:
                watched.next = now + waited + watched.backoff.delay(error)
            return
        watched.backoff.reset()
        if not found and seconds == self._longest:
            self._longest += 1
        self.first = watched.watch.first
        if found and (watched.initial or not self.first):
            self._call(watched, found[0])

    def _call(self, watched, value):
        try:
            done = watched.callback(value)
        except Exception as error:
            return self._failed(error)
        if hasattr(done, "send"):  # in a task of its own: one that hangs must not stop the others
            watched.late = self._uptime.seconds() + _LONG_S
            watched.task = asyncio.create_task(self._finish(done))

    async def _finish(self, done):
        try:
            await done
        except (Exception, asyncio.CancelledError) as error:
            self._failed(error)

    def _failed(self, error):
        # Of the application's own: not the end of its watch.
        sys.print_exception(error)
        self._host.emit("error", message=f"watch: the callback raised {error!r}")
