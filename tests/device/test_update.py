# The state machine against a world of fakes: every state with an error in it, and killed in it.
# Each row compares the exact chain of states and the exact list of statuses the server took.
import asyncio
import json
import os
import sys

import instar.artifact.reader
from instar import memory
from instar.errors import Aborted, Broken, Rejected, Transient
from instar.installers.base import Installer as Base
from instar.journal import Journal
from instar.store import Store
from instar.update import Updater


class Restart(BaseException):
    """The board starts again: nothing of the program may catch it."""


class World:
    """What outlives a start: the flash (store, slots), the server, and the faults planned."""

    def __init__(self, **faults):
        self.root = f"/tmp/instar-update-{os.urandom(6).hex()}"
        self.store = Store(self.root)
        self.store.put_json("provides", {"artifact_name": "v1", "old.key": "1"})
        self.running = self.boot = "old"
        self.pending = False
        self.faults = faults
        self.states = []
        self.statuses = []
        self.logs = []
        self.offered = True
        self.hangs = False
        self.starts = 0

    def hit(self, where):
        """Carry out the fault planned for this place: an exception, as often as it is listed."""
        plan = self.faults.get(where)
        if isinstance(plan, Exception):  # every time
            raise plan
        if plan:
            error = plan.pop(0)
            if error:
                raise error


class Board:
    def __init__(self, world):
        self.world = world

    def reset(self):
        raise Restart

    def feed(self):
        pass

    def reset_cause(self):
        return "HARD_RESET"


class Installer(Base):
    """Two slots with the boot loader's rule: a trial that was not confirmed is over at a reset."""

    world = None
    needs_reboot = True
    supports_rollback = True
    adopts = True

    def running(self):
        return self.world.running

    def installed(self):
        return "new"

    def on_trial(self):
        return self.world.pending and self.world.running == "new"

    def download(self, name, size):
        return None

    async def install(self):
        self.world.hit("install")
        self.world.boot = "new"
        self.world.pending = True
        self.world.hit("installed")

    async def reboot(self):
        self.world.hit("reboot")
        raise Restart

    async def verify_reboot(self):
        self.world.hit("verify_reboot")

    async def commit(self):
        self.world.hit("commit")
        self.world.pending = False
        self.world.hit("committed")

    async def rollback(self):
        self.world.hit("rollback")
        self.world.boot = "old"
        self.world.hit("rolled_back")

    async def rollback_reboot(self):
        self.world.hit("rollback_reboot")
        raise Restart

    async def verify_rollback(self):
        self.world.hit("verify_rollback")

    async def failure(self):
        self.world.hit("failure")

    async def cleanup(self):
        self.world.hit("cleanup")


class InPlace(Installer):
    """No reboot, no way back: as a payload that sets a configuration."""

    needs_reboot = False
    supports_rollback = False

    async def install(self):
        await super().install()
        self.world.running = "new"


class Server:
    def __init__(self, world):
        self.world = world

    async def authorise(self, fresh=False):
        assert fresh
        self.world.hit("authorise")

    async def open(self, deployment, offset):
        return Stream()

    async def report(self, deployment_id, status, substate=None):
        self.world.hit("status " + status)
        self.world.statuses.append(status)
        self.world.hit("sent " + status)

    async def send_log(self, deployment_id, entries):
        self.world.logs.append([entry[2] for entry in entries])


class Stream:
    total = 4
    chunks = [b"ab", b"cd"]

    async def close(self):
        pass

    def __aiter__(self):
        self.left = list(self.chunks)
        return self

    async def __anext__(self):
        if not self.left:
            raise StopAsyncIteration
        return self.left.pop(0)


class Header:
    payload_type = "kind"
    artifact_name = "v2"
    provides = {"artifact_name": "v2", "new.key": "2"}
    clears_provides = ["old.*"]

    def check(self, provides):
        assert provides["device_type"] == "esp32", provides
        Installer.world.hit("check")


class Reader:
    header = Header()

    def __init__(self, on_header, open_file, verify, ignore_scripts):
        self.on_header = on_header

    def steps(self, view):
        yield
        if self.on_header:
            self.on_header(self.header)
            self.on_header = None
        Installer.world.hit("feed")

    def finish(self):
        Installer.world.hit("finish")

    def close(self):
        pass


class FakeModule:
    Reader = Reader


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


class Deployment:
    id = "d1"
    artifact_name = "v2"
    image = sha256 = named = None


def start_board(world):
    world.starts += 1
    if world.pending and world.running == "new":  # an unconfirmed trial ends
        world.running = world.boot = "old"
        world.pending = False
    world.running = world.boot
    Installer.world = world
    sys.modules["instar.artifact.reader"] = FakeModule
    updater = Updater(Host(world), Server(world), {"kind": world.installer})
    updater.restore()
    return updater


