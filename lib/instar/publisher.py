# The application's messages on their way to Magistrala: made into SenML, queued, sent when there
# is a network.
#
#   publisher = Publisher(host)
#   publisher.publish("temperature", 23.5, "Cel")     # queued, at once
#   await publisher.deliver()                         # sends what waits; see sender.py
#
# host offers: settings, publishes, clock, emit(event, **info), online(), client(). Events:
# published (records), error.
# A message arrives at least once: one whose answer was lost, or that a power cut met between its
# sending and the flash, is sent again with the same time stamp.
# SPDX-License-Identifier: MIT

from .errors import Rejected
from .sender import Sender


class Publisher(Sender):
    """One board's messages, kept in the store's outbox over an outage and a reboot."""

    server = "magistrala"
    _word = "publish"
    _prefix = "out-"
    _needs = ("magistrala_url", "magistrala_secret")
    _ordered = False
    _unload = "instar.servers.magistrala"

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
        text = record(name, value, unit, time_us)
        # Which channel that is may be known only after the board was configured.
        try:
            self._outbox.put(f"{channel}\n{subtopic}", text)
        except MemoryError as error:  # costs this record, not the application
            self._note("error", f"publish: {name} is lost: {error}")

    async def _send(self, topic, bodies):
        from .servers.magistrala.messages import Messages

        messages = Messages(self._host.settings, self._host.client())
        channel, _, subtopic = topic.partition("\n")
        where = messages.channel(channel)
        await messages.send(f"{where}/{subtopic}" if subtopic else where, bodies)
        self._host.emit("published", records=len(bodies))
        return True
