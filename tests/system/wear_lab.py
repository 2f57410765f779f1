"""A Lab whose board's flash operations are counted, and applications that keep an agent busy.

lab = worn(tmp_path, server, board="RPI_PICO_W")
lab.flash(app=POLLS)
lab.meet()                          # the first start writes a key
wear = count(lab)
polls(lab, 25)
assert wear.total().operations == 0
"""

from __future__ import annotations

from lab import Lab

from instar_tools.simulated.wear import Wear

# Ends each of the agent's rests, so that days of polls pass in seconds.
POLLS = """
import asyncio

async def run(agent):
    while True:
        await agent.resting.wait()
        agent.poll_now()
        await asyncio.sleep_ms(60)
"""
# And measures something each time.
RECORDS = POLLS.replace("agent.poll_now()", "agent.record('starts', 1); agent.poll_now()")
# And asks for its configuration each time.
PUBLISHES = POLLS.replace(
    "agent.poll_now()", "agent.publish('starts', 1); agent.rebootstrap(); agent.poll_now()"
)


def worn(folder, server, **options) -> Lab:
    """A Lab with a large heap: what is counted here does not depend on it."""
    return Lab(folder, server, heap="2M", trace=True, seed=1, **options)


def count(lab: Lab) -> Wear:
    """Count from now on what the flash of a board that is off goes through."""
    wear = Wear(lab.path)

    def hear(event) -> None:
        wear.hear(event)
        if event["event"] != "op":
            lab._event(event)

    lab.board._on_event = hear
    return wear


def polls(lab: Lab, most: int, inventories: int = 1) -> None:
    """Run for that many polls that found nothing to do, and that many reports of the inventory."""
    left = {"idle": most, "inventory": inventories}

    def enough(event) -> bool:
        left[event["event"]] = left.get(event["event"], 0) - 1
        return left["idle"] <= 0 and left["inventory"] <= 0

    lab.run(enough)
