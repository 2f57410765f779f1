# The boot guard against every record and every state of the slots, on a real LittleFS.
import os
import random
import sys

from slot_board import AGENT, BOOT_PY, Board, Cut, Machine, software

from instar import boot as guard


def trial(slot, left, watchdog=0):
    return {"active": slot, "left": left, "watchdog": watchdog}


def proven(slot):
    return trial(slot, None)


def damage(board):
    with open("/.instar/slots", "r+b") as file:
        file.seek(14)
        file.write(b"?")


# (record, slots that are there, what starts with the guard in /guard, what starts with it in the
# firmware). None as a record: there is none; "damaged": it fails its checksum.
CASES = (
    (None, "ab", "a", None),
    (None, "a", "a", None),
    (None, "b", "b", None),
    (None, "", None, None),
    ("damaged", "ab", "a", "a"),
    ("damaged", "b", "b", "b"),
    ("damaged", "", None, None),
    (proven("a"), "ab", "a", "a"),
    (proven("b"), "ab", "b", "b"),
    (proven("b"), "a", "a", "a"),
    (proven("a"), "b", "b", "b"),
    (proven("b"), "", None, None),
    (trial("b", 3), "ab", "b", "b"),
    (trial("b", 1), "ab", "b", "b"),
    (trial("b", 0), "ab", "a", "a"),
    (trial("b", -1), "ab", "a", "a"),
    (trial("b", 3), "a", "a", "a"),
    (trial("b", 3), "b", "b", "b"),
    (trial("b", 0), "b", "b", None),
    (trial("a", 0), "a", "a", None),
    (trial("a", 3), "", None, None),
    # not in the format, with a good checksum
    ([], "ab", "a", "a"),
    ("b", "ab", "a", "a"),
    (7, "ab", "a", "a"),
    ({}, "ab", "a", "a"),
    ({"active": "c", "left": 3}, "ab", "a", "a"),
    ({"active": "../b", "left": None}, "ab", "a", "a"),
    ({"active": ["b"], "left": None}, "ab", "a", "a"),
    ({"active": "b", "left": "3"}, "ab", "a", "a"),
    ({"active": "b", "left": 2.5}, "ab", "a", "a"),
    ({"active": "b", "left": 3, "watchdog": "long"}, "ab", "a", "a"),
    ({"active": "b"}, "ab", "b", "b"),
)


def run_case(guarded, record, slots, expected):
    board = Board(guarded, slots)
    if record == "damaged":
        board.record(proven("b"))
        damage(board)
    elif record is not None:
        board.record(record)
    came = board.boot()
    assert came == expected, (guarded, record, slots, came)
    if expected:
        assert sys.path[0] == "/" + expected and board.name() == expected
    sys.path[:] = []


def test_every_record_with_every_set_of_slots_guarded():
    for record, slots, expected, _ in CASES:
        run_case(True, record, slots, expected)


def test_every_record_with_every_set_of_slots_in_firmware():
    for record, slots, _, expected in CASES:
        run_case(False, record, slots, expected)


def test_an_empty_folder_or_a_file_is_no_slot():
    for guarded in (True, False):
        board = Board(guarded, "a")
        board.record(proven("b"))
        os.mkdir("/b")
        assert board.boot() == "a"
        os.rmdir("/b")
        board.write("/b", b"a file")
        assert board.boot() == "a"
        board.record(trial("b", 3))
        assert board.boot() == "a" and board.record() == proven("a")


def test_what_is_being_filled_is_never_started():
    for guarded in (True, False):
        half = software("half", guarded)
        board = Board(guarded, {"a.part": half, "b.part": half})
        for record in (None, proven("a"), trial("b", 2)):
            if record:
                board.record(record)
            assert board.boot() is None and not any("part" in place for place in sys.path)


def test_three_boots_on_trial_then_the_other_slot_for_good():
    for guarded in (True, False):
        board = Board(guarded, "ab")
        board.record(trial("b", 3, 0))
        for left in (2, 1, 0):
            assert board.boot() == "b"
            assert board.record() == trial("b", left)
        for _ in range(2):
            assert board.boot() == "a"
            assert board.record() == proven("a")


