# The installer of applications, and what the boot guard starts afterwards, on a real LittleFS.
import asyncio
import gc
import os
import random
import sys

from artifact_build import artifact, chunks, gzip, member, tar, tar_header
from slot_board import AGENT, HOWS, Board, Cut, software

KINDS = (True, False)  # the guard in /guard, and in the firmware
TRIAL_B = {"active": "b", "left": 3, "watchdog": 60000}
PROVEN_A = {"active": "a", "left": None, "watchdog": 0}
PROVEN_B = {"active": "b", "left": None, "watchdog": 0}


class Settings:
    watchdog = 60

    def __init__(self, store):
        self.store = store


class Header:
    def __init__(self, names):
        self.files = [(name, "") for name in names]


def installer(board, installed=None):
    """The App of the software that runs."""
    from instar.installers.app import App

    return App(board, installed, Settings(board.store))


def started(guarded, slots="a", record=PROVEN_A):
    """A board that runs from a slot."""
    board = Board(guarded, slots)
    board.record(record)
    board.boot()
    return board


def new(guarded, whole=False):
    """The new software's files; whole: able to run these tests."""
    files = software("new", guarded)
    if guarded and whole:
        files.update(AGENT)
    return files


def download(app, files, step=512):
    app.begin(Header(files))
    for name, data in files.items():
        sink = app.download(name, len(data))
        for view in chunks(data, step):
            sink.write(view)
        sink.close()


def packed(files):
    """The payload that has those files in an update.tar."""
    return {"update.tar": tar(*sorted(files.items()))}


def update(board, payload, step=512):
    """Download and install, as update.py does; the identity of what was installed."""
    app = installer(board)
    download(app, payload, step)
    installed = app.installed()
    asyncio.run(app.install())
    return installed


def attempt(board, payload):
    """update(), and the way back when it fails; the error's kind and message, or None."""
    app = installer(board)
    try:
        download(app, payload)
        app.installed()
        asyncio.run(app.install())
        return None
    except Exception as error:
        asyncio.run(app.rollback())
        asyncio.run(app.cleanup())
        return f"{type(error).__name__}: {error}"


# Good updates


def test_a_tar_is_installed_tried_and_kept():
    for guarded in KINDS:
        board = started(guarded)
        before = board.tree("/b", "/.instar")
        assert installer(board).running().startswith("a:")
        installed = update(board, packed(new(guarded, True)))
        assert installed.startswith("b:") and board.record() == TRIAL_B
        assert board.tree("/b", "/.instar") == before and board.fed > 0
        assert board.boot() == "b" and board.name() == "new"
        app = installer(board, installed)
        assert app.running() == installed and app.on_trial()
        asyncio.run(app.commit())
        asyncio.run(app.cleanup())
        assert not app.on_trial()
        for _ in range(5):
            assert board.boot() == "b" and board.name() == "new"
        assert board.record() == PROVEN_B
        assert board.tree("/b", "/.instar") == before and board.slot("b") == new(guarded)


def test_flat_files_go_into_the_slots_root():
    board = started(False)
    files = {"app.py": b"NAME = 'new'\n", "table.bin": bytes(5000), "empty": b""}
    update(board, files)
    assert board.slot("b") == files
    assert board.boot() == "b" and board.name() == "new"


def test_every_chunking_installs_the_same():
    found = []
    for step in (1, 7, 512, 0, None):
        board = started(False)
        found.append(update(board, packed(new(False)), step))
        assert board.slot("b") == new(False)
    assert len(set(found)) == 1


def test_the_slots_take_turns():
    for guarded in KINDS:
        board = started(guarded)
        for slot in "baba":
            installed = update(board, packed(new(guarded, True)))
            assert installed[0] == slot and board.boot() == slot
            app = installer(board, installed)
            asyncio.run(app.commit())
            asyncio.run(app.cleanup())


def test_what_was_in_the_slot_is_gone():
    board = started(False, {"a": new(False), "b": {"old/mess.py": b"1", "app.py": b"2"}})
    board.write("/b.part/older", b"from a download that was cut")
    update(board, packed(new(False)))
    assert board.slot("b") == new(False) and "b.part" not in os.listdir("/")


