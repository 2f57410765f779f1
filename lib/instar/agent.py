# The agent: bootstrap, authorise, report inventory, poll, update, report; and publish what the
# application measured. Beside the user's own tasks.
#
#   agent = Agent(settings, board, on_event=print)   # {"event": "state", "state": "download"}
#   agent.health = is_my_sensor_alive   # True: healthy; False: not yet; an exception: roll back
#   asyncio.run(agent.run())
#   agent.publish("temperature", 23.5, "Cel")
#
# Events: authorised, pending, inventory, deployment (id, artifact_name), state (state),
# progress (done, total), report (status), error (message), retry (seconds), idle (seconds);
# bootstrap.py and publisher.py have more.
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
from .retry import Backoff, Stopwatch, sleep
from .update import Updater

_STALL_MS = const(180000)  # longer than any wait that is allowed to happen
_WATCH_MS = const(1000)
_IN_A_ROW = const(3)
_NAP_S = const(60)
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
        self._bootstrapper = _bootstrapper(self, settings)
        self._publisher = _publisher(self) if settings.store.names("out-") else None
        self._updater = Updater(self, self._server, installers)
        self._backoff = Backoff(settings.retry_interval, settings.retry_interval_max)
        self._wake = asyncio.Event()
        self._turn_wanted = False
        self._beat = time.ticks_ms()
        self._inventory_sent = None
        self._settled = False
        self._updater.restore()

    # ---- what the application uses

    async def run(self):
        """Never returns."""
        watch = asyncio.create_task(self._watch())
        if self.settings.problem:
            self.emit("error", message=self.settings.problem)
        try:
            while True:
                await self._turn()
        finally:
            watch.cancel()

    def poll_now(self):
        """Ask the server at once instead of at the next interval."""
        self._turn_wanted = True
        self._wake.set()

    def rebootstrap(self):
        """Ask the Bootstrap service for a new configuration; a new one resets the board."""
        if not self._bootstrapper:
            raise Rejected("rebootstrap: expected a setting bootstrap_url, got none")
        self._bootstrapper.ask()
        self.poll_now()

    def publish(self, name, value, unit="", **options):
        """Queue a measurement for Magistrala: a number, str, bool or bytes. It is sent when there
        is a network, and kept over an outage and a reboot. See publisher.py for the options and
        the errors."""
        if not self._publisher:
            self._publisher = _publisher(self)
        self._publisher.publish(name, value, unit, **options)
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

    def leaving(self):
        """A reset follows: what waits in RAM goes to the flash."""
        if self._publisher:
            self._publisher.save()

    def worked(self, source):
        """`source`, a server, accepted this board."""
        if self._bootstrapper:
            self._bootstrapper.worked(source)

    def failed(self, source, error):
        """`source` refused this board, or was not reached."""
        if self._bootstrapper:
            self._bootstrapper.failed(source, error)

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
            await self._configure()
            await self._poll()
        except Transient as error:
            self.emit(
                "pending" if isinstance(error, Unauthorised) else "error", message=str(error)
            )
            self.failed("mender", error)
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
            wait = self.settings.update_poll_interval
            self.emit("idle", seconds=wait)
            return await self._rest(wait)
        self.emit("retry", seconds=wait)
        await self._rest(wait)

    async def _rest(self, seconds):
        """Until the next turn; what the application publishes is sent meanwhile."""
        watch = Stopwatch()
        bootstrapper = self._bootstrapper
        while not self._turn_wanted and (left := seconds - watch.seconds()) > 0:
            if self._publisher:
                await self._deliver()
            if bootstrapper and (bootstrapper.due or bootstrapper.overdue):
                break
            await sleep(min(left, _NAP_S), self.beat, self._wake)
        self._turn_wanted = False

    async def _deliver(self):
        self._publisher.tick()
        if not self._publisher.due:
            return
        if self._server and self.settings.max_connections == 1:
            await self._server.close()
        await self._publisher.deliver()

    async def _configure(self):
        """Have a configuration: a new one that does not work goes, one that is due is asked for.
        Raises Transient where there is none yet."""
        bootstrapper = self._bootstrapper
        if not bootstrapper:
            return
        if bootstrapper.overdue:
            bootstrapper.drop()
        if bootstrapper.due:
            await self.online()
            await self._give_way()
            await bootstrapper.attempt()
        if not self._server and not self.settings.configured:
            raise Transient("no configuration yet", bootstrapper.wait)

    async def _give_way(self):
        # The TLS connections of one server's client go before another's are made.
        if self._publisher and self.settings.max_connections == 1:
            await self._publisher.close()

    async def _poll(self, left=_IN_A_ROW):
        await self.online()
        if not self._server:
            return await self._without_server()
        await self._give_way()
        await self._server.authorise()
        self.emit("authorised")
        self.worked("mender")
        try:
            await self._report_inventory()
        except Rejected as error:
            # A value that no server takes must not keep a mended application away.
            self.emit("error", message=str(error))
            self._inventory_sent = self.clock.now()
        await self._settle()
        deployment = await self._server.next_deployment(self._updater.provides())
        if deployment:
            await self._updater.start(deployment)
            self._inventory_sent = None
            # A few in a row at most: a server that offers for ever does not get a busy board.
            if left > 1:
                await self._poll(left - 1)

    async def _settle(self):
        if not self._settled:
            await self._updater.settle()
            self._settled = True

    async def _without_server(self):
        """No server gives updates: a board that only publishes."""
        if not self.settings.magistrala_url:
            raise Rejected("settings: expected mender_url, magistrala_url or bootstrap_url")
        await self._settle()
        if not self._publisher or not self._publisher.waiting:
            self.worked("network")

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
    if not settings.mender_url:
        return None
    from .servers.mender import Mender

    return Mender(settings, settings.identity or board.identity(), feed=beat)


def _bootstrapper(host, settings):
    if not settings.bootstrap_url:
        return None
    from .bootstrap import Bootstrapper

    return Bootstrapper(host)


def _publisher(host):
    from .publisher import Publisher

    return Publisher(host)
