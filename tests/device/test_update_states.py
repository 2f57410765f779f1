# Tests generated from the table of states: for each state an error in it, the power cut before, in
# and after its action, and an action that never ends, once and every time; for installers of four
# kinds. Each compares the exact states over all starts, the exact statuses that the server took,
# what runs, and what the board says it is, with update_expected.py; a state of TABLE that has no
# expectation there is an error.
import update_expected as expected
from update_fakes import InPlace, Installer, OneWay, Restart, Undoable
from update_world import HANG, faults, journal, life, name_after

from instar.errors import Aborted, Broken, Rejected
from instar.states import TABLE

KINDS = (
    (Installer, expected.SLOTS),
    (Undoable, expected.FILES),
    (OneWay, expected.ONE_WAY),
    (InPlace, expected.IN_PLACE),
)
FAULTS = ("error", "errors", "before", "in", "after", "hangs", "hangs ever")
# What no row can have: an end of an action that restarts the board; and an end of all things where
# cleanup or report hang at every start, as nothing may come after them.
RESETS = ("reboot", "rollback_reboot")
ENDLESS = ("report",)
STARTS = 40  # more than any life has


def places(state, final):
    """Where a state's action begins and where it has ended, and what an error in it is."""
    if state == "download":
        return "open", "finish", Rejected("x")
    if state == "report":
        return "status " + final, "sent " + final, Rejected("x")
    return state, state + " done", Broken("x")


def planned(state, how, fault):
    """The plan of a row's faults, with what leads to that state."""
    sick = how == "sick"
    begins, ended, error = places(state, "failure" if sick else "success")
    plan = {"sick": {"health": [ValueError("sick")]}, "cut": {"install": [Restart()]}}.get(how, {})
    plan = dict(plan)
    if fault in ("error", "errors"):
        plan[begins] = [error] if fault == "error" else error
    elif fault in ("hangs", "hangs ever"):
        plan[begins] = [HANG] if fault == "hangs" else HANG
    else:
        where = {"before": "enter " + state, "in": begins, "after": ended}[fault]
        plan[where] = [Restart()]
    return plan


def check(world, chain, statuses, ends, why):
    runs, name = ends.split(" ")
    assert world.entered == chain, (why, world.entered)
    assert world.statuses == statuses, (why, world.statuses)
    assert world.running == runs, (why, world.running)
    if name != "-":
        named = name_after(world)
        assert named == name.replace("?", "_INCONSISTENT"), (why, named)
    assert journal(world).state is None and not world.pending, why
    world.delete()


def each(table):
    """(state, how, fault, chain, statuses, ends) of every row and fault."""
    for columns in expected.rows(table):
        if columns[1] != "never":
            state, _, how = columns[0].partition("/")
            for fault in columns[1].split(", "):
                yield (state, how, fault) + tuple(columns[2:])


def sweep(kind, table):
    for state, how, fault, chain, statuses, ends in each(table):
        world = life(faults(planned(state, how, fault)), kind, STARTS)
        check(world, chain, statuses, ends, (state, how, fault))
        if fault in ("hangs", "hangs ever"):
            # The start says why it came, and the server is told with the log of a failure.
            assert "watchdog" in world.causes
            if world.logs and state not in ("download", "report"):
                assert any("watchdog" in line for line in world.logs[-1]), (state, how, fault)


def test_slots():
    sweep(*KINDS[0])


def test_files():
    sweep(*KINDS[1])


def test_one_way():
    sweep(*KINDS[2])


def test_in_place():
    sweep(*KINDS[3])


def missing(kind, table):
    """(state, fault) of TABLE that no row expects, though it can happen."""
    found = {(state, fault) for state, _, fault, _, _, _ in each(table)}
    never = [columns[0] for columns in expected.rows(table) if columns[1] == "never"]
    wanted = {(state, fault) for state in TABLE if state not in never for fault in FAULTS}
    for state in RESETS:
        wanted.discard((state, "after"))
    for state in ENDLESS:
        wanted.discard((state, "hangs ever"))
    if not kind.supports_rollback:  # refused before the installer is asked
        wanted -= {("rollback", fault) for fault in ("in", "after", "hangs", "hangs ever")}
    return wanted ^ found


def test_every_state_has_its_expectations():
    for kind, table in KINDS:
        assert not missing(kind, table), missing(kind, table)
    TABLE["meditate"] = ("cleanup", "rollback")
    assert missing(*KINDS[0]) == {("meditate", fault) for fault in FAULTS}


def test_what_never_happens_is_never_seen():
    for _, table in KINDS:
        never = [columns[0] for columns in expected.rows(table) if columns[1] == "never"]
        for _, _, _, chain, _, _ in each(table):
            assert not any(state in chain for state in never), chain


def aborted(status, count=0):
    """The deployment is aborted when this status is told for the time after `count`."""
    return {"status " + status: [None] * count + [Aborted("409")]}


def test_an_abort_at_each_status_stops_undoes_and_says_nothing_more():
    for (kind, _), table in zip(KINDS, expected.ABORTS):
        for status, chain, statuses, ends in expected.rows(table):
            plan = aborted("installing", 1) if status == "proof" else aborted(status)
            world = life(faults(plan), kind)
            assert not world.logs
            check(world, chain, statuses, ends, status)


def test_an_abort_changes_nothing_about_the_way_back():
    """The same states as after a failed proof, whatever happens in them."""
    for kind, table in KINDS:
        told = ["downloading", "installing", "rebooting"][: 3 if kind.needs_reboot else 2]
        for state, how, fault, chain, _, ends in each(table):
            if how != "sick" or (state == "report" and fault != "before"):
                continue
            plan = planned(state, how, fault)
            del plan["health"]
            plan.update(aborted("installing", 1))
            world = life(faults(plan), kind, STARTS)
            assert not world.logs
            check(world, chain, told, ends, (state, fault))