def test_the_first_slot_of_a_firmware_falls_back_to_the_firmware():
    board = Board(False, "a")
    board.record(trial("a", 1))
    assert board.boot() == "a"
    for _ in range(2):
        assert board.boot() is None
        assert board.record() is None


def test_only_slot_of_a_guarded_board_starts_without_boots_left():
    board = Board(True, "a")
    board.record(trial("a", 0))
    before = board.chip.ops
    assert board.boot() == "a" and board.chip.ops == before


def test_flash_is_written_on_trial_only():
    for guarded in (True, False):
        for record in (None, proven("a"), proven("b"), "damaged"):
            board = Board(guarded, "ab")
            if record:
                board.record(proven("a") if record == "damaged" else record)
                if record == "damaged":
                    damage(board)
            before = board.chip.ops
            board.boot()
            assert board.chip.ops == before, record
            if not record:
                assert ".instar" not in os.listdir("/")


def test_what_newer_software_adds_to_the_record_stays():
    board = Board(True, "ab")
    board.record({"active": "b", "left": 3, "watchdog": 0, "since": "2.0", "more": [1]})
    assert board.boot() == "b"
    assert board.record() == {
        "active": "b",
        "left": 2,
        "watchdog": 0,
        "since": "2.0",
        "more": [1],
    }


def test_a_count_that_cannot_be_saved_is_no_boot_on_trial():
    for guarded in (True, False):
        board = Board(guarded, "ab")
        board.record(trial("b", 3))
        board.chip.worn = True
        for _ in range(5):
            assert board.boot() == "a"
        board.chip.worn = False
        assert board.record() == trial("b", 3) and board.boot() == "b"


def test_a_fallback_that_cannot_be_saved_is_one_all_the_same():
    board = Board(True, "ab")
    board.record(trial("b", 0))
    board.chip.worn = True
    assert board.boot() == "a" and board.boot() == "a"
    board = Board(False, "b")
    board.record(trial("b", 0))
    board.chip.worn = True
    assert board.boot() is None


# Power cuts


def test_a_cut_while_counting_down():
    for guarded in (True, False):
        cut_while_counting_down(Board(guarded, "ab"))


def cut_while_counting_down(board):
    board.record(trial("b", 2))
    slots = board.slot("a"), board.slot("b")

    def check():
        left = board.record()["left"]
        assert left in (1, 2) and board.record() == trial("b", left)
        assert board.boot() == "b" and board.name() == "b"
        assert board.record() == trial("b", left - 1)
        assert (board.slot("a"), board.slot("b")) == slots
        assert os.listdir("/.instar") == ["slots"]

    assert board.sweep(board.boot, check) >= 3


def test_a_cut_in_the_fallback():
    for guarded in (True, False):
        cut_in_the_fallback(Board(guarded, "ab"))


def cut_in_the_fallback(board):
    board.record(trial("b", 0))
    slots = board.slot("a"), board.slot("b")

    def check():
        assert board.record() in (trial("b", 0), proven("a"))
        assert board.boot() == "a" and board.record() == proven("a")
        assert (board.slot("a"), board.slot("b")) == slots

    assert board.sweep(board.boot, check) >= 3


def test_a_cut_in_the_fallback_to_the_firmware():
    board = Board(False, "a")
    board.record(trial("a", 0))

    def check():
        assert board.record() in (trial("a", 0), None)
        assert board.boot() is None and board.record() is None

    assert board.sweep(board.boot, check) >= 1


def test_power_that_goes_at_every_boot_ends_on_the_fallback():
    random.seed(7)
    for _ in range(20):
        board = Board(True, "ab")
        board.record(trial("b", 3))
        started = 0
        for _ in range(30):
            board.power(cut=(1 + random.getrandbits(3), ("before", "torn", "after")[started % 3]))
            try:
                slot = board.boot()
            except Cut:
                continue
            if slot == "a":
                break
            started += 1
        assert slot == "a" and started <= 3


# The watchdog


def booted_with(machine, record):
    board = Board(True, "ab")
    board.record(record)
    sys.modules["machine"] = machine
    return board.boot(), board


