# A record rewritten in place while the power fails: before, during and after every operation of
# the flash it is the old one or the new one, whole, and so is its neighbour.
import hashlib

from littlefs import HOWS, Disk, Ended

from instar.errors import Broken
from instar.journal import Journal
from instar.store import Store

OLD, NEW = b"old " * 17, b"new " * 17


class Clock:
    def rfc3339(self):
        return "2026-11-21T00:00:00Z"


def states(disk, action):
    """The distinct contents of the flash after every cut of action()."""
    image = disk.image()
    action()
    count, seen = disk.ops, set()
    for number in range(1, count + 1):
        for how in HOWS:
            disk.on(image, (number, how))
            try:
                action()
            except (Ended, OSError):  # a file that is closed without power
                pass
            disk.on()
            state = hashlib.sha256(disk.image()).digest()
            if state not in seen:
                seen.add(state)
                yield number


def found_after(before, after, **options):
    """What a record is found to be, cut for cut, that is rewritten as `after`."""
    with Disk({"/.instar": None}, **options) as disk:
        store = Store("/.instar")
        store.put("other", b"neighbour")
        if before:
            store.rewrite("step", before)
        disk.on()
        found = []
        for _ in states(disk, lambda: Store("/.instar").rewrite("step", after)):
            store = Store("/.instar")
            found.append(store.get("step"))
            assert store.get("other") == b"neighbour"
        assert before in found and after in found, (found, options)
        assert all(record in (before, after) for record in found), (found, options)
    return found


def in_place(**options):
    assert len(found_after(OLD, NEW, **options)) >= 3


# Ports differ: a page is of 32 bytes on the ESP32 and of 256 on the rp2, and a file's time is one
# more attribute in the commit that replaces the record.
def test_a_record_rewritten_in_place():
    in_place()


def test_a_record_rewritten_in_place_with_its_time():
    in_place(mtime=True)


def test_a_record_rewritten_in_large_pages():
    in_place(progsize=256)


def test_a_record_rewritten_in_large_pages_with_its_time():
    in_place(progsize=256, mtime=True)


def test_a_first_record_is_whole_or_not_there():
    found_after(None, NEW)


def test_a_record_of_another_length_is_whole():
    found_after(b"short", NEW)


def test_in_place_it_is_one_program_and_an_equal_one_none():
    with Disk({"/.instar": None}) as disk:
        store = Store("/.instar")
        store.rewrite("step", OLD)
        disk.on()
        store = Store("/.instar")
        store.rewrite("step", NEW)
        assert disk.ops == 1
        store.rewrite("step", NEW)
        assert disk.ops == 1 and store.get("step") == NEW


def opened(steps):
    """A journal after these steps, from the flash alone."""
    journal = Journal(Store("/.instar"), Clock())
    journal.restore()
    return tuple(getattr(journal, name) for name in steps)


def test_a_journal_that_is_cut_between_its_records_is_as_before_or_after():
    fields = ("id", "state", "verdict", "installed", "starts")
    with Disk({"/.instar": None}) as disk:
        journal = Journal(Store("/.instar"), Clock())
        journal.open("d1")
        journal.enter("download")
        journal.installed, journal.type = "new", "kind"
        disk.on()

        def life(steps):
            def act():
                journal = Journal(Store("/.instar"), Clock())
                journal.restore()
                for step in steps:
                    step(journal)

            return act

        def begin(journal):
            journal.open("d1")
            journal.installed, journal.type = "new", "kind"

        def entering(state):
            return lambda journal: journal.enter(state)

        def judged(journal):
            journal.verdict = "success"
            journal.save()

        def noted(journal):
            journal.note("error", "something" * 20)

        none, installing = (None,) * 4 + (0,), ("d1", "install", None, "new", 0)
        for steps, allowed in (
            ([begin, entering("install")], (none, installing)),
            ([entering("reboot")], (installing, ("d1", "reboot", None, "new", 0))),
            (
                [entering("commit")],
                (("d1", "reboot", None, "new", 0), ("d1", "commit", None, "new", 0)),
            ),
            ([judged], (("d1", "commit", None, "new", 0), ("d1", "commit", "success", "new", 0))),
            (
                [noted, entering("report")],
                (("d1", "commit", "success", "new", 0), ("d1", "report", "success", "new", 0)),
            ),
            ([lambda journal: journal.close()], (("d1", "report", "success", "new", 0), none)),
        ):
            disk.on()
            for _ in states(disk, life(steps)):
                assert opened(fields) in allowed, (opened(fields), allowed)
            disk.on()
            assert opened(fields) == allowed[1], (opened(fields), allowed)


def test_a_damaged_step_is_said_and_gone():
    with Disk({"/.instar": None}):
        store = Store("/.instar")
        store.put("step", b'[1, 9, "commit", "success"]')
        store.put_json("update", {"id": "d1", "state": "install"})
        journal = Journal(store, Clock())
        journal.restore()  # of another deployment: it says nothing
        assert journal.state == "install"
        store.put("step", b"no list")
        try:
            Journal(store, Clock()).restore()
        except Broken as error:
            assert "the journal is damaged" in str(error)
        else:
            raise AssertionError("believed")
        assert store.get("step") is None


def test_a_good_update_takes_at_most_24_programs():
    """docs/flash-wear.md; the file system's own tidying is counted, too."""
    with Disk({"/.instar": None}) as disk:
        for deployment in ("0a1b2c3d-0000-4000-8000-000000000001", "again" * 7):
            disk.on()
            journal = Journal(Store("/.instar"), Clock())
            journal.restore()
            journal.open(deployment)
            journal.enter("download")
            journal.type, journal.installed = "rootfs-image", "ota_1:" + "ab" * 32
            journal.provides = {"artifact_name": "v2", "rootfs-image.version": "v2"}
            journal.provides["rootfs-image.checksum"] = "cd" * 32
            journal.gives = list(journal.provides)
            journal.note("info", "Artifact v2, payload type rootfs-image")
            for state in ("install", "reboot"):
                journal.enter(state)
            journal = Journal(Store("/.instar"), Clock())
            journal.restore()
            journal.starts += 1
            journal.note("info", "started in reboot: HARD_RESET")
            journal.save()
            for state in ("verify_reboot", "commit"):
                journal.enter(state)
            journal.verdict = "success"
            journal.save()
            for state in ("cleanup", "report"):
                journal.enter(state)
            journal.close()
            assert 0 < disk.ops <= 24, disk.ops
