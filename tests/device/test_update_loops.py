# An update that never ends is ended: after 28 saved states, with a failure that is reported, and a
# board that takes the next one. update_expected.py has the loops of a single state ("hangs ever").
from update_expected import rows
from update_fakes import Installer
from update_world import World, journal, life, name_after

# Z: rollback_reboot, W: verify_rollback, and so on; 28 in all before cleanup.
STICKS = "I  x  D I B | V C R" + " Z | W" * 11 + " K P  d i r i F  new v1?"


class Sticks(Installer):
    """Says that it went back, and starts the new software all the same."""

    trial = False

    async def rollback(self):
        pass


def stuck():
    world = life(World(health=[ValueError("sick")]), Sticks, 40)
    ((_, _, chain, statuses, _),) = rows(STICKS)
    assert world.entered == chain, world.entered
    assert world.statuses == statuses
    return world


def test_a_rollback_that_never_arrives_is_given_up():
    world = stuck()
    assert world.running == "new" and name_after(world) == "v1_INCONSISTENT"
    assert journal(world).state is None
    assert any("too many states for one update, a loop" in line for line in world.logs[0])
    assert any("the new software still runs after the rollback" in line for line in world.logs[0])


def test_the_next_update_finds_a_board_that_takes_it():
    world = stuck()
    world.running = world.boot = "old"  # else there would be nothing to install
    world.states, world.statuses, world.entered, world.offered = [], [], [], True
    life(world)
    assert world.statuses[-1] == "success" and name_after(world) == "v2"
