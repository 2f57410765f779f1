# The agent: authorise, report inventory, poll, update, report; beside the user's own tasks.
#
#   agent = Agent(settings, board, on_event=print)   # {"event": "state", "state": "download"}
#   agent.health = is_my_sensor_alive   # True: healthy; False: not yet; an exception: roll back
#   asyncio.run(agent.run())
#
# Events: authorised, pending, inventory, deployment (id, artifact_name), state (state),
# progress (done, total), report (status), error (message), retry (seconds), idle (seconds).
# board: see docs/porting.md; boards/UNIX/board.py is one.
# SPDX-License-Identifier: MIT

import asyncio
import io
import sys
import time

from micropython import const

from . import __version__
from .clock import Clock
from .errors import InstarError, Rejected, Transient, Unauthorised
from .retry import Backoff, sleep
from .update import Updater

_STALL_MS = const(180000)  # longer than any wait that is allowed to happen
_WATCH_MS = const(1000)
_IN_A_ROW = const(3)
_FULL_HEAPS = const(3)  # in a row


class Agent:
    """One board's agent. settings: Settings with its store; board: the board's own module.

    Reads the journal at once. Raises Broken if the store is damaged.
    """

    def __init__(self, settings, board, server=None, installers=None, on_event=None):
        self.settings = settings
        self.board = board
        self.clock = Clock(board, settings.ntp_host, settings.ntp_port)
        self.on_event = on_event
        self.health = None
        self.inventory = {}  # the application's own attributes
        self._server = server or _mender(settings, board, self.beat)
        self._updater = Updater(self, self._server, installers)
        self._backoff = Backoff(settings.retry_interval, settings.retry_interval_max)
        self._wake = asyncio.Event()
        self._beat = time.ticks_ms()
        self._inventory_sent = None
        self._settled = False
        self._updater.restore()

    # ---- what the application uses

    async def run(self):
        """Never returns."""
        watch = asyncio.create_task(self._watch())
        try:
            while True:
                await self._turn()
        finally:
            watch.cancel()

    def poll_now(self):
        """Ask the server at once instead of at the next interval."""
        self._wake.set()

    def crashed(self, error):
        """The application raised. New software on trial goes back; proven software goes on with
        the agent alone, so that a mended application can arrive."""
        text = io.StringIO()
        sys.print_exception(error, text)  # pyright: ignore[reportArgumentType]
        trace = text.getvalue()  # pyright: ignore[reportAttributeAccessIssue]
        self._updater.crashed(f"application: {trace}")
        if self._updater.unproven:
            self.board.reset()

    # ---- what the updater and the server call

    def emit(self, event, **info):
        info["event"] = event
        try:
            if self.on_event:
                self.on_event(info)
        except Exception as error:  # of the application's own: not the agent's end
            sys.print_exception(error)

    def beat(self):
        """Progress was made: feeds the watchdog, and lets it be fed for a while."""
        self._beat = time.ticks_ms()
        self.board.feed()

    async def online(self):
        """Join the network and have a clock. Raises Transient if the network cannot be joined."""
        await self.board.connect()
        try:
            await self.clock.sync(self.beat)
        except Transient as error:
            self.emit("error", message=str(error))  # TLS will tell if the clock is too wrong

    async def healthy(self):
        """Raises Transient while the application's health check does not pass yet."""
        if self.health is None:
            return
        verdict = self.health()
        if hasattr(verdict, "send"):
            verdict = await verdict  # pyright: ignore[reportGeneralTypeIssues]
        if not verdict:
            raise Transient("the application's health check does not pass")

    # ---- the loop

    async def _turn(self):
        try:
            if self._updater.active:
                await self._updater.run()
            await self._poll()
        except Unauthorised as error:
            self.emit("pending", message=str(error))
            wait = self._backoff.delay(error)
        except Transient as error:
            self.emit("error", message=str(error))
            wait = self._backoff.delay(error)
        except MemoryError as error:
            self.emit("error", message=str(error))
            wait = self._backoff.delay()
            if self._backoff.tries > _FULL_HEAPS:
                self.board.reset()  # a heap in pieces does not mend itself; the journal remembers
        except (InstarError, OSError, ValueError) as error:
            self.emit("error", message=str(error) or repr(error))
            wait = self.settings.update_poll_interval
        else:
            self._backoff.reset()
            self.emit("idle", seconds=self.settings.update_poll_interval)
            return await sleep(self.settings.update_poll_interval, self.beat, self._wake)
        self.emit("retry", seconds=wait)
        await sleep(wait, self.beat, self._wake)

    async def _poll(self, left=_IN_A_ROW):
        await self.online()
        await self._server.authorise()
        self.emit("authorised")
        try:
            await self._report_inventory()
        except Rejected as error:
            # A value that no server takes must not keep a mended application away.
            self.emit("error", message=str(error))
            self._inventory_sent = self.clock.now()
        if not self._settled:
            await self._updater.settle()
            self._settled = True
        deployment = await self._server.next_deployment(self._updater.provides())
        if deployment:
            await self._updater.start(deployment)
            self._inventory_sent = None
            # A few in a row at most: a server that offers for ever does not get a busy board.
            if left > 1:
                await self._poll(left - 1)

    async def _report_inventory(self):
        sent = self._inventory_sent
        period = self.settings.inventory_poll_interval
        if sent is not None and self.clock.now() - sent < period:
            return
        attributes = {"instar_version": __version__}
        for more in (self.board.inventory(), self.inventory, self._updater.provides()):
            attributes.update(more)
        await self._server.report_inventory(attributes)
        self._inventory_sent = self.clock.now()
        self.emit("inventory")

    async def _watch(self):
        # The watchdog is fed only while the agent makes progress: a task that blocks the loop, or
        # an agent that waits for ever, ends in a reset.
        while True:
            if time.ticks_diff(time.ticks_ms(), self._beat) < _STALL_MS:
                self.board.feed()
            await asyncio.sleep_ms(_WATCH_MS)


def _mender(settings, board, beat):
    from .servers.mender import Mender

    return Mender(settings, settings.identity or board.identity(), feed=beat)
