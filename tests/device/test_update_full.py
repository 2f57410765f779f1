# A flash that is full, and a heap: nothing acts that could not be saved, nothing is told twice,
# and whatever is told is true.
import asyncio
import sys

from update_fakes import Deployment, Installer, Restart
from update_world import World, journal, life, start_board

from instar import memory
from instar.errors import Broken
from instar.store import Store


def test_a_log_that_has_to_wait_does_not_repeat_the_status():
    world = World(install=[Broken("x")])
    world.installer = Installer
    updater = start_board(world)
    logs = []

    async def send_log(deployment_id, entries):
        logs.append(1)
        if len(logs) < 3:
            raise MemoryError("1562 bytes")

    updater._server.send_log = send_log

    async def turns():
        while True:
            try:
                if not updater.active:
                    return await updater.start(Deployment())
                return await updater.run()
            except MemoryError:
                pass

    asyncio.run(turns())
    assert len(logs) == 3 and world.statuses.count("failure") == 1


def test_provides_that_cannot_be_stored_end_in_the_truth():
    world = World()
    put = world.store.put_json

    def full(name, value):
        if name == "provides":
            raise OSError(28)
        put(name, value)

    world.store.put_json = full
    life(world)
    assert world.statuses[-1] == "failure" and world.running == "new"
    assert any("could not be stored" in line for line in world.logs[-1])
    assert journal(world).state is None  # and the next deployment may come


class FullStore(Store):
    """A flash that is full from a certain write of the journal on."""

    left = 99

    def _count(self, name):
        if name != "provides":
            self.left -= 1
            if self.left < 0:
                raise OSError(28)

    def put(self, name, data):
        self._count(name)
        super().put(name, data)

    def rewrite(self, name, data):
        self._count(name)
        super().rewrite(name, data)


def test_a_journal_that_cannot_be_saved_never_lets_the_unsaved_act():
    for left in range(12):
        world = World()
        world.store = FullStore(world.root)
        world.store.left = left
        life(world)
        final = world.statuses[-1]
        assert final in ("success", "failure"), (left, world.statuses)
        assert world.running == ("new" if final == "success" else "old"), (left, world.statuses)
        assert not (world.pending and world.running == "new"), left


def test_a_report_that_finds_no_memory_is_the_agents_to_judge():
    """It counts them, and restarts a board whose heap stays full; the journal remembers."""
    world = World(**{"status success": [MemoryError("1032 bytes")]})
    try:
        life(world)
    except MemoryError:
        pass
    else:
        raise AssertionError("tried again and again in a full heap")
    assert journal(world).verdict == "success"
    world.offered = False
    life(world)
    assert world.statuses[-1] == "success"
    assert journal(world).state is None


def test_a_heap_in_pieces_is_left_before_anything_of_an_update_is_told():
    world = World()
    world.installer = Installer
    updater = start_board(world)
    memory._whole = 34560  # it was held once, and is no more
    try:
        asyncio.run(updater.start(Deployment()))
    except Restart:
        pass
    else:
        raise AssertionError("the update began")
    assert world.statuses == world.states == [] and journal(world).state is None
    memory._held[memory.FULL_WINDOW] = bytearray(34560)  # as after that restart
    assert life(world).statuses[-1] == "success"


def test_a_proof_that_lacks_heap_gets_that_of_the_window():
    memory._held[memory.FULL_WINDOW] = bytearray(34560)
    assert life(World(authorise=[MemoryError()])).statuses[-1] == "success"
    assert memory.FULL_WINDOW not in memory._held
