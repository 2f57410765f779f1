# What the parts of an agent ask of it: the board, the settings, the clock, a network, one HTTP
# client for all servers; and where they tell what happens.
#
#   class Agent(Host): ...
#   host.emit("state", state="download"); host.beat(); await host.online()
# SPDX-License-Identifier: MIT

import asyncio
import sys
import time

from micropython import const

from .clock import Clock
from .errors import InstarError, Transient

_WATCH_MS = const(1000)
# Between two signs of progress: a connection with its handshake (http: 45 s), what a queue may
# take (outbox.py: 20 s), and, each as long as the settings allow, the four answers of one turn.
_REACH_S = const(90)
_ANSWERS = const(4)


class Host:
    """settings: Settings with its store; board: the board's own module; on_event: called with a
    dict for each event. health, inventory: the application's check, and its own attributes."""

    def __init__(self, settings, board, on_event):
        self.settings = settings
        self.board = board
        told = settings.murano_url and settings.murano_time
        self.clock = Clock(board, settings.ntp_host, settings.ntp_port, told)
        self.on_event = on_event
        self.health = None
        self.inventory = {}
        self.publisher = self.recorder = self.murano = None
        self._client = None
        self.ask_time = None  # an async callable that says what time it is: see clock.py
        self._beat = time.ticks_ms()

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

    def feed(self):
        """Feeds the watchdog while the agent itself makes progress. For what the application may
        use, too: that must not hide a hanging agent."""
        limit_ms = (_REACH_S + _ANSWERS * self.settings.http_timeout) * 1000
        if time.ticks_diff(time.ticks_ms(), self._beat) < limit_ms:
            self.board.feed()

    def leaving(self):
        """A reset follows: what waits in RAM goes to the flash."""
        for sender in (self.publisher, self.recorder):
            if sender:
                sender.save()

    def client(self):
        """The HTTP client of all servers. Raises Rejected for certificates that are none."""
        if not self._client:
            from .servers import connect

            self._client = connect(self.settings, self.feed, self.settings.allow_plain_http)
        return self._client

    async def disconnect(self):
        """Close every connection; the next request makes another."""
        if self._client:
            await self._client.close()

    async def online(self):
        """Join the network and have a clock. Raises Transient if the network cannot be joined."""
        await self.board.connect()
        self.beat()
        try:
            await self.clock.sync(self.beat, self.ask_time)
        except (InstarError, OSError) as error:  # TLS will tell if the clock is too wrong
            self.emit("error", message=str(error))

    async def healthy(self):
        """Raises Transient while the application's health check does not pass yet."""
        if self.health is None:
            return
        verdict = self.health()
        if hasattr(verdict, "send"):
            verdict = await verdict  # pyright: ignore[reportGeneralTypeIssues]
        if not verdict:
            raise Transient("the application's health check does not pass")

    async def _watch(self):
        # The watchdog is fed only while the agent makes progress: a task that blocks the loop, or
        # an agent that waits for ever, ends in a reset.
        while True:
            self.feed()
            await asyncio.sleep_ms(_WATCH_MS)
