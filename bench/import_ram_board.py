# Run by MicroPython: what bench/import_ram.py measures, as one line of JSON.
#
#   micropython import_ram_board.py FOLDER_OR_ROMFS SCRATCH <MODULES
#
# SCRATCH: a folder with the board's settings, instar.json, and for its store. MODULES: what to
# import after the agent was made, a line for each.
# SPDX-License-Identifier: MIT
import asyncio
import gc
import json
import os
import sys

import vfs


def used():
    gc.collect()
    gc.collect()
    return gc.mem_alloc()


def find(source):
    """Have the modules on the path. A ROMFS lies in flash on a board: here it counts nowhere."""
    if not source.endswith(".romfs"):
        sys.path[:] = [source, ".frozen"]
        return
    image = bytearray(os.stat(source)[6])
    with open(source, "rb") as file:
        file.readinto(image)
    vfs.mount(vfs.VfsRom(memoryview(image)), "/rom")
    sys.path[:] = ["/rom", ".frozen"]


class Board:
    """As much of a board as an agent asks for before it has a network."""

    def __init__(self, *wifi):
        pass

    def identity(self):
        return {"mac": "24:0a:c4:00:00:01"}

    def feed(self):
        pass

    def reset_cause(self):
        return "power-on"


def make():
    """An agent as firmware/start.py makes it, with what an application begins with."""
    from instar import memory
    from instar.parts import make_agent

    agent = make_agent(Board, None)
    memory.forget("instar.parts")
    if agent.settings.magistrala_url:
        agent.publish("temperature", 23.5, "Cel")
    if agent.settings.murano_url:
        agent.record("temperature", 23.5)
    return agent


def main(source, scratch):
    Board.settings_path = scratch + "/instar.json"
    Board.state_dir = scratch + "/state"
    find(source)
    before = used()
    agent = make()
    started = used() - before
    for name in sys.stdin:
        __import__(name.strip())
    print(json.dumps({"start": started, "all": used() - before, "agent": bool(agent)}))


main(*sys.argv[1:])
