# A sample application: blinks in memory, tells the servers how often, and says whether it is well.
#
# run(agent) is a task beside the agent; healthy() must be true before new software is kept.
# A Murano product's resource `pace` sets how many milliseconds there are between two blinks.
# SPDX-License-Identifier: MIT

import asyncio

from micropython import const

_MINUTE = const(600)  # beats

_beats = 0
_pace = 100


async def run(agent):
    """Count ten times a second, or as fast as Murano says; tell the servers how far we came."""
    global _beats
    if agent.murano:

        async def set_pace(value):
            global _pace
            _pace = min(max(10, int(value)), 60000)
            await agent.murano.write({"pace_now": _pace})
            agent.emit("pace", ms=_pace)

        agent.watch("pace", set_pace)
    while True:
        if _beats % _MINUTE == 0:
            if agent.publishes:
                agent.publish("beats", _beats)
            if agent.murano:
                agent.record("beats", _beats)
        _beats += 1
        agent.inventory["app_beats"] = _beats
        await asyncio.sleep_ms(_pace)


def healthy():
    """True once the loop above has gone round a few times."""
    return _beats > 3