def test_the_first_application_of_a_firmware():
    board = started(False, {}, None)
    assert installer(board).running() == "firmware" and not installer(board).on_trial()
    installed = update(board, packed(new(False)))
    assert board.record() == {"active": "a", "left": 3, "watchdog": 60000}
    assert board.boot() == "a" and installer(board).running() == installed
    for _ in range(2):
        assert board.boot() == "a"
    assert board.boot() is None and board.record() is None
    assert installer(board, installed).running() == "firmware"


def test_an_artifact_with_a_tar_in_gzip():
    for guarded in KINDS:
        board = started(guarded)
        from instar.artifact.reader import Reader

        info = {
            "payloads": [{"type": "micropython-app"}],
            "artifact_provides": {"artifact_name": "v2"},
            "artifact_depends": {"device_type": ["esp32"]},
        }
        data = artifact(
            files=tuple(packed(new(guarded)).items()),
            packed=True,
            info=info,
            type_info={"type": "micropython-app"},
        )
        app = installer(board)
        reader = Reader(app.begin, app.download)
        for view in chunks(data, 700):
            reader.feed(view)
        reader.finish()
        reader.close()
        app.installed()
        asyncio.run(app.install())
        assert board.slot("b") == new(guarded) and board.record() == TRIAL_B
        assert board.boot() == "b" and board.name() == "new"


# The way back


def test_three_boots_without_a_proof_then_the_old_software():
    for guarded in KINDS:
        board = started(guarded)
        installed = update(board, packed(new(guarded, True)))
        assert [board.boot() for _ in range(5)] == ["b", "b", "b", "a", "a"]
        app = installer(board, installed)
        assert app.running() != installed and not app.on_trial()
        asyncio.run(app.rollback())
        asyncio.run(app.cleanup())
        assert board.record() == PROVEN_A and board.boot() == "a"


def test_rollback_from_either_side_and_twice():
    for guarded in KINDS:
        for boots in (0, 1):
            for known in (True, False):
                board = started(guarded)
                installed = update(board, packed(new(guarded, True)))
                for _ in range(boots):
                    board.boot()
                for _ in range(2):
                    app = installer(board, installed if known else None)
                    asyncio.run(app.rollback())
                    assert board.record() == PROVEN_A
                assert not app.on_trial() and board.boot() == "a"


def test_rollback_where_nothing_was_installed():
    for guarded in KINDS:
        board = started(guarded)
        app = installer(board)
        asyncio.run(app.rollback())
        download(app, packed(new(guarded)))
        app.installed()
        asyncio.run(app.rollback())
        asyncio.run(app.cleanup())
        assert board.record() == PROVEN_A and board.boot() == "a"


def test_rollback_after_a_commit():
    board = started(True)
    installed = update(board, packed(new(True, True)))
    board.boot()
    app = installer(board, installed)
    asyncio.run(app.commit())
    asyncio.run(app.rollback())
    assert board.record() == PROVEN_A and board.boot() == "a"


def test_what_failed_is_not_started_even_when_the_record_is_damaged():
    for guarded in KINDS:
        board = started(guarded, "ab", PROVEN_B)
        installed = update(board, packed(new(guarded, True)))
        assert installed[0] == "a" and board.boot() == "a"
        app = installer(board, installed)
        asyncio.run(app.rollback())
        asyncio.run(app.cleanup())  # it still runs: nothing may be taken from under it
        assert board.slot("a") == new(guarded)
        assert board.boot() == "b"
        for _ in range(2):
            asyncio.run(installer(board, installed).cleanup())
        board.write("/.instar/slots", b"damaged")
        assert board.boot() == "b"


def test_cleanup_leaves_both_slots_after_a_success():
    board = started(True)
    installed = update(board, packed(new(True, True)))
    board.boot()
    app = installer(board, installed)
    asyncio.run(app.commit())
    before = board.tree()
    for _ in range(2):
        asyncio.run(app.cleanup())
    assert board.tree() == before


# What is refused

ESCAPES = (
    ("../.instar/slots", "'..'"),
    ("../guard/instar/boot.py", "'..'"),
    ("../a/app.py", "'..'"),
    ("lib/../../boot.py", "'..'"),
    ("/boot.py", "relative"),
    ("/instar.json", "relative"),
    ("./../boot.py", "'..'"),
    ("..", "'..'"),
)


def untouched(board, payload, expected):
    """The payload is refused with those words; no file changes outside the slot that is idle, and
    nothing of the download stays."""
    before = board.tree("/b")
    record = board.record()
    came = attempt(board, payload)
    assert came and expected in came, (expected, came)
    assert board.tree("/b") == before
    assert "b" not in os.listdir("/"), "half of a slot could be started"
    assert board.record() == record and board.boot() == "a"


