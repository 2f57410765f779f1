# What a start makes of what an earlier one left: a journal in mid-update, of other software even,
# what runs on trial, and records that are damaged or true no more.
import asyncio
import json
import sys

from update_fakes import InPlace, Installer, Restart, Server, Undoable
from update_world import Host, World, faults, leave, life, name_after, start_board

from instar.errors import Rejected
from instar.update import Updater


class Sick(Installer):
    """On hardware that is not there: whatever is asked of it fails."""

    error = OSError(19)

    def __init__(self, board, installed=None, settings=None):
        super().__init__(board, installed, settings)
        if installed and "construct" in self.world.sick:
            raise self.error

    def running(self):
        if "running" in self.world.sick:
            raise self.error
        return super().running()


def test_an_installer_that_fails_at_a_start_does_not_keep_the_agent_from_it():
    for where in ("construct", "running"):
        for state in ("install", "reboot", "verify_reboot", "commit", "rollback", "cleanup"):
            for verdict in (None, "success", "failure"):
                world = World()
                world.sick = where
                leave(world, state=state, verdict=verdict)
                life(world, Sick)
                assert world.statuses[-1:] in (["failure"], ["success"]), (where, state, verdict)
                if verdict != "success":
                    assert world.statuses[-1] == "failure"
                world.delete()


def test_what_was_committed_in_place_is_the_applications():
    """It may change its own files while the report waits for the network."""
    for state in ("cleanup", "report"):
        world = World()
        world.running = world.boot = "edited"
        leave(world, state=state, verdict="success", provides={"artifact_name": "v2"})
        life(world, Undoable)
        assert world.statuses == ["success"] and name_after(world) == "v2"


def test_a_cut_in_what_cannot_be_taken_back_is_called_inconsistent():
    world = life(World(install=[Restart()]), InPlace)
    assert world.states == "download install rollback failure cleanup report".split()
    assert world.statuses[-1] == "failure" and name_after(world) == "v1_INCONSISTENT"


def test_a_download_that_kills_the_board_is_given_up():
    world = life(faults({"feed": [Restart() for _ in range(4)]}))
    assert world.statuses == ["downloading"] * 4 + ["failure"], world.statuses
    assert any("restarted" in line for line in world.logs[0])


def test_a_journal_of_newer_software_ends_in_a_failure_and_not_in_a_dead_board():
    for fields in (
        {"type": "unheard-of", "state": "commit"},
        {"type": "kind", "state": "meditate"},
        {"type": "kind", "state": "report", "verdict": "success"},
    ):
        world = World()
        leave(world, starts=1, **fields)
        life(world)
        assert world.statuses == ["failure"], (fields, world.statuses)
        unheard_of = fields["type"] != "kind"
        assert name_after(world) == ("v1_INCONSISTENT" if unheard_of else "v1")


def test_what_is_true_no_more_is_taken_back_once_the_update_is_over():
    """Flashed over a cable in the middle of an update: no start without one has to come first."""
    world = World()
    committed = json.dumps(["image", {"artifact_name": "v1", "old.key": "1"}])
    record = {"artifact_name": "v1", "old.key": "1", ".rootfs-image": committed}
    world.store.put_json("provides", record)
    leave(world, state="report", verdict="failure")
    life(world)
    assert world.statuses == ["failure"]
    assert world.store.get_json("provides") == {"artifact_name": "unknown"}


def test_a_damaged_identity_does_not_keep_the_agent_from_starting():
    for damage in ("?", "[]", "7"):
        world = World()
        world.store.put_json("provides", {"artifact_name": "v1", ".kind": damage})
        assert life(world).statuses[-1] == "success"


def test_a_trial_that_nobody_opened_is_kept_only_if_the_application_is_well():
    for well in (True, False):
        world = World(health=None if well else ValueError("sick"))
        world.installer = Installer
        world.boot = "new"
        world.pending = True
        updater = start_board(world)
        world.running = "new"
        world.pending = True
        try:
            asyncio.run(updater.settle())
        except Restart:
            assert not well
        assert world.pending != well


def test_what_was_reported_as_failed_is_not_kept():
    # New software on trial that has no installer for what brought it: reported, then reset.
    world = World()
    leave(world, type="unheard-of", state="reboot")
    world.boot = world.running = "new"
    world.pending = True  # as the boot loader left it for this start
    Installer.world = world
    updater = Updater(Host(world), Server(world), {"kind": Installer})
    updater.restore()
    try:
        asyncio.run(updater.run())
    except Restart:
        assert world.statuses == ["failure"]
        return
    raise AssertionError("the new software went on")


def test_no_room_for_the_comparison_at_a_start_is_no_reason_not_to_start():
    class Full:
        def __getattr__(self, name):
            raise MemoryError("no room")

    world = World()
    world.installer = Installer
    for stand_in in (Full(), object()):  # a full heap; an instar without the part
        sys.modules["instar.closing"] = stand_in
        assert not start_board(world).active
        assert sys.modules.get("instar.closing") is not stand_in
    assert life(world).statuses[-1] == "success"
