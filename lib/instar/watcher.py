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
# turns of ten seconds. The default of one connection costs a handshake whenever something is sent.
# Limits: of several values written while no poll was under way, the last one alone is told.
# SPDX-License-Identifier: MIT

import asyncio
import sys
import time

from micropython import const

from .errors import InstarError
from .http import GaveWay
from .retry import Backoff
from .servers.murano.polling import Watch
from .stopwatch import Stopwatch

_TURN_S = const(10)
_LINGER_MS = const(3000)  # whoever needed the connection is likely to need it again
_IDLE_MS = const(500)


class _Watched:
    def __init__(self, watch, callback, initial, backoff):
        self.watch = watch
        self.callback = callback
        self.initial = initial
        self.backoff = backoff
        self.next = 0  # seconds of uptime: not asked for before
        self.busy = False


class Watcher:
    """The watches of one board. first: whether what a callback is told at the moment was there
    already when its watch began."""

    def __init__(self, host):
        self.first = False
        self._host = host
        self._watched = []
        self._uptime = Stopwatch()

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
            if not watched.busy and watched.next <= now:
                self._watched.remove(watched)
                self._watched.append(watched)
                return watched

    async def _turn(self, watched):
        seconds = self._host.settings.murano_wait
        if len(self._watched) > self._polls:
            seconds = min(seconds, _TURN_S)
        try:
            found = await watched.watch.next(seconds)
        except GaveWay:
            return await asyncio.sleep_ms(_LINGER_MS)
        except (InstarError, OSError, MemoryError) as error:
            self._host.emit("error", message=f"watch: {str(error) or repr(error)}")
            watched.next = self._uptime.seconds() + watched.backoff.delay(error)
            return
        watched.backoff.reset()
        self.first = watched.watch.first
        if found and (watched.initial or not self.first):
            await self._call(watched.callback, found[0])

    async def _call(self, callback, value):
        try:
            done = callback(value)
            if hasattr(done, "send"):
                await done
        except Exception as error:  # of the application's own: not the end of the others
            sys.print_exception(error)
            self._host.emit("error", message=f"watch: the callback raised {error!r}")