def test_names_that_lead_out_of_the_slot():
    for guarded in KINDS:
        board = started(guarded)
        for name, expected in ESCAPES:
            good = tuple(sorted(new(guarded).items()))
            untouched(board, {"update.tar": tar(*good + ((name, b"evil"),))}, expected)
            untouched(board, {"update.tar": tar(*((name, b"evil"),) + good)}, expected)
            untouched(board, {"app.py": b"", name: b"evil"}, expected)


def test_members_that_are_no_files():
    board = started(False)
    for kind in "123467":
        data = member("app.py", b"") + tar_header("x", 0, kind) + bytes(1024)
        untouched(board, {"update.tar": data}, "plain files")


def test_a_payload_is_a_tar_or_files():
    board = started(False)
    inner = packed(new(False))["update.tar"]
    untouched(board, {"update.tar": inner, "app.py": b"1"}, "update.tar alone")
    untouched(board, {"app.py": b"1", "update.tar": inner}, "update.tar alone")
    untouched(board, {}, "update.tar alone")
    untouched(board, {"update.tar": bytes(1024)}, "lacks ['app']")
    untouched(board, {"update.tar": inner[:3000]}, "Rejected")
    untouched(board, {"update.tar": b"no tar at all" * 100}, "Rejected")


def test_no_slot_is_filled_where_no_boot_guard_would_start_it():
    board = started(True)
    board.remove("/guard")
    board.boot()
    untouched(
        board, packed(new(True)), "no boot guard starts a slot: expected /boot.py and /guard"
    )
    for guarded in KINDS:
        board = started(guarded)
        sys.path.insert(0, "")  # as MicroPython has it, where boot.py is not instar's
        untouched(board, packed(new(guarded)), "no boot guard")


def test_a_slot_needs_what_runs_it():
    for guarded in KINDS:
        needed = ("app.py", "start.py", "board.py", "instar/agent.py") if guarded else ("app.py",)
        for name in needed:
            board = started(guarded)
            files = new(guarded)
            source = files.pop(name)
            untouched(board, packed(files), f"lacks ['{name[:-3]}']")
            files[name[:-3] + ".mpy"] = source
            update(board, packed(files))
            assert board.record() == TRIAL_B


def test_what_a_slot_needs_may_be_a_package():
    for guarded in KINDS:
        for suffix in (".py", ".mpy"):
            board = started(guarded)
            files = new(guarded)
            files["app/__init__" + suffix] = files.pop("app.py")
            if guarded:
                files["board/__init__" + suffix] = files.pop("board.py")
            update(board, packed(files))
            assert board.record() == TRIAL_B and board.boot() == "b"
            assert suffix == ".mpy" or board.name() == "new"
    board = started(False)
    files = {"app/start.py": b"", "app/readme": b""}
    untouched(board, packed(files), "lacks ['app']: expected each as .py or .mpy, or a package")


def test_a_slot_beside_a_firmware_hides_nothing_of_it():
    board = started(False)
    for name in ("instar/agent.py", "start.mpy", "board.py", "boot.py", "main.py", "asyncio.py"):
        files = new(False)
        files[name] = b""
        untouched(board, packed(files), "would hide")
    files = new(False)
    files["lib/asyncio.py"] = files["mainly.py"] = b""
    update(board, packed(files))


def test_what_does_not_fit():
    board = started(False)
    app = installer(board)
    app.begin(Header(["update.tar"]))
    try:
        app.download("update.tar", 10000000)
        raise AssertionError("10 MB fit a chip of 512 KB")
    except Exception as error:
        whole = "update.tar: expected at most the file system's 524288 bytes, got 10000000"
        assert str(error) == whole
    board.write("/data/fill", bytes(150000))
    full = "expected room for /b.part/big, got a full file system"
    for _ in range(2):  # what the first left does not lock out the second
        untouched(board, packed({"app.py": b"", "big": bytes(400000)}), "update.tar: " + full)
        untouched(board, {"app.py": b"", "big": bytes(400000)}, "big: " + full)
    many = {"app.py": b""}
    many.update({f"{i}/{i}": bytes(600) for i in range(100)})
    untouched(board, packed(many), "update.tar: expected room for /b.part/")
    board.write("/data/log.txt", b"there is room for what the application writes" * 100)
    update(board, packed(new(False)))
    assert board.record() == TRIAL_B


