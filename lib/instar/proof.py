# What new software has to show before it is kept, and by when.
#
#   proof = Proof(host, server, courier, note, began)
#   await proof.of(deployment_id)       # returns once it is proven; Broken if that takes too long
# SPDX-License-Identifier: MIT

import asyncio
import time

from . import memory
from .courier import SLIPS
from .errors import Broken, Transient
from .retry import Backoff, sleep


class Proof:
    """host: see update.py. began: time.ticks_ms() when the software that has to prove itself
    started; the setting `proof_timeout` counts from there.

    note(level, text) takes lines for the deployment's log.
    """

    def __init__(self, host, server, courier, note, began):
        self._host = host
        self._server = server
        self._courier = courier
        self._note = note
        self._began = began

    async def of(self, deployment_id):
        """A fresh authorisation, one accepted status, and the application's health check.

        Raises Broken when the time is over, Aborted, and what the application's check raises.
        """
        await self._within_limit(lambda: self._contact(deployment_id), SLIPS)
        await self.health()

    async def health(self):
        """The application's health check alone."""
        await self._within_limit(self._host.healthy, Transient)

    async def settle(self, installer):
        """Judge what runs on trial without an update: it goes back, unless others may have
        installed it and it is well. Going back, the board resets."""
        try:
            if not installer.adopts:
                await installer.rollback()
                raise Broken("on trial without an update")
            await self.health()
            await installer.commit()
        except Exception as error:  # of the application, too
            self._note("error", f"not kept: {error!r}")
            self._host.board.reset()

    async def _contact(self, deployment_id):
        await self._host.online()
        await self._server.authorise(fresh=True)
        await self._courier.report(deployment_id, "installing")

    async def _within_limit(self, step, slips):
        limit = self._host.settings.proof_timeout
        backoff = Backoff(1, self._host.settings.retry_interval)
        why = "no try was made"
        while True:
            left = limit - time.ticks_diff(time.ticks_ms(), self._began) / 1000
            if left <= 0:
                raise Broken(f"not proven within {limit} s: {why}")
            pulse = asyncio.create_task(self._pulse())  # this wait has a limit of its own
            try:
                return await asyncio.wait_for(step(), left)
            except asyncio.TimeoutError:
                why = "a step of the proof did not end"
            except slips as error:
                if isinstance(error, MemoryError):
                    memory.release(memory.FULL_WINDOW)  # no download before this is over
                why = str(error) or repr(error)
                self._note("info", f"not proven yet: {why}")  # no reason to write all the log
                await sleep(min(backoff.delay(error), left), self._host.beat)
            finally:
                pulse.cancel()

    async def _pulse(self):
        while True:
            self._host.beat()
            await asyncio.sleep_ms(1000)
