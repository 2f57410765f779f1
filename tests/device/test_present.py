# What a board provides holds only while what runs is what it was committed for.
import os
import sys

import esp_chip
from esp_chip import Chip, image
from slot_board import Board

from instar.closing import Ledger, present
from instar.installers import INSTALLERS
from instar.provides import Provides
from instar.store import Store

GIVES = {"artifact_name": "v2", "rootfs-image.version": "v2", "serial": "7"}
ROOTFS, APP = "rootfs-image", "micropython-app"


def laid_over(below, above):
    both = dict(below)
    both.update(above)
    return both


class World:
    """A store, and what runs of each payload type."""

    def __init__(self):
        self.store = Store(f"/tmp/instar-present-{os.urandom(6).hex()}")
        self.runs = {ROOTFS: "old", APP: "a:1"}
        self.errors = []

    def start(self):
        """The provides of another start, compared."""
        self.provides = Provides(self.store, "v1", self.note)
        book = Ledger(self.provides, self.runs.get)
        book.compare()
        book.get = self.provides.get
        return book

    def note(self, level, text):
        assert level == "error"
        self.errors.append(text)

    def commit(self, kind, identity, given):
        self.runs[kind] = identity
        provides = self.start()
        provides.put(laid_over(provides.get(), given), kind, list(given))
        return provides


def test_what_was_flashed_over_a_cable_has_no_name():
    world = World()
    world.commit(APP, "b:9", {"artifact_name": "app-1", "micropython-app.version": "1"})
    world.commit(ROOTFS, "new", GIVES)
    both = laid_over(GIVES, {"micropython-app.version": "1"})
    assert world.start().get() == both and not world.errors
    world.runs[ROOTFS] = "older"
    for _ in range(2):
        assert world.start().get() == {
            "artifact_name": "unknown",
            "micropython-app.version": "1",
        }
    assert world.errors == ["rootfs-image: new was committed, but older runs"]
    world.commit(ROOTFS, "new", GIVES)
    assert world.start().get() == both and len(world.errors) == 1


def test_a_name_that_was_given_since_stays():
    world = World()
    world.commit(ROOTFS, "new", GIVES)
    world.commit(APP, "b:9", {"artifact_name": "app-1", "serial": "8"})
    world.runs[ROOTFS] = "older"
    assert world.start().get() == {"artifact_name": "app-1", "serial": "8"}


def test_what_deploy_wrote_stays():
    """It drops what has an application's payload type in its name, and writes the rest anew."""
    world = World()
    world.commit(APP, "b:9", {"artifact_name": "app-1", "micropython-app.version": "1"})
    record = world.store.get_json("provides")
    kept = {key: record[key] for key in record if APP not in key.split(".")}
    world.store.put_json("provides", laid_over(kept, {"artifact_name": "app-1"}))
    world.runs[APP] = "a:3"
    assert world.start().get() == {"artifact_name": "app-1"} and not world.errors


def test_a_record_without_identities_stays_as_it_is():
    world = World()
    for record in (None, {"artifact_name": "v2", "rootfs-image.version": "v2"}):
        if record:
            world.store.put_json("provides", record)
        assert world.start().get() == (record or {"artifact_name": "v1"})
    world.commit("single-file", None, {"artifact_name": "v3"})  # not a type that is compared
    assert world.store.get_json("provides") == laid_over(record, {"artifact_name": "v3"})


def test_an_update_under_way_in_older_software_named_no_keys():
    world = World()
    world.runs[ROOTFS] = "new"
    world.start().put(GIVES, ROOTFS, ())
    assert world.store.get_json("provides") == GIVES


def test_nothing_is_written_while_nothing_changed():
    world = World()
    world.commit(ROOTFS, "new", GIVES)

    def put(name, data):
        raise AssertionError("written")

    world.store.put = put
    assert world.start().get() == GIVES