def test_much_fits_where_statvfs_says_that_little_is_free():
    board = started(False)
    for i in range(12):
        board.write(f"/data/{i}/f", b"")
    files = {"app.py": b"NAME = 'new'\n", "big": bytes(330000)}
    assert os.statvfs("/")[4] * 4096 < 330000
    update(board, files)
    assert board.slot("b") == files


def test_long_work_feeds_the_watchdog():
    board = started(False, "ab")
    files = {"app.py": b"", "big": bytes(100000)}
    files.update({f"{i}/f": b"" for i in range(20)})
    for payload in (files, packed(files)):
        app = installer(board)
        board.fed = 0
        download(app, payload)
        assert board.fed >= 70, board.fed  # written and read back
        board.fed = 0
        app.installed()
        assert board.fed >= 45, board.fed
        board.fed = 0
        asyncio.run(app.install())
        assert board.fed >= 45, board.fed
        board.fed = 0
        asyncio.run(installer(board).rollback())
        asyncio.run(installer(board, "b:failed").cleanup())
        assert board.fed >= 42, board.fed


def test_the_running_slots_only_fallback_is_not_overwritten():
    for guarded in KINDS:
        board = started(guarded, "ab", {"active": "b", "left": 3, "watchdog": 0})
        assert board.running() == "b"
        before = board.tree()
        came = attempt_download(board, packed(new(guarded)))
        assert came.startswith("Broken") and "unconfirmed" in came
        assert board.tree() == before


def attempt_download(board, payload):
    try:
        download(installer(board), payload)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


def test_a_slot_that_would_start_next_is_not_written_to():
    # Installed, but the board was not restarted: a second update takes the first one back first.
    for guarded in KINDS:
        board = started(guarded)
        update(board, packed(new(guarded)))
        app = installer(board)
        app.begin(Header(["update.tar"]))
        app.download("update.tar", 2000).write(memoryview(bytes(300)))
        assert board.record() == PROVEN_A and board.boot() == "a"


def test_flash_that_changed_after_the_download():
    board = started(False)
    app = installer(board)
    download(app, packed(new(False)))
    app.installed()
    board.write("/b.part/app.py", b"NAME = 'bad'\n")
    try:
        asyncio.run(app.install())
        raise AssertionError("installed what was not downloaded")
    except Exception as error:
        assert type(error).__name__ == "Broken" and "slot b" in str(error)
    asyncio.run(app.rollback())
    asyncio.run(app.cleanup())
    assert board.record() == PROVEN_A and board.boot() == "a"


def test_a_download_that_fails_leaves_no_file_open():
    board = started(False)
    app = installer(board)
    app.begin(Header(["update.tar"]))
    sink = app.download("update.tar", 20000)
    sink.write(memoryview(member("app.py", bytes(9000))[:5000]))
    asyncio.run(app.cleanup())
    written = board.chip.ops
    app = sink = None
    gc.collect()  # what is still open is closed here, and so written
    assert board.chip.ops == written
    assert board.boot() == "a" and "b" not in os.listdir("/")


# Power cuts

IDLE = ("/a", "/b", "/a.part", "/b.part", "/.instar")


def cut_while(board, act, records, outcomes, settled):
    """Sweep over act(), which the software that runs now does. records: those the guard may find;
    outcomes: {slot: its files} that may start then; settled(slot): what has to follow."""
    outside = board.tree(*IDLE)
    before = {slot: board.slot(slot) for slot in "ab" if slot in os.listdir("/")}

    def check():
        for slot in "ab":  # whatever the record says, what is called a slot is one
            if slot in os.listdir("/"):
                assert board.slot(slot) in (before.get(slot), outcomes.get(slot)), f"{slot}: a mix"
        record = board.record()
        assert record in records, record
        slot = board.boot()
        assert slot == (record and record["active"])
        if slot:
            assert board.slot(slot) == outcomes[slot], f"slot {slot} is not what it should be"
        assert board.tree(*IDLE) == outside
        settled(slot)

    return board.sweep(act, check)


