# The firmware's program: the agent, with the application beside it.
#
# The application is the module `app`: `async def run(agent)` and, if it has one, `healthy()`. Its
# own payload types, if it has any, are `INSTALLERS` in a module `payloads` beside it.
# A board never stays in an exception: new software on trial is reset and so goes back; proven
# software whose application fails keeps its agent, so that a mended application can arrive.
# SPDX-License-Identifier: MIT

import gc

from instar import memory

memory.reserve()  # 32 KiB in one piece, before anything else lies in the way
# Left alone, the collector waits until the heap is full, and what lives lies all over it by then:
# no 4 KiB in one piece in 34 KiB that are free. Collecting often keeps it together.
gc.threshold(4096)

import asyncio
import json

from board import Board  # pyright: ignore[reportMissingImports]

_show = getattr(Board, "show", None)


def console(event):
    """One line on the serial console for each event of the agent, and the board's status LED."""
    print("@instar", json.dumps(event))
    if _show:
        _show(event)


def make_agent():
    from instar.parts import make_agent

    return make_agent(Board, on_event=console)


async def run_app(agent):
    try:
        import app

        agent.health = getattr(app, "healthy", None)
        await app.run(agent)
    except (Exception, SystemExit) as error:
        agent.crashed(error)


async def main():
    agent = make_agent()
    memory.forget("instar.parts")
    await asyncio.gather(run_app(agent), agent.run())


def start():
    """Run it all. Returns only if the agent cannot run."""
    asyncio.run(main())
