# What the application measured on its way to a server: queued, sent when there is a network, kept
# over an outage and a reboot. publisher.py and recorder.py say to whom and in which form.
#
#   class Publisher(Sender): ...             # see there
#   sender.tick()                            # once a minute
#   if sender.wait == 0:
#       error = await sender.deliver()
#
# host offers: settings, emit(event, **info), online(), client(). Events: error.
# SPDX-License-Identifier: MIT

from . import memory
from .errors import InstarError, Rejected, Transient
from .outbox import Outbox
from .retry import Backoff
from .stopwatch import Stopwatch


class Sender:
    """One queue of a board, in the store's outbox.

    A subclass has _send(topic, bodies), which sends one batch, emits what came of it and returns
    whether the server took something, or raises as drain()'s send does (outbox.py); and these:
    """

    server: str  # the protocol's name
    _word: str  # what error messages begin with
    _prefix: str  # of the records' names in the store
    _ordered: bool  # whether no batch may overtake another
    _needs: tuple  # the settings without which nothing can be sent
    _unload: str  # the package that is imported for sending and nothing else, or ""

    def __init__(self, host):
        settings = host.settings
        self._host = host
        self._outbox = Outbox(
            settings.store,
            settings.outbox_size,
            settings.outbox_save_interval,
            self._note,
            self._prefix,
            self._ordered,
        )
        self._backoff = Backoff(settings.retry_interval, settings.retry_interval_max)
        self._uptime = Stopwatch()
        self._next = 0  # seconds of uptime: nothing is sent before
        self._taken = self._refusal = None

    def _note(self, level, text):
        self._host.emit("error", message=text)

    @property
    def waiting(self):
        """Whether something waits."""
        return self._outbox.waiting

    @property
    def wait(self):
        """Seconds until deliver() should be called, 0: now. None: nothing is there to be sent."""
        settings = self._host.settings
        if not self.waiting or not all(getattr(settings, name) for name in self._needs):
            return None
        return max(0, self._next - self._uptime.seconds())

    async def deliver(self):
        """Send what waits, oldest first. Returns None if the server took something; else the
        error that ended it, or the server's refusal. An error is told, and delays the next try.
        """
        self._taken = self._refusal = None
        try:
            await self._host.online()
            self._host.client()  # certificates that are none are no fault of a message's
            await self._outbox.drain(self._hand_over)
        except (InstarError, OSError, MemoryError) as error:
            text = str(error) or repr(error)
            begin = f"{self._word}: "
            self._note("error", text if text.startswith(begin) else begin + text)
            if self._taken:
                self._backoff.reset()
            self._next = self._uptime.seconds() + self._backoff.delay(error)
            self._refusal = error
        else:
            self._backoff.reset()
        finally:
            if self._unload:
                memory.forget(self._unload)
        return None if self._taken else self._refusal

    async def _hand_over(self, topic, bodies):
        try:
            taken = await self._send(  # pyright: ignore[reportAttributeAccessIssue]
                topic, bodies
            )
        except Rejected as error:
            # The one to blame may be a configuration that is on trial, not the message.
            if self._host.settings.on_trial:
                raise Transient(str(error))
            self._refusal = error
            raise
        self._taken = self._taken or taken

    def tick(self):
        """Once a minute: what has waited long goes to the flash."""
        self._outbox.tick()

    def save(self):
        """A reset follows: what waits goes to the flash."""
        self._outbox.save()
