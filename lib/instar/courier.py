# What an update exchanges with its server, and how often it is tried.
#
#   courier = Courier(host, server, note, provides)
#   await courier.fetch(deployment, reader)     # the Artifact, resumed where the link broke
#   await courier.tell(id, "installing")        # may get lost; only an abort matters
#   await courier.deliver(server.report, id, "success")     # until it is accepted
# SPDX-License-Identifier: MIT

import asyncio
import time

from micropython import const

from .errors import Aborted, Expired, Rejected, Transient
from .retry import Backoff, sleep

_SLICE = const(512)
_TURN_MS = const(20)
_FAR = const(65536)
_PATIENCE_S = const(600)

# What a radio or a full heap may do: worth another try as well.
SLIPS = (Transient, OSError, MemoryError)


class Courier:
    """host: see update.py. note(level, text) takes lines for the deployment's log. provides():
    what this board provides."""

    def __init__(self, host, server, note, provides):
        self._host = host
        self._server = server
        self._note = note
        self._provides = provides
        self._turn = 0  # when the others went on last

    def _backoff(self):
        settings = self._host.settings
        return Backoff(settings.retry_interval, settings.retry_interval_max)

    async def fetch(self, deployment, reader, offset=0, end=None):
        """Feed the Artifact to the reader, from byte `offset` on, up to `end` if that is given.

        Raises Transient after `download_tries` that did not come 64 KiB further, Aborted if the
        server no longer offers it."""
        backoff = self._backoff()
        far = offset  # where a try had come to when the tries were counted from
        while True:
            span = (offset,) if end is None else (offset, end)
            try:
                stream = await self._server.open(deployment, *span)
                try:
                    async for view in stream:
                        await self.take(reader, view)
                        offset += len(view)
                        self._progress(offset, len(view), stream.total)
                    return
                finally:
                    await stream.close()
                    stream = None  # its room is for the next one
            except Transient as error:
                if offset - far >= _FAR:
                    far = offset
                    backoff.reset()
                if backoff.tries + 1 >= self._host.settings.download_tries:
                    raise
                self._note("warning", f"download at byte {offset}: {error}")
                # Longer than that another host shall not keep a board from its update server.
                longest = max(self._host.settings.retry_interval_max, _PATIENCE_S)
                await sleep(min(backoff.delay(error), longest), self._host.beat)
                if isinstance(error, Expired):
                    await self._renew(deployment)

    async def _renew(self, deployment):
        try:
            await self._server.renew(deployment, self._provides())
        except Aborted:
            raise
        except (Transient, Rejected) as error:
            self._note("warning", f"another URL: {error}")

    async def take(self, reader, view):
        """Feed one view to the reader, and let the others go on meanwhile."""
        # A little that was packed well may be much to write, and a signature takes long.
        for at in range(0, len(view), _SLICE):
            for _ in reader.steps(view[at : at + _SLICE]):
                await self._breathe()
            if time.ticks_diff(time.ticks_ms(), self._turn) > _TURN_MS:
                await self._breathe()

    async def _breathe(self):
        self._host.beat()
        await asyncio.sleep_ms(0)
        self._turn = time.ticks_ms()

    def _progress(self, done, step, total):
        self._host.beat()
        # Fifty events for a whole download: enough for a bar, little for a serial line.
        if total and done * 50 // total != (done - step) * 50 // total:
            self._host.emit("progress", done=done, total=total)

    async def tell(self, deployment_id, status):
        """Report a step on the way. Raises Aborted; anything else only goes to the log."""
        try:
            await self.report(deployment_id, status)
        except Aborted:
            raise
        except (Transient, Rejected) as error:
            self._note("warning", f"status {status} was not accepted: {error}")

    async def report(self, deployment_id, status):
        """Report once; raises what the server's module raises."""
        await self._server.report(deployment_id, status)
        self._host.emit("report", status=status)

    async def deliver(self, send, *args):
        """Call `send` until the server takes it, for at most `report_timeout` seconds.

        A refusal is final: the server knows of no such deployment, or aborted it. Raises
        MemoryError: the agent counts those, and restarts a board whose heap stays full.
        """
        from .stopwatch import Stopwatch

        backoff = self._backoff()
        spent = Stopwatch()
        while True:
            try:
                await self._host.online()
                return await send(*args)
            except Rejected as error:
                return self._note("error", f"the server refuses the report: {error}")
            except (Transient, OSError) as error:
                if spent.seconds() > self._host.settings.report_timeout:
                    return self._note("error", f"the report was not accepted: {error}")
                self._host.emit("error", message=f"report: {error!r}")
                await sleep(backoff.delay(error), self._host.beat)