async def one_start(world):
    updater = start_board(world)
    if updater.active:
        await updater.run()
    if world.offered:  # the server offers it until it has a final status
        await updater.start(Deployment())
    assert not updater.active and world.store.get("update") is None


def life(world, installer=Installer):
    """Starts until nothing is open, then what the world has become."""
    world.installer = installer
    for _ in range(12):
        try:
            asyncio.new_event_loop()
            asyncio.run(one_start(world))
            return world
        except Restart:
            final = "success" in world.statuses or "failure" in world.statuses
            world.offered = world.states[-1] == "download" and not final
    raise AssertionError(f"never quiet: {world.states}")


SUCCESS = "download install reboot verify_reboot commit cleanup report"
GOOD = "downloading installing rebooting installing success"
BACK = "rollback verify_rollback failure cleanup report"

# (what goes wrong, exact chain of states, exact statuses)
ERRORS = (
    ({}, SUCCESS, GOOD),
    ({"check": [Rejected("x")]}, "download cleanup report", "downloading failure"),
    ({"feed": [Rejected("x")]}, "download cleanup report", "downloading failure"),
    ({"finish": [Rejected("x")]}, "download cleanup report", "downloading failure"),
    ({"feed": [Transient("x")]}, SUCCESS, GOOD),
    ({"feed": [Transient("x")] * 2}, "download cleanup report", "downloading failure"),
    ({"install": [Broken("x")]}, "download install " + BACK, "downloading installing failure"),
    ({"install": [KeyError("x")]}, "download install " + BACK, "downloading installing failure"),
    (
        {"reboot": [OSError(5)]},
        "download install reboot " + BACK,
        "downloading installing rebooting failure",
    ),
    (
        {"verify_reboot": [Broken("x")]},
        "download install reboot verify_reboot rollback rollback_reboot "
        "verify_rollback failure cleanup report",
        "downloading installing rebooting failure",
    ),
    (
        {"health": [ValueError("sick")]},
        "download install reboot verify_reboot commit rollback rollback_reboot "
        "verify_rollback failure cleanup report",
        "downloading installing rebooting installing failure",
    ),
    (
        {"commit": [Broken("x")]},
        "download install reboot verify_reboot commit rollback rollback_reboot "
        "verify_rollback failure cleanup report",
        "downloading installing rebooting installing failure",
    ),
    (
        {"install": [Broken("x")], "rollback": [Broken("y")]},
        "download install rollback failure cleanup report",
        "downloading installing failure",
    ),
    (
        {"install": [Broken("x")], "failure": [Broken("y")], "cleanup": [Broken("z")]},
        "download install " + BACK,
        "downloading installing failure",
    ),
    ({"cleanup": [Broken("x")]}, SUCCESS, GOOD),
    ({"status downloading": [Transient("500")]}, SUCCESS, GOOD.split(" ", 1)[1]),
    ({"status installing": [Transient("500")]}, SUCCESS, GOOD.replace("installing ", "", 1)),
    ({"status success": [Transient("500")] * 3}, SUCCESS, GOOD),
    ({"authorise": [Transient("away")]}, SUCCESS, GOOD),
    ({"online": [Transient("no wifi")]}, SUCCESS, GOOD),
)


def faults(plan):
    return World(**{where: list(errors) for where, errors in plan.items()})


def check(rows, installer=Installer):
    for plan, chain, statuses in rows:
        world = life(faults(plan), installer)
        assert " ".join(world.states) == chain, (plan, world.states)
        assert " ".join(world.statuses) == statuses, (plan, world.statuses)
        good = statuses.endswith("success")
        assert world.running == ("new" if good else "old"), plan
        name = world.store.get_json("provides")["artifact_name"]
        spoilt = any(isinstance(error, Exception) for error in plan.get("rollback", ()))
        assert name == ("v2" if good else "v1_INCONSISTENT" if spoilt else "v1"), plan
        assert len(world.logs) == (1 if statuses.endswith("failure") else 0), plan
        for name in os.listdir(world.root):
            os.remove(f"{world.root}/{name}")


def test_an_error_in_every_state():
    check(ERRORS)


ABORTS = (
    ({"status downloading": [Aborted("409")]}, "download cleanup report", ""),
    (
        {"status installing": [Aborted("409")]},
        "download install " + BACK,
        "downloading",
    ),
    (
        {"status rebooting": [Aborted("409")]},
        "download install reboot " + BACK,
        "downloading installing",
    ),
    (
        {"status installing": [None, Aborted("409")]},
        "download install reboot verify_reboot commit rollback rollback_reboot "
        "verify_rollback failure cleanup report",
        "downloading installing rebooting",
    ),
)


