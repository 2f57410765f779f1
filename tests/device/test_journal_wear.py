# How often the journal programs the flash, on a real LittleFS: one call of the file system to the
# chip is one program, of at most 128 bytes. tests/system/test_wear.py counts whole updates.
import littlefs
from littlefs import Disk

from instar.journal import Journal
from instar.store import Store

ID = "5f3c2e70-8a3b-4d2e-9c1f-0123456789ab"
MOST = 24  # programs in an update that succeeds
# The identity of an image, and what its Artifact gives: a board with firmware slots.
INSTALLED = "ota_1:" + "5e" * 32
PROVIDES = {
    "artifact_name": "release-2",
    "rootfs-image.version": "release-2",
    "rootfs-image.checksum": "5e" * 32,
}


class Clock:
    def rfc3339(self):
        return "2026-11-22T12:00:00Z"


def counted():
    """{"erase": n, "program": n} of all flash operations from now on."""
    counts = {"erase": 0, "program": 0}
    step = littlefs._Chip._step

    def counting(chip, kind, address, length):
        assert kind == "erase" or length <= 128
        counts[kind] += 1
        return step(chip, kind, address, length)

    littlefs._Chip._step = counting
    return counts


def store():
    """As a start of the board finds it: with its identity key and what it provides."""
    records = Store("/.instar")
    records.put("identity-key", bytes(121))
    records.put_json("provides", {"artifact_name": "release-1"})
    return records


def good_update(journal):
    """The saves of an update that succeeds, in the order of update.py and closing.py."""
    journal.open(ID)
    journal.enter("download")
    journal.type = "rootfs-image"
    journal.provides, journal.gives = PROVIDES, list(PROVIDES)
    journal.installed = INSTALLED
    journal.enter("install")
    journal.enter("reboot")
    journal = Journal(journal._store, Clock())  # another start
    journal.restore()
    assert journal.state == "reboot" and journal.installed == INSTALLED
    journal.starts += 1
    journal.note("info", "started in reboot: HARD_RESET")
    journal.save()
    journal.enter("verify_reboot")
    journal.enter("commit")
    journal.verdict = "success"
    journal.save()
    journal.enter("cleanup")
    journal.enter("report")
    journal.reported = True
    journal.close()
    assert journal.state is None
    return journal


def test_a_good_update_costs_few_programs():
    with Disk():
        records = store()
        counts = counted()
        for name in ("first", "second"):  # with the records that the first one left, if any
            counts.update({"erase": 0, "program": 0})
            good_update(Journal(records, Clock()))
            print(name, counts)
            assert counts["program"] <= MOST, (name, counts)
