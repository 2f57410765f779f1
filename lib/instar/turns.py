# The agent's turns: bootstrap if it is time, authorise, report inventory, ask for work; then rest.
#
#   turns = Turns(agent)
#   while True: await turns.turn()
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
    """agent: see agent.py."""

    def __init__(self, agent):
        settings = agent.settings
        self._agent = agent
        self._settings = settings
        self._backoff = Backoff(settings.retry_interval, settings.retry_interval_max)
        self._wake = asyncio.Event()
        self._wanted = False
        self._inventory_sent = None
        self._settled = False

    def wake(self, turn=False):
        """Something is to be sent; or the next turn shall come at once."""
        self._wanted = self._wanted or turn
        self._wake.set()

    async def turn(self):
        """One turn, and the rest after it."""
        agent = self._agent
        try:
            if agent.updater.active:
                await agent.updater.run()
            if agent.bootstrapper:
                await agent.bootstrapper.step()
            await self._poll()
            await self._deliver()
        except Transient as error:
            wait = self._failed(error)
        except MemoryError as error:
            agent.emit("error", message=str(error))
            wait = self._backoff.delay()
            if self._backoff.tries > _FULL_HEAPS:
                agent.board.reset()  # pieces do not mend themselves; the journal remembers
        except (InstarError, OSError, ValueError) as error:
            agent.emit("error", message=str(error) or repr(error))
            wait = self._settings.update_poll_interval
        else:
            self._backoff.reset()
            agent.emit("idle", seconds=self._settings.update_poll_interval)
            return await self._rest(self._settings.update_poll_interval)
        agent.emit("retry", seconds=wait)
        await self._rest(wait)

    def _failed(self, error):
        refused = isinstance(error, Unauthorised)
        self._agent.emit("pending" if refused else "error", message=str(error))
        self._heard("mender", error)
        return self._backoff.delay(error)

    def _heard(self, source, error=None):
        if self._agent.bootstrapper:
            self._agent.bootstrapper.heard(source, error)

    async def _rest(self, seconds):
        bootstrapper = self._agent.bootstrapper
        left = int(seconds * 1000)
        while not self._wanted and left > 0:
            began = time.ticks_ms()
            await self._deliver()
            if bootstrapper and bootstrapper.due:
                break
            await sleep(min(left, _NAP_MS) / 1000, self._agent.beat, self._wake)
            left -= time.ticks_diff(time.ticks_ms(), began)
        self._wanted = False

    async def _deliver(self):
        publisher = self._agent.publisher
        if not publisher:
            return
        publisher.tick()
        if publisher.due:
            self._heard("magistrala", await publisher.deliver())

    async def _poll(self, left=_IN_A_ROW):
        agent = self._agent
        await agent.online()
        if not agent.server:
            return await self._without_server()
        await agent.server.authorise()
        agent.emit("authorised")
        self._heard("mender")
        await self._report_inventory()
        await self._settle()
        deployment = await agent.server.next_deployment(agent.updater.provides())
        if deployment:
            await agent.updater.start(deployment)
            self._inventory_sent = None
            # A few in a row at most: a server that offers for ever does not get a busy board.
            if left > 1:
                await self._poll(left - 1)

    async def _without_server(self):
        """No server gives updates: a board that only publishes."""
        if not self._settings.magistrala_url:
            raise Rejected("settings: expected mender_url, magistrala_url or bootstrap_url")
        await self._settle()
        if not self._agent.publisher or not self._agent.publisher.waiting:
            self._heard("network")

    async def _settle(self):
        """The server was reached, or there is none: what runs on trial is judged, once."""
        if not self._settled:
            await self._agent.updater.settle()
            self._settled = True

    async def _report_inventory(self):
        agent = self._agent
        sent = self._inventory_sent
        period = self._settings.inventory_poll_interval
        if sent is not None and agent.clock.now() - sent < period:
            return
        attributes = {"instar_version": __version__}
        attributes["configuration"] = self._settings.digest[:12] or None
        attributes["configuration_problem"] = self._settings.problem
        for more in (agent.board.inventory(), agent.inventory, agent.updater.provides()):
            attributes.update(more)
        try:
            await agent.server.report_inventory(attributes)
            agent.emit("inventory")
        except Rejected as error:
            # A value that no server takes must not keep a mended application away.
            agent.emit("error", message=str(error))
        self._inventory_sent = agent.clock.now()
