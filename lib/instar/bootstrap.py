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
from .errors import Broken, Rejected, Transient, Unauthorised
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
        self._next = 0  # seconds of uptime: no attempt before
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
            await host.online()
            await host.disconnect()  # the Bootstrap service has a client of its own
            await self._attempt()
        if not host.settings.configured and not host.settings.mender_url:
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
        if settings.on_trial and (source == "mender" or not settings.mender_url):
            self._prove(settings)

    def _prove(self, settings):
        from .configuration import prove

        try:
            prove(settings.store)
        except (OSError, Broken) as error:  # the next success tries again
            return self._host.emit("error", message=f"configuration: {error}")
        finally:
            memory.forget("instar.configuration")
        settings.on_trial = False
        self._host.emit("configuration", state="proven", digest=settings.digest)

    @property
    def _overdue(self):
        # Whether a new configuration had its time and nothing worked with it.
        settings = self._host.settings
        return settings.on_trial and self._uptime.seconds() >= settings.configuration_timeout

    def _drop(self):
        # Back to the configuration before, or to what the factory gave.
        from .configuration import drop

        settings = self._host.settings
        drop(settings.store, f"nothing worked within {settings.configuration_timeout} s")
        self._host.emit("configuration", state="dropped", digest=settings.digest)
        self._restart()

    def _restart(self):
        self._host.leaving()
        self._host.board.reset()

    # ---- asking

    async def _attempt(self):
        # Ask once. Takes a new configuration by a reset; errors only set when to ask again.
        self._host.emit("bootstrap", state="asked")
        wait = 0
        try:
            taken = await self._fetch()
        except (Transient, OSError, MemoryError) as error:
            # 401, 403, 404: an operator has to do something first. All else may mend itself.
            slow = isinstance(error, Unauthorised)
            wait = self._told(error, self._slow if slow else self._fast)
        except (Rejected, Broken) as error:
            wait = self._told(error, self._slow)
        else:
            self._done(taken)
        finally:
            for name in ("servers.magistrala", "configuration", "certificates", "crypto"):
                memory.forget("instar." + name)
            memory.restore()
        self._next = self._uptime.seconds() + wait

    async def _fetch(self):
        memory.release(memory.FULL_WINDOW)  # nothing is inflated now, and the answer is large
        return self._take(await self._answer())

    async def _answer(self):
        from .servers.magistrala.bootstrap import BadRequest, bootstrap

        host = self._host
        identity = host.settings.identity or host.board.identity()
        external_id = host.settings.external_id or identity.get("mac", "")
        try:
            return await bootstrap(host.settings, external_id, feed=host.beat)
        except BadRequest:
            self._stopped = True  # until ask(), or the next start
            host.emit("bootstrap", state="stopped")
            raise

    def _take(self, answer):
        memory.forget("instar.servers.magistrala")
        from .configuration import take

        return take(self._host.settings, answer)

    def _told(self, error, backoff):
        self._host.emit("error", message=f"bootstrap: {str(error) or repr(error)}")
        return backoff.delay(error)

    def _done(self, taken):
        self._asked = False
        self._refusals = {}
        self._silent = {}
        self._fast.reset()
        self._host.emit("bootstrap", state="taken" if taken else "unchanged")
        if taken:
            self._restart()