def test_the_watchdog_runs_before_a_slot_on_trial():
    machine = Machine()
    slot, board = booted_with(machine, trial("b", 3, 60000))
    assert slot == "b" and machine.started == [60000]
    assert "app" not in sys.modules and "start" not in sys.modules
    assert board.record() == trial("b", 2, 60000)


def test_no_watchdog_without_a_trial_or_a_value():
    for record in (proven("b"), trial("b", 3, 0), {"active": "b", "left": 3}, trial("b", 0, 5000)):
        machine = Machine()
        booted_with(machine, record)
        assert machine.started == [], record


def test_a_timeout_that_the_port_refuses_becomes_its_longest():
    machine = Machine(most=8388)
    assert booted_with(machine, trial("b", 3, 60000))[0] == "b"
    assert machine.started == [8388]


def test_a_port_without_a_watchdog_still_counts():
    for machine in (object(), Machine(most=0)):
        slot, board = booted_with(machine, trial("b", 3, 60000))
        assert slot == "b" and board.record()["left"] == 2


# sys.path, and whose modules are imported


def test_sys_path_after_the_guard():
    board = Board(True, "a")
    board.boot()
    assert sys.path == ["/a", ".frozen", "/lib", ""]
    board = Board(False, "b")
    board.boot()
    assert sys.path == ["/rom", ".frozen", "/lib", ""]  # no record: the firmware's application
    board.record(proven("b"))
    board.boot()
    assert sys.path == ["/b", "/rom", ".frozen", "/lib", ""]


def test_the_agent_is_the_slots_own():
    board = Board(True, "a")
    board.boot()
    assert not any(name.split(".")[0] == "instar" for name in sys.modules)
    from instar import store
    from instar.agent import NAME

    assert store.__file__ == "/a/instar/store.py" and NAME == "a"


def test_stale_modules_on_the_file_system_never_run():
    stale = b"import sys\nsys.stale = True\nraise SystemExit\n"
    for guarded in (True, False):
        board = Board(guarded, "a")
        for path in ("instar/__init__.py", "instar/boot.py", "errors.py", "store.py", "board.py"):
            board.write("/lib/" + path, stale)
            board.write("/" + path, stale)
        assert board.boot() == ("a" if guarded else None)
        import instar.store

        home = "/a/" if guarded else "/rom/"
        assert instar.store.__file__ == home + "instar/store.py"
    assert not hasattr(sys, "stale")


def test_stale_modules_do_not_stand_in_for_a_guard_that_is_gone():
    board = Board(True, "a")
    board.remove("/guard")
    board.write("/lib/instar/__init__.py", b"")
    board.write("/lib/instar/boot.py", b"def start():\n    raise SystemExit\n")
    assert board.boot() == "a"
    from instar.agent import NAME

    assert NAME == "a"


def test_a_damaged_guard_still_starts_a_slot():
    for name in ("__init__.py", "errors.py", "store.py", "boot.py"):
        for content in (b"1 / 0\n", b"def def\n", b"", None):
            if content == b"" and name == "__init__.py":
                continue  # nothing in it is missed
            board = Board(True, "a")
            if content is None:
                board.remove("/guard/instar/" + name)
            else:
                board.write("/guard/instar/" + name, content)
            assert board.boot() == "a" and "/guard" not in sys.path, (name, content)
            from instar.agent import NAME

            assert NAME == "a" and sys.modules["instar"].__file__ == "/a/instar/__init__.py"


def test_a_damaged_guard_starts_b_if_that_is_all():
    board = Board(True, "b")
    board.remove("/guard")
    assert board.boot() == "b" and board.name() == "b"


# The firmware's own modules


def test_a_slot_with_an_agent_is_not_put_before_the_firmwares():
    # As left by a board that once ran instar from its slots.
    board = Board(False, {"a": software("stale", True), "b": {"app.py": b"NAME = 'b'\n"}})
    board.record(proven("a"))
    assert board.boot() == "b"
    board.remove("/b")
    assert board.boot() is None and sys.path[0] == "/rom"


