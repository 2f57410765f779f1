# A sample application: blinks in memory, and says whether it is well.
#
# run(agent) is a task beside the agent; healthy() must be true before new software is kept.
# SPDX-License-Identifier: MIT

import asyncio

_beats = 0


async def run(agent):
    """Count ten times a second; tell the server how far we came with the inventory."""
    global _beats
    while True:
        _beats += 1
        agent.inventory["app_beats"] = _beats
        await asyncio.sleep_ms(100)


def healthy():
    """True once the loop above has gone round a few times."""
    return _beats > 3
