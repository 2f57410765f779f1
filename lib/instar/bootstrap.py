# When the board asks the Bootstrap service for its configuration, and what becomes of the answer.
#
#   bootstrapper = Bootstrapper(host)
#   await bootstrapper.step()               # asks if it is time; resets the board if that is new
#   bootstrapper.heard("mender", error)     # what is configured does not work
#   bootstrapper.heard("mender")            # it does: a new configuration is kept for good
#
# host offers: board, settings, emit(event, **info), beat(), online(), disconnect(), leaving() (a
# reset follows). Events: bootstrap (state: asked, taken, unchanged, stopped), configuration
# (state: proven, dropped).
# Limits: never to be asked while an update is open or on trial.
# SPDX-License-Identifier: MIT

from . import memory
from .errors import InstarError, Transient, Unauthorised
from .retry import Backoff
from .stopwatch import Stopwatch


class Bootstrapper:
    """Made once per start. A board without a configuration is due at once; one that has one, when
    it was asked to, or when what is configured refuses it or is silent for as long as the settings
    say (`bootstrap_after_refusals`, `bootstrap_after_silence`)."""

    def __init__(self, host):
        settings = host.settings
        slow = settings.bootstrap_slow_interval
        self._host = host
        self._fast = Backoff(settings.retry_interval, settings.retry_interval_max)
        self._slow = Backoff(slow, slow)
        self._uptime = Stopwatch()
        # Seconds of uptime: no attempt before. One that was just dropped is likely to come again.
        self._next = self._slow.delay() if settings.problem else 0
        self._asked = False
        self._stopped = False
        self._refusals = {}  # who refused the board -> how often in a row
        self._silent = {}  # who was not reached -> since which second of uptime

    def ask(self):
        """Somebody wants a new configuration: now, also after the service refused for good."""
        self._asked = True
        self._stopped = False
        self._next = 0

    @property
    def due(self):
        """Whether step() has something to do."""
        if self._overdue:
            return True
        if self._stopped or self.wait:
            return False
        if self._asked or self._host.settings.on_trial:  # a trial has its own time
            return self._asked
        return not self._host.settings.configured or self._in_need

    @property
    def wait(self):
        """Seconds until another attempt may be made; a day if the service refused for good."""
        return 86400 if self._stopped else max(0, self._next - self._uptime.seconds())

    @property
    def _in_need(self):
        settings = self._host.settings
        now = self._uptime.seconds()
        if any(n >= settings.bootstrap_after_refusals for n in self._refusals.values()):
            return True
        limit = settings.bootstrap_after_silence
        return any(now - since >= limit for since in self._silent.values())

    async def step(self):
        """What has to be done now. Raises Transient if the board cannot go on without."""
        host = self._host
        if self._overdue:
            self._drop()
        if self.due:
            await self._attempt()
        if not host.settings.configured and not host.settings.update_server:
            raise Transient("no configuration yet", self.wait)

    # ---- what is configured works, or does not

    def heard(self, source, error=None):
        """`source`, a server, accepted this board, or refused it (Unauthorised), or was not
        reached (any other error). The first success proves a new configuration."""
        settings = self._host.settings
        if error and not isinstance(error, Unauthorised):
            self._silent.setdefault(source, self._uptime.seconds())
            return
        self._silent.pop(source, None)
        if error:
            self._refusals[source] = self._refusals.get(source, 0) + 1
            return
        self._refusals.pop(source, None)
        # What a board is for comes first: where updates are configured, they have to work.
        updates = settings.update_server
        if settings.on_trial and (source == updates or not updates):
            self._prove()

    @property
    def _overdue(self):
        # Whether a new configuration had its time and nothing worked with it.
        settings = self._host.settings
        return settings.on_trial and self._uptime.seconds() >= settings.configuration_timeout

    # ---- what is rarely done, and has a module of its own for it

    async def _attempt(self):
        # Ask once. A new configuration resets the board; errors only set when to ask again.
        wait = 0
        asked, self._asked = self._asked, False
        try:
            await self._host.online()
            await self._host.disconnect()  # the Bootstrap service has a client of its own
            from .fetching import fetch

            self._stopped = not await fetch(self._host)
        except (InstarError, OSError, MemoryError) as error:
            self._host.emit("error", message=f"bootstrap: {str(error) or repr(error)}")
            # 401, 403, 404, wrong content: an operator has to do something first. The rest mends
            # itself.
            mends = isinstance(error, (Transient, OSError, MemoryError))
            slow = not mends or isinstance(error, Unauthorised)
            wait = (self._slow if slow else self._fast).delay(error)
            self._asked = asked
        else:
            self._fast.reset()
            self._refusals = {}
            self._silent = {}
        finally:
            self._forget()
        self._next = self._uptime.seconds() + wait

    def _prove(self):
        try:
            from .fetching import prove

            prove(self._host)
        except MemoryError as error:  # the next success tries again
            self._host.emit("error", message=f"configuration: {error}")
        self._forget()

    def _drop(self):
        from .fetching import drop

        drop(self._host)
        self._forget()

    def _forget(self):
        names = ("fetching", "servers.magistrala", "configuration", "certificates", "crypto")
        for name in names:
            memory.forget("instar." + name)
        memory.restore()
