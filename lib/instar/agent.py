# The agent: bootstrap, authorise, report inventory, poll, update, report; and send what the
# application measured, and watch for what it waits for. Beside the user's own tasks.
#
#   agent = Agent(settings, board, on_event=print)   # {"event": "state", "state": "download"}
#   agent.health = is_my_sensor_alive   # True: healthy; False: not yet; an exception: roll back
#   asyncio.run(agent.run())
#   agent.publish("temperature", 23.5, "Cel")          # to Magistrala
#   agent.record("temperature", 23.5)                  # to Murano, with the time it is now
#   agent.watch("thermostat", set_temperature)         # at Murano
#   await agent.murano.write({"state": "on"})          # at once; see servers/murano/__init__.py
#
# Events: authorised, pending, inventory, deployment (id, artifact_name), state (state),
# progress (done, total), report (status), error (message), retry (seconds), idle (seconds);
# bootstrap.py, publisher.py and recorder.py have more.
# board: see docs/porting.md; boards/ESP32_GENERIC/board.py is one.
# SPDX-License-Identifier: MIT

import asyncio
import time

from micropython import const

from . import memory
from .errors import InstarError, Rejected, Transient, Unauthorised, Untrusted
from .host import Host
from .retry import Backoff, sleep
from .update import Updater

_IN_A_ROW = const(3)
_NAP_S = const(60)
_FULL_HEAPS = const(3)  # in a row


