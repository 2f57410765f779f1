"""What a deploy does on a board, decided from what is there; and what it refuses to do."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
import subprocess
from types import SimpleNamespace

import pytest

from instar_tools.board_code import BOARD
from instar_tools.cable.deploy_plan import (
    UNKNOWN,
    Survey,
    Wanted,
    blocks,
    folders_of,
    is_foreign,
    plan,
    sha256,
)
from instar_tools.cable.deploying import Job, Refused
from instar_tools.paths import FIRMWARE, micropython

SLOT = {"app.mpy": b"app", "instar/__init__.mpy": b"init", "instar/store.mpy": b"store" * 2000}
ROOT = {"/boot.py": b"boot", "/guard/instar/boot.mpy": b"guard", "/main.py": b"main"}
WANTED = Wanted(SLOT, ROOT, firmware=False)


def listing(files):
    folders = {f"{folder}/": (0, "") for folder in folders_of(files)}
    return folders | {path: (len(data), sha256(data)) for path, data in files.items()}


def taken(files):
    return 2 + 2 * len(folders_of(files)) + sum(blocks(len(data)) for data in files.values())


def survey(running=None, **more):
    fields = {"slots": [], "parts": [], "active": None, "trial": False, "update": False}
    fields |= {"running": running, "name": None, "blocks": 500, "used": 20}
    return Survey(**{**fields, **more})


def planned(running, slots, in_place=False, wanted=WANTED, **more):
    parts = [name[0] for name in slots if name.endswith(".part")]
    names = [name for name in slots if not name.endswith(".part")]
    there = {name: listing(files) for name, files in slots.items()}
    found = survey(running, slots=names, parts=parts, **more)
    return plan(
        wanted, found, there, {path: sha256(data) for path, data in ROOT.items()}, in_place
    )


# Which files go where


def test_a_new_board_gets_all_of_it_and_its_programs_last():
    work = plan(WANTED, survey(), {}, {})
    assert (work.slot, work.place, work.retire, work.whole) == ("a", "/a.part", False, False)
    assert work.sent == SLOT and work.folders == ["instar"] and work.missing_blocks == 0
    assert list(work.root) == ["/guard/instar/boot.mpy", "/boot.py", "/main.py"]
    assert work.bytes_to_send == sum(map(len, (*SLOT.values(), *ROOT.values())))


def test_what_was_cut_goes_on():
    part = {"app.mpy": b"app", "instar/store.mpy": b"half", "instar/old.mpy": b"", "x/y": b""}
    work = planned(None, {"a.part": part})
    assert work.place == "/a.part" and work.kept == ["app.mpy"]
    assert set(work.sent) == {"instar/__init__.mpy", "instar/store.mpy"}
    assert sorted(work.surplus) == ["instar/old.mpy", "x/"] and work.folders == []


def test_of_a_working_board_the_other_slot_is_filled():
    work = planned("a", {"a": {**SLOT, "app.mpy": b"old"}})
    assert (work.slot, work.place, work.retire) == ("b", "/b.part", False)
    assert set(work.sent) == {"app.mpy"}
    assert work.copied == {path: f"/a/{path}" for path in SLOT if path != "app.mpy"}
    assert planned("b", {"b": SLOT | {"more": b""}}).slot == "a"


def test_a_slot_that_has_it_already():
    assert planned("a", {"a": SLOT}).whole
    work = planned("a", {"a": {}, "b": SLOT})
    assert (work.slot, work.whole, work.missing_blocks) == ("b", True, 0)


@pytest.mark.parametrize("gone", SLOT)
def test_a_file_that_the_running_slot_has_lost(gone):
    damaged = {path: data for path, data in SLOT.items() if path != gone}
    work = planned("a", {"a": damaged})
    assert work.slot == "b" and set(work.sent) == {gone} and set(work.copied) == set(damaged)
    work = planned("a", {"a": damaged}, in_place=True)
    assert work.place == "/a" and set(work.sent) == {gone} and set(work.kept) == set(damaged)


# Room


def test_the_running_slot_is_not_changed_unless_that_was_asked_for():
    old = {**SLOT, "app.mpy": b"old"}
    room = 20 + taken(SLOT) - 2 + 4 - 1  # without the slot's own folder; 4 are kept free
    work = planned("a", {"a": old}, blocks=room)
    assert (work.slot, work.in_place, work.missing_blocks) == ("b", False, 1)
    work = planned("a", {"a": old}, blocks=room, in_place=True)
    assert (work.slot, work.in_place, work.missing_blocks) == ("a", True, 0)


OTHERS = {"a": {**SLOT, "app.mpy": b"old"}, "b": {"large": bytes(40960)}}


def test_a_slot_that_nothing_starts_from_goes_for_room():
    """As after a deploy in place that was cut: the old slot is in the way of both."""
    used = taken(OTHERS["a"]) + taken(OTHERS["b"])
    work = planned("a", OTHERS, in_place=True, active="a", used=used, blocks=used)
    assert work.dropped == ["/b"] and work.missing_blocks == 0
    # Where there is room it stays.
    work = planned("a", OTHERS, in_place=True, active="a", used=used, blocks=used + 20)
    assert work.dropped == [] and work.missing_blocks == 0


@pytest.mark.parametrize("more", [{"active": "b"}, {"active": "a", "trial": True}])
def test_a_slot_that_something_starts_from_stays(more):
    used = taken(OTHERS["a"]) + taken(OTHERS["b"])
    work = planned("a", OTHERS, in_place=True, used=used, blocks=used, **more)
    assert work.dropped == [] and work.missing_blocks > 0


def test_what_was_half_filled_goes_before_a_slot_does():
    slots = {**OTHERS, "a.part": {"large": bytes(40960)}}
    used = sum(map(taken, slots.values()))
    work = planned("a", slots, in_place=True, active="a", used=used, blocks=used)
    assert work.dropped == ["/a.part"] and work.missing_blocks == 0
    work = planned("a", slots, in_place=True, active="a", used=used, blocks=used - 15)
    assert work.dropped == ["/a.part", "/b"]


def test_the_part_that_is_filled_is_not_dropped():
    part = {"instar/store.mpy": SLOT["instar/store.mpy"]}
    used = taken(part)
    work = planned(None, {"a.part": part}, used=used, blocks=used)
    assert work.dropped == [] and work.missing_blocks > 0


# Whose programs


@pytest.mark.parametrize("name", ["boot.py", "main.py"])
def test_instars_own_programs_are_not_foreign(name):
    with (FIRMWARE / name).open() as file:
        assert not is_foreign(file.readline(), True)


def looked_at(tmp_path, text):
    """What the board says of this program."""
    (tmp_path / "main.py").write_text(text)
    (tmp_path / "hands.py").write_text("def feed():\n    pass\nsha256 = None\n")
    code = (BOARD / "deployer.py").read_text() + f"\nprint(json.dumps(program({'main.py'!r})))"
    done = subprocess.run(
        [micropython(), "-c", code], cwd=tmp_path, capture_output=True, check=True
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    "text, foreign",
    [
        ("", False),
        ("# This file is executed on every boot\n#import esp\n\n  \n#webrepl.start()\n", False),
        ("# main.py -- put your code here!\n", False),
        ("# mine\nimport machine\n", True),
        ("print(1)", True),
        ("#" + "x" * 500, True),  # rather kept than lost
        ("# The firmware's main program. What it does is in start.py\nimport start\n", False),
    ],
)
def test_a_program_that_somebody_wrote(tmp_path, text, foreign):
    assert is_foreign(*looked_at(tmp_path, text)) is foreign


# What a job refuses


class Board:
    """Answers what a job asks a board for."""

    info = SimpleNamespace(frozen_instar=None)

    def __init__(self, kind="littlefs", **more):
        self.answers = {"look": {"kind": kind}, "exists": False, "program": ["", False]}
        self.answers["survey"] = vars(survey(**more))

    def run(self, code, seconds=0):
        return ""

    def sha256(self, path):
        return None

    def call(self, name, *args, seconds=0):
        return self.answers[name]


def test_a_file_system_whose_renames_are_not_safe():
    with pytest.raises(Refused, match="expected LittleFS on the board, found FAT"):
        Job(Board("fat"), WANTED).check(force=True)
    for kind in ("littlefs", None):
        Job(Board(kind), WANTED).check(force=False)


@pytest.mark.parametrize(
    "running, blocks, in_place, hint",
    [("a", 26, False, True), (None, 22, False, False), ("a", 22, False, False)],
)
def test_no_room_says_what_would_help(running, blocks, in_place, hint):
    board = Board(running=running, slots=["a"], blocks=blocks, name=UNKNOWN)
    # What is there takes as much as what is wanted.
    board.run = lambda code, seconds=0: "\r\n".join(
        json.dumps([path, size, "other" if digest else ""])
        for path, (size, digest) in listing(SLOT).items()
    )
    board.sha256 = lambda path: sha256(ROOT[path])
    with pytest.raises(Refused, match=r"not enough space: [0-9]+ blocks of 4 KiB") as raised:
        Job(board, WANTED, in_place).check(force=False)
    text = "--in-place changes the running slot, without a way back"
    assert (text in raised.value.message) is hint


def test_the_kind_of_a_file_system_is_read_from_its_blocks():
    code = (BOARD / "doctor" / "flash.py").read_text() + KINDS
    done = subprocess.run([micropython(), "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout.split() == ["littlefs", "fat", "None"]


KINDS = """
import vfs
class Disk:
    def __init__(self, size):
        self.size, self.data = size, bytearray(b"\\xff" * 512 * 1024)
    def readblocks(self, block, buffer, offset=0):
        at = block * self.size + offset
        buffer[:] = self.data[at : at + len(buffer)]
    def writeblocks(self, block, buffer, offset=0):
        at = block * self.size + offset
        self.data[at : at + len(buffer)] = buffer
    def ioctl(self, request, argument):
        return {4: 512 * 1024 // self.size, 5: self.size}.get(request, 0)
for size, kind in (4096, vfs.VfsLfs2), (512, vfs.VfsFat):
    disk = Disk(size)
    kind.mkfs(disk)
    print(look_kind(disk))
print(look_kind(Disk(4096)))
"""