def test_an_abort_stops_undoes_and_says_nothing_more():
    check(ABORTS)


def test_an_abort_of_the_final_status_changes_nothing():
    world = life(faults({"status success": [Aborted("409")]}))
    assert world.running == "new" and world.store.get_json("provides")["artifact_name"] == "v2"


R = [Restart()]
AFTER_REBOOT = "download install reboot verify_reboot "
FELL_BACK = "rollback verify_rollback failure cleanup report"
KILLS = (
    ({"enter download": R}, "download " + SUCCESS, GOOD),
    ({"feed": R}, "download " + SUCCESS, "downloading " + GOOD),
    ({"enter install": R}, "download install " + FELL_BACK, "downloading failure"),
    ({"install": R}, "download install " + FELL_BACK, "downloading installing failure"),
    (
        {"installed": R},
        "download install rollback rollback_reboot verify_rollback failure cleanup report",
        "downloading installing failure",
    ),
    ({"enter reboot": R}, SUCCESS, GOOD.replace("rebooting ", "")),
    (
        {"enter verify_reboot": R},
        AFTER_REBOOT + "verify_reboot " + FELL_BACK,
        "downloading installing rebooting failure",
    ),
    (
        {"enter commit": R},
        AFTER_REBOOT + "commit commit rollback verify_rollback failure cleanup report",
        None,
    ),
    (
        {"health": R},
        AFTER_REBOOT + "commit commit rollback verify_rollback failure cleanup report",
        None,
    ),
    (
        {"commit": R},
        AFTER_REBOOT + "commit failure cleanup report",
        "downloading installing rebooting installing failure",
    ),
    ({"committed": R}, AFTER_REBOOT + "commit commit cleanup report", GOOD),
    ({"enter cleanup": R}, AFTER_REBOOT + "commit cleanup cleanup report", GOOD),
    ({"enter report": R}, AFTER_REBOOT + "commit cleanup report report", GOOD),
    (
        {"sent success": R},
        AFTER_REBOOT + "commit cleanup report report",
        GOOD + " success",
    ),
    (
        {"install": [Broken("x")], "enter rollback": R},
        "download install rollback " + FELL_BACK,
        "downloading installing failure",
    ),
    (
        {"install": [Broken("x")], "rolled_back": R},
        "download install rollback " + FELL_BACK,
        "downloading installing failure",
    ),
    (
        {"install": [Broken("x")], "enter failure": R},
        "download install rollback verify_rollback failure failure cleanup report",
        "downloading installing failure",
    ),
    (
        {"install": [Broken("x")], "enter cleanup": R},
        "download install rollback verify_rollback failure cleanup cleanup report",
        "downloading installing failure",
    ),
    (
        {"install": [Broken("x")], "enter report": R},
        "download install rollback verify_rollback failure cleanup report report",
        "downloading installing failure",
    ),
    (
        {"install": [Broken("x")], "sent failure": R},
        "download install rollback verify_rollback failure cleanup report report",
        "downloading installing failure failure",
    ),
)


def test_killed_in_every_state():
    check([row for row in KILLS if row[2]])


def test_killed_on_trial_before_the_verdict_goes_back():
    # The old software asks for a proof it cannot give: it is not what was installed.
    for plan in ({"enter commit": R}, {"health": R}):
        world = life(faults(plan))
        assert world.running == "old" and world.statuses[-1] == "failure", world.statuses
        assert "success" not in world.statuses


def test_without_reboot_and_rollback():
    rows = (
        (
            {},
            "download install commit cleanup report",
            "downloading installing installing success",
        ),
    )
    check(rows, InPlace)


class Undoable(InPlace):
    supports_rollback = True


def test_a_rollback_without_a_reboot_has_none_to_verify():
    """The same content once more is what runs before, during and after."""
    world = World(health=ValueError("sick"))
    world.running = world.boot = "new"
    life(world, Undoable)
    assert world.states == "download install commit rollback failure cleanup report".split()
    assert world.statuses[-1] == "failure" and name_after(world) == "v1"


def name_after(world):
    return world.store.get_json("provides")["artifact_name"]


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


