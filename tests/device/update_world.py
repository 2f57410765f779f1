# A world of fakes for the state machine: a flash, a boot loader, a watchdog. Faults are planned by
# place; a life is as many starts as an update takes to end.
#
#   world = life(World(install=[Broken("x")]), Undoable)
#   world.states, world.statuses, world.running, name_after(world)
#
# A place is where hit() or act() is called: "enter install" (saved, not yet acted), "install" (the
# installer's action), "install done" (before the next state is saved), "status success" (on its
# way to the server), "sent success" (the server has it, the board does not know).
# SPDX-License-Identifier: MIT
import asyncio
import os
import sys

from update_fakes import Deployment, FakeModule, Installer, Restart, Server

from instar.journal import Journal
from instar.store import Store
from instar.update import Updater

HANG = "hang"  # planned instead of an exception: this place is never left


class World:
    """What outlives a start: the flash (store, slots), the server, and the faults planned: by
    place a list of exceptions, one each time (None: pass), or one exception for every time."""

    def __init__(self, **faults):
        self.root = f"/tmp/instar-update-{os.urandom(6).hex()}"
        self.store = Store(self.root)
        self.store.put_json("provides", {"artifact_name": "v1", "old.key": "1"})
        self.running = self.boot = self.before = "old"
        self.pending = False
        self.faults = faults
        self.states = []
        self.statuses = []
        self.logs = []
        self.offered = True
        self.hangs = False
        self.starts = 0
        self.entered = []  # as states, with a "|" between two starts
        self.causes = []  # why each start ended
        self.hung = asyncio.Event()

    def _planned(self, where):
        plan = self.faults.get(where)
        if not isinstance(plan, list):
            return plan
        return plan.pop(0) if plan else None

    def hit(self, where):
        """Carry out the fault planned for this place."""
        error = self._planned(where)
        if error:
            raise error

    async def act(self, where):
        """As hit(), where something may also hang."""
        error = self._planned(where)
        if error is HANG:
            self.hung.set()
            await asyncio.Event().wait()
        elif error:
            raise error

    def delete(self):
        for name in os.listdir(self.root):
            os.remove(f"{self.root}/{name}")
        os.rmdir(self.root)


class Board:
    def __init__(self, world):
        self.world = world

    def reset(self):
        raise Restart

    def feed(self):
        pass

    def reset_cause(self):
        return self.world.causes[-1] if self.world.causes else "power-on"


class Settings:
    retry_interval = retry_interval_max = 0
    download_tries = 2
    proof_timeout = 0.3
    report_timeout = 1
    artifact_name = "unknown"
    device_type = "esp32"
    ignore_scripts = False
    downgrade_key = ""

    def verify_keys(self):
        return []


class Clock:
    def rfc3339(self):
        return "2026-11-21T00:00:00Z"


class Host:
    def __init__(self, world):
        self.world = world
        self.settings = Settings()
        self.settings.store = world.store
        self.board = Board(world)
        self.clock = Clock()

    def emit(self, event, **info):
        if event == "state":
            self.world.states.append(info["state"])
            self.world.entered.append(info["state"])
            self.world.hit("enter " + info["state"])

    def beat(self):
        pass

    async def online(self):
        self.world.hit("online")

    def leaving(self):
        self.world.hit("leaving")

    async def healthy(self):
        self.world.hit("health")
        if self.world.hangs:
            await asyncio.sleep(100)


def start_board(world):
    world.starts += 1
    if world.pending and world.running == "new":  # an unconfirmed trial ends
        world.running = world.boot = world.before
        world.pending = False
    world.running = world.boot
    Installer.world = world
    sys.modules["instar.artifact.reader"] = FakeModule
    updater = Updater(Host(world), Server(world), {"kind": world.installer})
    updater.restore()
    return updater


async def _work(world):
    updater = start_board(world)
    if updater.active:
        await updater.run()
    if world.offered:  # the server offers it until it has a final status
        await updater.start(Deployment())
    assert not updater.active and journal(world).state is None


async def _watchdog(world):
    await world.hung.wait()
    world.causes.append("watchdog")
    raise Restart  # the task that hangs never hears of it


async def one_start(world):
    world.hung = asyncio.Event()
    watchdog = asyncio.create_task(_watchdog(world))
    try:
        await _work(world)
    finally:
        watchdog.cancel()


def life(world, installer=Installer, starts=12):
    """Starts until nothing is open, then what the world has become."""
    world.installer = installer
    for _ in range(starts):
        before = len(world.causes)
        try:
            asyncio.new_event_loop()
            asyncio.run(one_start(world))
            return world
        except Restart:
            if len(world.causes) == before:
                world.causes.append("hard")
            world.entered.append("|")
            final = "success" in world.statuses or "failure" in world.statuses
            world.offered = world.states[-1] == "download" and not final
    raise AssertionError(f"never quiet: {world.states}")


def journal(world):
    """The Journal as the next start will read it."""
    found = Journal(world.store, Clock())
    found.restore()
    return found


def leave(world, **fields):
    """An update that an earlier start left open, as the journal has it. No server offers more."""
    world.offered = False
    left = Journal(world.store, Clock())
    left.open("d1")
    left.type, left.installed, left.saves = "kind", "new", 4
    for name, value in fields.items():
        setattr(left, name, value)
    left.enter(left.state)


def name_after(world):
    return world.store.get_json("provides")["artifact_name"]


def faults(plan):
    """A World with the plan's faults; the plan may be used again."""
    plan = dict(plan)
    for where, planned in plan.items():
        if isinstance(planned, list):
            plan[where] = list(planned)
    return World(**plan)
