# An error in one state and the power cut in another, for all pairs: where an exact chain for each
# would be a table nobody reads, what has to hold of every update, whatever happened to it.
from update_fakes import InPlace, Installer, OneWay, Restart, Undoable
from update_world import faults, journal, life, name_after

from instar.errors import Broken, Rejected
from instar.states import TABLE

STARTS = 8  # in one life, two faults and what they bring


def error_in(state):
    if state == "download":
        return {"finish": [Rejected("x")]}
    if state == "commit":
        return {"health": [ValueError("sick")]}
    return {state: [Broken("x")]}  # none of "report": who ends there has been judged


def check_truth(world, why):
    """It ended; the server was told once, and the truth; the name is that of what runs."""
    finals = [status for status in world.statuses if status in ("success", "failure")]
    assert len(set(finals)) == 1, (why, world.statuses)
    assert world.statuses[-len(finals) :] == finals, (why, world.statuses)
    name = name_after(world)
    if finals[0] == "success":
        assert (world.running, world.boot, name) == ("new", "new", "v2"), (why, name)
    elif name != "v1_INCONSISTENT":
        assert (world.running, world.boot, name) == ("old", "old", "v1"), (why, name)
    assert not world.pending and journal(world).state is None, why
    stored = world.store.get_json("provides")
    assert ("new.key" in stored) == (finals[0] == "success"), (why, stored)


def sweep(kind, when):
    for state in TABLE:
        for other in TABLE:
            plan = error_in(state)
            place = {"before": "enter " + other, "in": other, "after": other + " done"}[when]
            plan[place] = plan.get(place, []) + [Restart()]
            world = life(faults(plan), kind, STARTS)
            check_truth(world, (state, when, other))
            # Only an installer that cannot take its work back, or failed at it, leaves a doubt.
            if kind.supports_rollback and state not in ("rollback", "rollback_reboot"):
                assert "INCONSISTENT" not in name_after(world), (state, when, other)
            world.delete()


def test_slots():
    sweep(Installer, "before")


def test_slots_acting():
    sweep(Installer, "in")


def test_files():
    sweep(Undoable, "after")


def test_one_way():
    sweep(OneWay, "in")


def test_in_place():
    sweep(InPlace, "before")