def test_a_cut_in_what_cannot_be_taken_back_is_called_inconsistent():
    world = life(World(install=[Restart()]), InPlace)
    assert world.states == "download install rollback failure cleanup report".split()
    assert world.statuses[-1] == "failure" and name_after(world) == "v1_INCONSISTENT"


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
                world.offered = False
                job = {"id": "d1", "type": "kind", "state": state, "installed": "new"}
                job.update({"saves": 3, "starts": 0, "log": [], "verdict": verdict})
                world.store.put_json("update", job)
                life(world, Sick)
                assert world.statuses[-1:] in (["failure"], ["success"]), (where, state, verdict)
                if verdict != "success":
                    assert world.statuses[-1] == "failure"
                assert world.store.get("update") is None


def test_what_was_committed_in_place_is_the_applications():
    """It may change its own files while the report waits for the network."""
    for state in ("cleanup", "report"):
        world = World()
        world.offered = False
        world.running = world.boot = "edited"
        job = {"id": "d1", "type": "kind", "state": state, "installed": "new"}
        job.update({"saves": 5, "starts": 0, "log": [], "verdict": "success"})
        job["provides"] = {"artifact_name": "v2"}
        world.store.put_json("update", job)
        life(world, Undoable)
        assert world.statuses == ["success"] and name_after(world) == "v2"


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
    assert world.store.get("update") is None  # and the next deployment may come


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


def test_a_download_that_kills_the_board_is_given_up():
    world = life(faults({"feed": [Restart() for _ in range(4)]}))
    assert world.statuses == ["downloading"] * 4 + ["failure"], world.statuses
    assert any("restarted" in line for line in world.logs[0])


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


class FullStore(Store):
    """A flash that is full from a certain write of the journal on."""

    left = 99

    def put(self, name, data):
        if name == "update":
            self.left -= 1
            if self.left < 0:
                raise OSError(28)
        super().put(name, data)


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


def test_a_journal_of_newer_software_ends_in_a_failure_and_not_in_a_dead_board():
    for fields in (
        {"type": "unheard-of", "state": "commit"},
        {"type": "kind", "state": "meditate"},
        {"type": "kind", "state": "report", "verdict": "success"},
    ):
        world = World()
        world.offered = False
        job = {"id": "d1", "installed": "new", "saves": 5, "starts": 1, "log": [], "verdict": None}
        job.update(fields)
        world.store.put_json("update", job)
        life(world)
        assert world.statuses == ["failure"], (fields, world.statuses)
        unheard_of = fields["type"] != "kind"
        assert name_after(world) == ("v1_INCONSISTENT" if unheard_of else "v1")


def test_what_is_true_no_more_is_taken_back_once_the_update_is_over():
    """Flashed over a cable in the middle of an update: no start without one has to come first."""
    world = World()
    world.offered = False
    committed = json.dumps(["image", {"artifact_name": "v1", "old.key": "1"}])
    record = {"artifact_name": "v1", "old.key": "1", ".rootfs-image": committed}
    world.store.put_json("provides", record)
    job = {"id": "d1", "type": "kind", "state": "report", "installed": "new"}
    job.update({"saves": 5, "starts": 0, "log": [], "verdict": "failure"})
    world.store.put_json("update", job)
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


def test_the_limit_of_the_proof_counts_from_the_update_not_from_the_start():
    world = World()
    world.installer = InPlace
    updater = start_board(world)
    updater._began -= 60000
    asyncio.run(updater.start(Deployment()))
    assert world.statuses[-1] == "success", world.logs


def test_what_was_reported_as_failed_is_not_kept():
    # New software on trial that has no installer for what brought it: reported, then reset.
    world = World()
    world.offered = False
    job = {"id": "d1", "type": "unheard-of", "state": "reboot", "installed": "new"}
    job.update({"saves": 5, "starts": 0, "log": [], "verdict": None})
    world.store.put_json("update", job)
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


def test_a_report_that_finds_no_memory_is_the_agents_to_judge():
    """It counts them, and restarts a board whose heap stays full; the journal remembers."""
    world = World(**{"status success": [MemoryError("1032 bytes")]})
    try:
        life(world)
    except MemoryError:
        pass
    else:
        raise AssertionError("tried again and again in a full heap")
    journal = Journal(world.store, Clock())
    journal.restore()
    assert journal.verdict == "success"
    world.offered = False
    life(world)
    assert world.statuses[-1] == "success"
    assert world.store.get("update") is None


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
    assert world.statuses == world.states == [] and world.store.get("update") is None
    memory._held[memory.FULL_WINDOW] = bytearray(34560)  # as after that restart
    assert life(world).statuses[-1] == "success"


def test_a_proof_that_lacks_heap_gets_that_of_the_window():
    memory._held[memory.FULL_WINDOW] = bytearray(34560)
    assert life(World(authorise=[MemoryError()])).statuses[-1] == "success"
    assert memory.FULL_WINDOW not in memory._held


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
    assert life(world).statuses == GOOD.split()
