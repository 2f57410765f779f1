# The agent's turns: bootstrap if it is time, authorise, report inventory, ask for work; then rest.
#
#   class Agent(Turns): ...
#   while True: await agent.turn()
#
# One thing at a time: what the application publishes is sent while the agent rests. The heap of a
# small board has room for one TLS connection.
# SPDX-License-Identifier: MIT

import asyncio
import time

from micropython import const

from . import __version__
from .errors import InstarError, Rejected, Transient, Unauthorised
from .retry import Backoff, sleep

_IN_A_ROW = const(3)
_NAP_MS = const(60000)
_FULL_HEAPS = const(3)  # in a row


class Turns:
    """What an Agent does all day. The parts it uses are made by the agent: settings, board, clock,
    inventory, updater; server, bootstrapper and publisher, each of which may be None."""

    def __init__(self, settings):
        self.settings = settings
        self.server = self.bootstrapper = self.publisher = None
        self._backoff = Backoff(settings.retry_interval, settings.retry_interval_max)
        self._wake = asyncio.Event()
        self._wanted = False
        self._inventory_sent = None
        self._settled = False

    async def turn(self):
        """One turn, and the rest after it."""
        try:
            if self.updater.active:
                await self.updater.run()
            if self.bootstrapper:
                await self.bootstrapper.step()
            await self._poll()
            await self._deliver()
        except Transient as error:
            refused = isinstance(error, Unauthorised)
            self.emit("pending" if refused else "error", message=str(error))
            self._heard("mender", error)
            wait = self._backoff.delay(error)
        except MemoryError as error:
            self.emit("error", message=str(error))
            wait = self._backoff.delay()
            if self._backoff.tries > _FULL_HEAPS:
                self.board.reset()  # pieces do not mend themselves; the journal remembers
        except (InstarError, OSError, ValueError) as error:
            self.emit("error", message=str(error) or repr(error))
            wait = self.settings.update_poll_interval
        else:
            self._backoff.reset()
            self.emit("idle", seconds=self.settings.update_poll_interval)
            return await self._rest(self.settings.update_poll_interval)
        self.emit("retry", seconds=wait)
        await self._rest(wait)

    def _heard(self, source, error=None):
        if self.bootstrapper:
            self.bootstrapper.heard(source, error)

    async def _rest(self, seconds):
        bootstrapper = self.bootstrapper
        left = int(seconds * 1000)
        while not self._wanted and left > 0:
            began = time.ticks_ms()
            await self._deliver()
            if bootstrapper and bootstrapper.due:
                break
            await sleep(min(left, _NAP_MS) / 1000, self.beat, self._wake)
            left -= time.ticks_diff(time.ticks_ms(), began)
        self._wanted = False

    async def _deliver(self):
        publisher = self.publisher
        if not publisher:
            return
        publisher.tick()
        if publisher.due:
            self._heard("magistrala", await publisher.deliver())

    async def _poll(self, left=_IN_A_ROW):
        await self.online()
        if not self.server:
            return await self._without_server()
        await self.server.authorise()
        self.emit("authorised")
        self._heard("mender")
        await self._report_inventory()
        await self._settle()
        deployment = await self.server.next_deployment(self.updater.provides())
        if deployment:
            await self.updater.start(deployment)
            self._inventory_sent = None
            # A few in a row at most: a server that offers for ever does not get a busy board.
            if left > 1:
                await self._poll(left - 1)

    async def _without_server(self):
        """No server gives updates: a board that only publishes."""
        if not self.settings.magistrala_url:
            raise Rejected("settings: expected mender_url, magistrala_url or bootstrap_url")
        await self._settle()
        if not self.publisher or not self.publisher.waiting:
            self._heard("network")

    async def _settle(self):
        """The server was reached, or there is none: what runs on trial is judged, once."""
        if not self._settled:
            await self.updater.settle()
            self._settled = True

    async def _report_inventory(self):
        sent = self._inventory_sent
        period = self.settings.inventory_poll_interval
        if sent is not None and self.clock.now() - sent < period:
            return
        attributes = {"instar_version": __version__}
        attributes["configuration"] = self.settings.digest[:12] or None
        attributes["configuration_problem"] = self.settings.problem
        for more in (self.board.inventory(), self.inventory, self.updater.provides()):
            attributes.update(more)
        try:
            await self.server.report_inventory(attributes)
            self.emit("inventory")
        except Rejected as error:
            # A value that no server takes must not keep a mended application away.
            self.emit("error", message=str(error))
        self._inventory_sent = self.clock.now()
