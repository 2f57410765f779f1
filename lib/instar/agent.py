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

from .clock import Clock
from .errors import Rejected, Transient
from .turns import Turns
from .update import Updater

_STALL_MS = const(180000)  # longer than any wait that is allowed to happen
_WATCH_MS = const(1000)


class Agent(Turns):
    """One board's agent. settings: Settings with its store; board: the board's own module.

    Reads the journal at once. Raises Broken if the store is damaged. server, updater,
    bootstrapper and publisher are for turns.py; the last two are None where they are not needed.
    """

    def __init__(self, settings, board, server=None, installers=None, on_event=None):
        super().__init__(settings)
        self.board = board
        self.clock = Clock(board, settings.ntp_host, settings.ntp_port)
        self.on_event = on_event
        self.health = None
        self.inventory = {}  # the application's own attributes
        self._client = None
        self.server = server
        self._join()
        self.updater = Updater(self, self.server, installers)
        self._beat = time.ticks_ms()
        self.updater.restore()

    # ---- what the application uses

    async def run(self):
        """Never returns."""
        watch = asyncio.create_task(self._watch())
        if self.settings.problem:
            self.emit("error", message=self.settings.problem)
        try:
            while True:
                await self.turn()
        finally:
            watch.cancel()

    def poll_now(self):
        """Ask the server at once instead of at the next interval."""
        self._wanted = True
        self._wake.set()

    def rebootstrap(self):
        """Ask the Bootstrap service for a new configuration; a new one resets the board."""
        if not self.bootstrapper:
            raise Rejected("rebootstrap: expected a setting bootstrap_url, got none")
        self.bootstrapper.ask()
        self.poll_now()

    @property
    def publishes(self):
        """Whether publish() takes anything: a server for it is configured, or may be yet."""
        settings = self.settings
        if settings.magistrala_url and settings.magistrala_secret:
            return True
        return bool(settings.bootstrap_url and not settings.configured)

    def publish(self, name, value, unit="", **options):
        """Queue a measurement for Magistrala: a number, str, bool or bytes. It is sent when there
        is a network, and kept over an outage and a reboot. See publisher.py for the options.

        Raises Rejected for what cannot be sent, and where `publishes` is false."""
        if not self.publishes:
            raise Rejected("publish: expected magistrala_url and magistrala_secret, got none")
        if not self.publisher:
            self._make_publisher()
        self.publisher.publish(name, value, unit, **options)
        self._wake.set()

    def crashed(self, error):
        """The application raised. New software on trial goes back; proven software goes on with
        the agent alone, so that a mended application can arrive."""
        text = io.StringIO()
        sys.print_exception(error, text)  # pyright: ignore[reportArgumentType]
        trace = text.getvalue()  # pyright: ignore[reportAttributeAccessIssue]
        self.updater.crashed(f"application: {trace}")
        if self.updater.unproven:
            self.leaving()
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
        if self.publisher:
            self.publisher.save()

    def client(self):
        """The HTTP client of all servers. Raises Rejected for certificates that are none."""
        if not self._client:
            from .servers import connect

            self._client = connect(self.settings, self.beat)
        return self._client

    async def disconnect(self):
        """Close every connection; the next request makes another."""
        if self._client:
            await self._client.close()

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

    def _join(self):
        # Only what the settings ask for is imported.
        settings = self.settings
        if settings.mender_url and not self.server:
            from .servers.mender import Mender

            identity = settings.identity or self.board.identity()
            self.server = Mender(settings, identity, self.client(), feed=self.beat)
        if settings.bootstrap_url:
            from .bootstrap import Bootstrapper

            self.bootstrapper = Bootstrapper(self)
        if settings.store.names("out-"):  # of an earlier start
            self._make_publisher()

    def _make_publisher(self):
        from .publisher import Publisher

        self.publisher = Publisher(self)

    async def _watch(self):
        # The watchdog is fed only while the agent makes progress: a task that blocks the loop, or
        # an agent that waits for ever, ends in a reset.
        while True:
            if time.ticks_diff(time.ticks_ms(), self._beat) < _STALL_MS:
                self.board.feed()
            await asyncio.sleep_ms(_WATCH_MS)
