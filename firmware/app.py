# A sample application: blinks in memory, publishes how often, and says whether it is well.
#
# run(agent) is a task beside the agent; healthy() must be true before new software is kept.
# SPDX-License-Identifier: MIT

import asyncio

from micropython import const

_MINUTE = const(600)  # beats

_beats = 0


async def run(agent):
    """Count ten times a second; tell the servers how far we came."""
    global _beats
    while True:
        if agent.publishes and _beats % _MINUTE == 0:
            agent.publish("beats", _beats)
        _beats += 1
        agent.inventory["app_beats"] = _beats
        await asyncio.sleep_ms(100)


def healthy():
    """True once the loop above has gone round a few times."""
    return _beats > 3
