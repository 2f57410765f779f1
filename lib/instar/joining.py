# Joining the network where several tasks need it: on a board with Murano the application sends for
# itself, beside the agent.
#
#   agent.online = Joining(agent).online         # instead of the agent's own
# SPDX-License-Identifier: MIT

import asyncio


class Joining:
    """host: the agent, whose online() does it; for one task at a time."""

    def __init__(self, host):
        self._host = host
        self._join = host.online
        self._lock = asyncio.Lock()
        self._task = None  # who joins at the moment

    async def online(self):
        """As Host.online()."""
        task = asyncio.current_task()
        if self._task is task:
            return  # it is who is asked for the time that asks
        async with self._lock:
            self._task = task
            try:
                await self._join()
            finally:
                self._task = None
        if self._host.recorder:
            self._host.recorder.tick()  # it dates what had no time
