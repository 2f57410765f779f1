# The application's messages on their way to Magistrala: made into SenML, queued, sent when there
# is a network.
#
#   publisher = Publisher(host)
#   publisher.publish("temperature", 23.5, "Cel")     # queued, at once
#   await publisher.deliver()                         # sends what waits; returns an error or None
#
# host offers: settings, publishes, clock, emit(event, **info), online(), client(). Events:
# published (records), error.
# A message arrives at least once: one whose answer was lost, or that a power cut met between its
# sending and the flash, is sent again with the same time stamp.
# SPDX-License-Identifier: MIT

from . import memory
from .errors import InstarError, Rejected, Transient
from .outbox import Outbox
from .retry import Backoff
from .stopwatch import Stopwatch


class Publisher:
    """One board's messages, kept in the store's outbox over an outage and a reboot."""

    server = "magistrala"

    def __init__(self, host):
        settings = host.settings
        self._host = host
        self._outbox = Outbox(
            settings.store, settings.outbox_size, settings.outbox_save_interval, self._note
        )
        self._backoff = Backoff(settings.retry_interval, settings.retry_interval_max)
        self._uptime = Stopwatch()
        self._next = 0  # seconds of uptime: nothing is sent before
        self._taken = self._refusal = None

    def _note(self, level, text):
        self._host.emit("error", message=text)

    def publish(self, name, value, unit="", channel="", subtopic="", time_us=None):
        """Queue one SenML record (RFC 8428): a number, str, bool or bytes under a name.

        channel: id, name or type of one of `magistrala_channels`; "": the one of type "data", else
        the first. time_us: microseconds since 1970; None: now, if the clock was set. Raises
        Rejected for what SenML does not have, and where host.publishes is false.
        """
        from .senml import record

        if not self._host.publishes:
            raise Rejected("publish: expected magistrala_url and magistrala_secret, got none")
        if time_us is None:
            time_us = self._host.clock.stamp_us()
        # Which channel that is may be known only after the board was configured.
        text = record(name, value, unit, time_us)
        try:
            self._outbox.put(f"{channel}\n{subtopic}", text)
        except MemoryError as error:  # costs this record, not the application
            self._note("error", f"publish: {name} is lost: {error}")

    @property
    def waiting(self):
        """Whether something waits."""
        return self._outbox.waiting

    @property
    def wait(self):
        """Seconds until deliver() should be called, 0: now. None: nothing is there to be sent."""
        settings = self._host.settings
        if not self.waiting or not settings.magistrala_url or not settings.magistrala_secret:
            return None
        return max(0, self._next - self._uptime.seconds())

    async def deliver(self):
        """Send what waits, oldest first. Returns None if the server took something; else the
        error that ended it, or the server's refusal. An error is told, and delays the next try.
        """
        self._taken = self._refusal = None
        try:
            await self._host.online()
            await self._send_all()
        except (InstarError, OSError, MemoryError) as error:
            self._host.emit("error", message=f"publish: {str(error) or repr(error)}")
            if self._taken:
                self._backoff.reset()
            self._next = self._uptime.seconds() + self._backoff.delay(error)
            self._refusal = error
        else:
            self._backoff.reset()
        finally:
            memory.forget("instar.servers.magistrala")
        return None if self._taken else self._refusal

    async def _send_all(self):
        from .servers.magistrala.messages import Messages

        messages = Messages(self._host.settings, self._host.client())

        async def send(topic, records):
            channel, _, subtopic = topic.partition("\n")
            try:
                where = messages.channel(channel)
                await messages.send(f"{where}/{subtopic}" if subtopic else where, records)
            except Rejected as error:
                # The one to blame may be a configuration that is on trial, not the message.
                if self._host.settings.on_trial:
                    raise Transient(str(error))
                self._refusal = error
                raise
            self._taken = True
            self._host.emit("published", records=len(records))

        await self._outbox.drain(send)

    def tick(self):
        """Once a minute: what has waited long goes to the flash."""
        self._outbox.tick()

    def save(self):
        """A reset follows: what waits goes to the flash."""
        self._outbox.save()