def test_no_artifact_can_write_what_is_compared():
    world = World()
    world.commit(ROOTFS, "new", laid_over(GIVES, {"." + ROOTFS: "?", ".": "?"}))
    assert world.start().get() == GIVES and not world.errors
    world.runs[ROOTFS] = "older"
    assert world.start().get() == {"artifact_name": "unknown"}


def test_a_full_flash_is_no_reason_to_lie():
    world = World()
    world.commit(ROOTFS, "new", GIVES)
    world.runs[ROOTFS] = "older"
    put = world.store.put

    def full(name, data):
        raise OSError(28)

    world.store.put = full
    provides = Provides(world.store, "v1", world.note)
    book = Ledger(provides, world.runs.get)
    try:
        book.compare()
        raise AssertionError("stored?")
    except OSError:
        assert provides.get() == {"artifact_name": "unknown"}
    world.store.put = put
    book.compare()
    assert world.store.get_json("provides") == {"artifact_name": "unknown"}


def test_the_identity_of_firmware_is_its_image_in_whichever_slot():
    v1, v2 = image(b"v1" * 3000), image(b"v2" * 3000)
    chip = Chip(v1, v1)
    assert chip.boot() == "ota_0"
    first = present(INSTALLERS, ROOTFS)
    assert first == v1[-32:].hex()
    sys.modules["esp32"].Partition("ota_1").set_boot()
    assert chip.boot() == "ota_1" and present(INSTALLERS, ROOTFS) == first
    chip.done()
    chip = Chip(v2)
    chip.boot()
    assert present(INSTALLERS, ROOTFS) == v2[-32:].hex()
    chip.done()
    chip = Chip(image(b"v2" * 3000, digest=False))
    chip.boot()
    assert present(INSTALLERS, ROOTFS) is None
    chip.done()


def test_the_identity_of_an_application_is_its_slot_its_names_and_sizes():
    board = Board(False, "ab")
    assert board.boot() is None
    assert present(INSTALLERS, APP) == "firmware"
    board.record({"active": "b", "left": None})
    assert board.boot() == "b"
    first = present(INSTALLERS, APP)
    assert first[:2] == "b:" and present(INSTALLERS, APP) == first
    board.write("/b/data/deep/er.bin", b"copied by hand")
    second = present(INSTALLERS, APP)
    board.write("/b/data/deep/er2.bin", b"copied by hand")
    assert len({first, second, present(INSTALLERS, APP)}) == 3
    board.record({"active": "a", "left": None})
    board.boot()
    assert present(INSTALLERS, APP)[:2] == "a:"


def test_payload_types_of_the_applications_own_are_not_compared():
    assert present(INSTALLERS, "display-text") is None
    assert present(laid_over(INSTALLERS, {APP: object}), APP) is None
    assert present(INSTALLERS, None) is None and present(INSTALLERS, "directory") is None


# What the host's tools do to a trial


def test_a_restart_by_the_host_costs_an_application_on_trial_no_boot():
    with open("tools/instar_tools/board/hands.py") as file:
        hands = file.read()

    def session(restarts=1):
        for _ in range(restarts):
            assert board.boot() == "b"
            space = {"__name__": "hands"}
            exec(hands, space)
            space["give_boots_back"]()

    for guarded in (True, False):
        board = Board(guarded, "ab")
        board.record({"active": "b", "left": 3, "watchdog": 60000})
        assert board.boot() == "b"
        for _ in range(4):
            session()
            assert board.boot() == "b"  # by the reset that ends it
            assert board.record() == {"active": "b", "left": 2, "watchdog": 60000}
        session(3)
        assert board.record()["left"] == 3  # never more than it got at first
        for left in (2, 1, 0):
            assert board.boot() == "b" and board.record()["left"] == left
        assert board.boot() == "a"  # what does not prove itself goes back all the same
        board.record({"active": "b", "left": None, "watchdog": 0})
        before = board.chip.ops
        session()
        assert board.record()["left"] is None and board.chip.ops == before