def ends_on_the_old(board, installed, old):
    """Nobody confirms the new software: the trial ends, and the agent takes back what it can."""
    for _ in range(4):
        slot = board.boot()
    assert slot == old
    record = board.record()
    for _ in range(2):
        app = installer(board, installed)
        asyncio.run(app.rollback())
        asyncio.run(app.cleanup())
    assert board.record() == record and board.boot() == old
    assert installed[0] not in os.listdir("/")


def cut_while_installing(guarded):
    board = started(guarded)
    board.write("/b/app.py", b"NAME = 'b'\n")
    board.write("/b/more/old.py", bytes(3000))
    board.write("/b.part/older.py", b"")
    outcomes = {"a": board.slot("a"), "b": new(guarded)}
    payload = packed(new(guarded))
    operations = cut_while(
        board,
        lambda: update(board, payload),
        (PROVEN_A, TRIAL_B),
        outcomes,
        lambda slot: ends_on_the_old(board, "b:digest", "a"),
    )
    assert operations > 30


def test_a_cut_while_installing_guarded():
    cut_while_installing(True)


def test_a_cut_while_installing_beside_a_firmware():
    cut_while_installing(False)


def test_a_cut_while_installing_the_first_application():
    board = started(False, {}, None)
    outcomes = {None: None, "a": new(False)}
    record = {"active": "a", "left": 3, "watchdog": 60000}
    payload = packed(new(False))
    operations = cut_while(
        board,
        lambda: update(board, payload),
        (None, record),
        outcomes,
        lambda slot: ends_on_the_old(board, "a:digest", None),
    )
    assert operations > 20


def test_a_cut_in_the_commit():
    for guarded in KINDS:
        cut_in_the_commit(started(guarded, "ab", {"active": "b", "left": 2, "watchdog": 0}))


def cut_in_the_commit(board):
    assert board.running() == "b"
    app = installer(board, "b:digest")
    pending = {"active": "b", "left": 1, "watchdog": 0}

    def settled(slot):
        again = installer(board, "b:digest")
        asyncio.run(again.commit())
        assert board.record() == PROVEN_B and not again.on_trial()

    records = (pending, PROVEN_B)
    outcomes = {"b": board.slot("b")}
    assert cut_while(board, lambda: asyncio.run(app.commit()), records, outcomes, settled) >= 3


def test_a_cut_in_the_rollback():
    for guarded in KINDS:
        for left in (3, 2):
            record = {"active": "b", "left": left, "watchdog": 0}
            cut_in_the_rollback(started(guarded, "ab", record))


def cut_in_the_rollback(board):
    app = installer(board, "b:digest")
    pending = board.record()
    outcomes = {slot: board.slot(slot) for slot in "ab"}

    def settled(slot):
        ends_on_the_old(board, "b:digest", "a")

    records = (pending, PROVEN_A)
    assert cut_while(board, lambda: asyncio.run(app.rollback()), records, outcomes, settled) >= 3


def test_a_cut_in_the_cleanup_of_a_slot_that_failed():
    for guarded in KINDS:
        board = started(guarded, "ab")
        board.write("/b.part/older.py", b"")
        cut_in_the_cleanup(board)


def cut_in_the_cleanup(board):
    app = installer(board, "b:digest")

    def settled(slot):
        ends_on_the_old(board, "b:digest", "a")

    outcomes = {"a": board.slot("a")}
    act = cut_while(board, lambda: asyncio.run(app.cleanup()), (PROVEN_A,), outcomes, settled)
    assert act >= 3


def test_cuts_upon_cuts():
    """Power that fails again and again, wherever it likes, with a new update at every turn."""
    random.seed(11)
    for guarded in KINDS:
        board = started(guarded)
        whole = {"a": [board.slot("a")], "b": []}
        cuts = 0
        for turn in range(60):
            files = new(guarded, True)
            files["turn"] = str(turn).encode()
            visible = {path: data for path, data in files.items() if path not in AGENT}
            board.power(cut=(random.getrandbits(6) + 1, HOWS[turn % 3]))
            try:
                board.boot()
                app = installer(board, board.running() + ":any")
                if app.on_trial():
                    asyncio.run(app.commit() if turn % 2 else app.rollback())
                asyncio.run(app.cleanup())
                whole[installer(board)._slots().other].append(visible)
                attempt(board, packed(files))
            except Cut:
                cuts += 1
            board.power()
            slot = board.boot()
            assert slot and board.slot(slot) in whole[slot], f"turn {turn}: a mix in slot {slot}"
            assert board.record()["active"] == slot
        assert cuts > 20