def sources():
    """What a firmware with instar consists of."""
    places = ["lib/instar", "firmware", "boards/ESP32_GENERIC"]
    while places:
        place = places.pop()
        for name in os.listdir(place):
            path = f"{place}/{name}"
            if place.startswith("lib") and "." not in name and name != "__pycache__":
                places.append(path)
            elif path[-3:] == ".py":
                with open(path, "rb") as file:
                    yield file.read(os.stat(path)[6])


def imported(source):
    found = set()
    for line in source.decode().split("\n"):
        words = line.split("#")[0].split()
        if len(words) > 1 and words[0] in ("import", "from") and words[1][0] != ".":
            found.update(word.rstrip(",").split(".")[0] for word in words[1:2])
    return found


def test_every_module_that_the_firmware_imports_is_reserved():
    used = {"boot", "main", "start", "board", "instar"}
    for source in sources():
        used |= imported(source)
    used -= {"app", "payloads"}  # these are the application's
    names = set(guard.RESERVED.split())
    assert used <= names, used - names
    for name in names:
        for suffix in ("", ".py", ".mpy"):
            assert guard.hiding([name + suffix]) == [name + suffix]
    assert (
        guard.hiding(["app.py", "payloads.py", "startle.py", "lib", "json.txt", "my.ssl", ""])
        == []
    )


# What the installer uses


def test_switch_confirm_and_back():
    for guarded in (True, False):
        board = Board(guarded, "ab")
        board.record(proven("a"))
        board.boot()
        from instar.boot import Slots

        slots = Slots(board.store)
        assert (slots.running, slots.other, slots.active, slots.left) == ("a", "b", "a", None)
        slots.switch("b", 3, 60000)
        assert board.record() == trial("b", 3, 60000)
        assert (slots.running, slots.other, slots.active, slots.left) == ("a", "b", "b", 3)
        assert slots.watchdog == 60000
        board.boot()
        from instar.boot import Slots

        slots = Slots(board.store)
        assert (slots.running, slots.other, slots.active, slots.left) == ("b", "a", "b", 2)
        slots.confirm()
        assert board.record() == proven("b") and slots.left is None
        slots.back()
        assert board.record() == proven("a")


def test_only_what_runs_is_confirmed():
    board = Board(True, "ab")
    board.record(proven("a"))
    board.boot()
    from instar.boot import Slots
    from instar.errors import Broken

    slots = Slots(board.store)
    slots.switch("b", 3, 0)
    try:
        slots.confirm()
        raise AssertionError("confirmed what does not run")
    except Broken as error:
        assert "slot b is active, slot a runs" in str(error)
    assert board.record() == trial("b", 3)


def test_there_is_no_way_back_to_nothing():
    board = Board(True, "a")
    board.boot()
    from instar.boot import Slots
    from instar.errors import Broken

    slots = Slots(board.store)
    slots.switch("a", 3, 0)
    try:
        slots.back()
        raise AssertionError("went back to a slot that is not there")
    except Broken as error:
        assert "/b" in str(error)
    assert board.record() == trial("a", 3)


def test_a_damaged_record_is_said_and_can_be_written_again():
    board = Board(True, "a")
    board.record(proven("b"))
    damage(board)
    assert board.boot() == "a"
    from instar.boot import Slots

    slots = Slots(board.store)
    assert slots.damaged and slots.active == "a" and slots.left is None
    slots.switch("b", 3, 0)
    assert not Slots(board.store).damaged and board.record() == trial("b", 3)


def test_no_content_of_the_record_stops_a_start():
    board = Board(True, "ab")
    board.record(trial("b", 3))
    with open("/.instar/slots", "rb") as file:
        good = file.read(200)
    for length in range(0, len(good), 5):
        board.write("/.instar/slots", good[:length])
        assert board.boot() == "a"
    for text in (b"", b"{", b"null", b'"\xff', b"[[[[", b'{"active": "b", "left": 1e999}'):
        board.store.put("slots", text)
        assert board.boot() == "a", text
    os.remove("/.instar/slots")
    os.mkdir("/.instar/slots")
    assert board.boot() == "a"
    board.remove("/.instar")
    board.write("/.instar", b"a file")
    assert board.boot() == "a"