class Agent(Host):
    """One board's agent. settings: Settings with its store; board: the board's own module.

    Reads the journal at once. Raises Broken if the store is damaged.
    """

    def __init__(self, settings, board, server=None, installers=None, on_event=None):
        super().__init__(settings, board, on_event)
        self._backoff = Backoff(settings.retry_interval, settings.retry_interval_max)
        self._wake = asyncio.Event()
        self._wanted = False
        self._inventory_sent = None
        self._settled = self._worked = False
        self._server = server
        self._bootstrapper = self._watcher = None
        self.resting = asyncio.Event()
        self._tasks = []  # beside run()
        self._part("join")
        self._updater = Updater(self, self._server, installers)
        self._updater.restore()

    def _part(self, name, *args):
        # What is rarely done is imported for it, and unloaded again.
        from . import parts

        try:
            return getattr(parts, name)(self, *args)
        finally:
            memory.forget("instar.parts")

    # ---- what the application uses

    async def run(self):
        """Never returns."""
        self._tasks.append(asyncio.create_task(self._watch()))
        if self.settings.problem:
            self.emit("error", message=self.settings.problem)
        try:
            while True:
                await self._turn()
        finally:
            while self._tasks:
                self._tasks.pop().cancel()

    def poll_now(self):
        """Ask the server at once instead of at the next interval."""
        self._wanted = True
        self._wake.set()

    def rebootstrap(self):
        """Ask the Bootstrap service for a new configuration; a new one resets the board."""
        self._part("rebootstrap")

    @property
    def publishes(self):
        """Whether publish() takes anything: a server for it is configured, or may be yet."""
        settings = self.settings
        if settings.magistrala_url and settings.magistrala_secret:
            return True
        if not settings.bootstrap_url or settings.configured:
            return False
        try:
            if not self.publisher:
                self._part("make_publisher")
        except Rejected:  # this instar comes without
            return False
        return True

    def publish(self, name, value, unit="", **options):
        """Queue a measurement for Magistrala: a number, str, bool or bytes. It is sent when there
        is a network, and kept over an outage and a reboot. See publisher.py for the options.

        Raises Rejected for what cannot be sent, and where `publishes` is false."""
        if not self.publisher:
            self._part("make_publisher")
        self.publisher.publish(  # pyright: ignore[reportAttributeAccessIssue]
            name, value, unit, **options
        )
        self._wake.set()

    def record(self, alias, value, time_us=None):
        """Queue a value of the resource `alias` for Murano, with the time it is now: see
        recorder.py. Sent when there is a network, and kept over an outage and a reboot.

        Raises Rejected for a value that is none, and where Murano is not configured."""
        if not self.recorder:
            self._part("make_recorder")
        self.recorder.record(  # pyright: ignore[reportAttributeAccessIssue, reportOptionalMemberAccess]
            alias, value, time_us
        )
        self._wake.set()

    def watch(self, alias, callback, initial=True):
        """callback(value), plain or async, for each value (str) that Murano's resource `alias`
        gets; with `initial` for the one that it has, too. Raises Rejected where Murano is not
        configured."""
        if not self._watcher:
            self._part("make_watcher")
        self._watcher.add(  # pyright: ignore[reportAttributeAccessIssue, reportOptionalMemberAccess]
            alias, callback, initial
        )

    def crashed(self, error):
        """The application raised. New software on trial goes back; proven software goes on with
        the agent alone, so that a mended application can arrive."""
        self._part("crashed", error)

    # ---- one turn after another

    async def _turn(self):
        """One turn, and the rest after it."""
        self._worked = self._updater.active
        try:
            if self._updater.active and self._server:
                await self._updater.run()
            if self._bootstrapper:
                await self._bootstrapper.step()  # pyright: ignore[reportGeneralTypeIssues]
            await self._poll()
            await self._deliver()
        except Transient as error:
            refused = isinstance(error, Unauthorised)
            self.emit("pending" if refused else "error", message=str(error))
            if self._server:  # else it was the network, or the Bootstrap service
                self._heard(self.settings.update_server, error)
            if isinstance(error, Untrusted):
                self.clock.doubt()
            wait = self._backoff.delay(error)
            if self._worked:  # no server gets updates out of a board faster than it polls
                wait = max(wait, self.settings.update_poll_interval)
        except MemoryError as error:
            self.emit("error", message=str(error))
            wait = self._backoff.delay()
            if self._backoff.tries > _FULL_HEAPS:
                self.leaving()
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
        if self._bootstrapper:
            self._bootstrapper.heard(source, error)

    def _offered(self, offer):
        # Written anew, it counts anew.
        if not self._watcher.first:  # pyright: ignore[reportAttributeAccessIssue]
            self._server.renewed()  # pyright: ignore[reportOptionalMemberAccess]
        self.poll_now()

    async def _rest(self, seconds):
        if self._watcher and len(self._tasks) == 1:
            self._tasks.append(asyncio.create_task(self._watcher.run()))
        self.resting.set()
        bootstrapper = self._bootstrapper
        left = int(seconds * 1000)
        while not self._wanted and left > 0:
            began = time.ticks_ms()
            nap = await self._deliver()
            await sleep(min(left / 1000, nap), self.beat, self._wake)
            left -= time.ticks_diff(time.ticks_ms(), began)
            if bootstrapper and bootstrapper.due:
                break
        self._wanted = False
        self.resting.clear()

    async def _deliver(self):
        # Returns for how many seconds nothing can be done.
        nap = _NAP_S
        for sender in (self.publisher, self.recorder):
            if sender:
                sender.tick()
                if sender.wait == 0:
                    error = await sender.deliver()  # pyright: ignore[reportGeneralTypeIssues]
                    self._heard(sender.server, error)
                nap = min(nap, sender.wait or nap)
        return nap

    async def _poll(self, left=_IN_A_ROW):
        await self.online()
        if not self._server:
            await self._settle()
            return self._part("go_without")
        await self._server.authorise()
        self.emit("authorised")
        await self._report_inventory()
        await self._settle()
        deployment = await self._server.next_deployment(self._updater.provides())
        self._heard(self.settings.update_server)  # not before: a token may be an old one
        if deployment:
            self._worked = True
            await self._updater.start(deployment)
            self._inventory_sent = None
            # A few in a row at most: a server that offers for ever does not get a busy board.
            if left > 1:
                await self._poll(left - 1)

    async def _settle(self):
        """The server was reached, or there is none: what runs on trial is judged, once."""
        if not self._settled:
            await self._updater.settle()
            self._settled = True

    async def _report_inventory(self):
        sent = self._inventory_sent
        if sent is None or self.clock.now() - sent >= self.settings.inventory_poll_interval:
            await self._part("report_inventory")
            self._inventory_sent = self.clock.now()
