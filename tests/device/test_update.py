# The state machine where nothing goes wrong, or something small: what is told, tried again, kept
# and given up; what the board provides after it. test_update_states.py has every state and fault.
import asyncio

from update_fakes import Deployment, Header, InPlace, Installer, OneWay, Restart, Undoable
from update_world import Settings, World, faults, life, name_after, start_board

from instar.errors import Broken, Rejected, Transient

SUCCESS = "download install reboot verify_reboot commit cleanup report"
GOOD = "downloading installing rebooting installing success"
REFUSED = "download cleanup report"

# (what goes wrong, exact chain of states, exact statuses)
ROWS = (
    ({}, SUCCESS, GOOD),
    ({"check": [Rejected("x")]}, REFUSED, "downloading failure"),
    ({"feed": [Rejected("x")]}, REFUSED, "downloading failure"),
    ({"finish": [Rejected("x")]}, REFUSED, "downloading failure"),
    ({"feed": [Transient("x")]}, SUCCESS, GOOD),
    ({"feed": [Transient("x")] * 2}, REFUSED, "downloading failure"),
    (
        {"install": [KeyError("x")]},
        "download install rollback verify_rollback failure cleanup report",
        "downloading installing failure",
    ),
    ({"status downloading": [Transient("500")]}, SUCCESS, GOOD.split(" ", 1)[1]),
    ({"status installing": [Transient("500")]}, SUCCESS, GOOD.replace("installing ", "", 1)),
    ({"status success": [Transient("500")] * 3}, SUCCESS, GOOD),
    ({"authorise": [Transient("away")]}, SUCCESS, GOOD),
    ({"online": [Transient("no wifi")]}, SUCCESS, GOOD),
    (
        # The old software asks for a proof that it cannot give: it is not what was installed.
        {"health": [Restart()]},
        "download install reboot verify_reboot commit commit rollback verify_rollback failure "
        "cleanup report",
        "downloading installing rebooting installing failure",
    ),
)


def test_what_goes_wrong_on_the_way():
    for plan, chain, statuses in ROWS:
        world = life(faults(plan))
        assert " ".join(world.states) == chain, (plan, world.states)
        assert " ".join(world.statuses) == statuses, (plan, world.statuses)
        good = statuses.endswith("success")
        assert world.running == ("new" if good else "old"), plan
        assert name_after(world) == ("v2" if good else "v1"), plan
        assert len(world.logs) == (0 if good else 1), plan
        world.delete()


def test_what_needs_no_reboot_tells_of_none():
    for kind in (Undoable, InPlace):
        world = life(World(), kind)
        assert world.states == "download install commit cleanup report".split()
        assert world.statuses == "downloading installing installing success".split()
        assert world.running == "new" and name_after(world) == "v2"
    assert life(World(), OneWay).statuses == GOOD.split()


def test_a_rollback_without_a_reboot_has_none_to_verify():
    """The same content once more is what runs before, during and after."""
    world = World(health=ValueError("sick"))
    world.running = world.boot = "new"
    life(world, Undoable)
    assert world.states == "download install commit rollback failure cleanup report".split()
    assert world.statuses[-1] == "failure" and name_after(world) == "v1"


def test_what_cannot_be_taken_back_is_called_inconsistent():
    """Mender's suffix, once, and no other provides of an Artifact that failed."""
    world = life(faults({"install": [Broken("x")]}), InPlace)
    assert world.statuses[-1] == "failure"
    stored = world.store.get_json("provides")
    assert stored == {"artifact_name": "v1_INCONSISTENT", "old.key": "1"}
    world.offered = True
    world.states, world.statuses, world.faults = [], [], {"install": [Broken("x")]}
    assert name_after(life(world, InPlace)) == "v1_INCONSISTENT"
    world.offered = True
    world.states, world.statuses, world.faults = [], [], {}
    assert name_after(life(world, InPlace)) == "v2"


def test_a_rollback_that_works_at_the_second_try_leaves_nothing_inconsistent():
    world = life(faults({"install": [Broken("x")], "verify_rollback": [Broken("y")]}))
    assert name_after(world) == "v1" and world.running == "old"
    world = life(
        faults({"install": [Broken("x")], "rollback_reboot": [], "rollback": [OSError(5)]})
    )
    assert name_after(world) == "v1_INCONSISTENT"


def test_an_artifact_without_a_payload_changes_what_is_provided():
    world = World()
    Header.payload_type = None
    life(world)
    assert world.states == "download install commit cleanup report".split()
    assert world.statuses == "downloading installing installing success".split()
    assert world.store.get_json("provides") == {"artifact_name": "v2", "new.key": "2"}
    assert world.running == "old"


def test_an_artifact_without_a_payload_that_is_not_proven_spoils_nothing():
    Header.payload_type = None
    world = life(World(health=ValueError("sick")))
    assert world.statuses[-1] == "failure"
    assert name_after(world) == "v1"


def test_older_software_is_refused_where_the_settings_say_so():
    Settings.downgrade_key = "new.key"
    for has, result in (("1.9", "success"), ("2.0", "success"), ("2.0.1", "failure")):
        world = World()
        world.store.put_json("provides", {"artifact_name": "v1", "new.key": has})
        life(world)
        assert world.statuses[-1] == result, has
        if result == "failure":
            assert "expected new.key 2.0.1 or newer, got 2" in world.logs[0][-1]
            assert world.states == ["download", "cleanup", "report"]


def test_the_log_tells_what_happened():
    world = life(faults({"install": [Broken("the flash is worn")]}))
    assert any("install: the flash is worn" in line for line in world.logs[0])
    assert any("payload type kind" in line for line in world.logs[0])


def test_an_unknown_payload_type_names_what_the_board_has():
    world = World()
    world.installer = Installer
    updater = start_board(world)
    updater._installers = {"other": Installer}
    asyncio.run(updater.start(Deployment()))
    assert "no installer for payload type 'kind': this board has ['other']" in world.logs[0][-1]
    assert world.statuses == ["downloading", "failure"]


def test_a_proof_that_never_comes_rolls_back():
    world = life(World(authorise=Transient("away")))
    assert world.statuses == ["downloading", "installing", "rebooting", "failure"]
    assert world.running == "old"
    assert any("not proven within" in line for line in world.logs[0])


def test_a_health_check_that_hangs_is_ended():
    world = World()
    world.hangs = True
    life(world)
    assert world.running == "old" and world.statuses[-1] == "failure"


def test_the_limit_of_the_proof_counts_from_the_update_not_from_the_start():
    world = World()
    world.installer = InPlace
    updater = start_board(world)
    updater._began -= 60000
    asyncio.run(updater.start(Deployment()))
    assert world.statuses[-1] == "success", world.logs
