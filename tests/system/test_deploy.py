"""`instar deploy` onto simulated boards, over their serial ports: new ones, working ones, boards
that lose their power in the middle, and boards that it must not touch."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json

import pytest
from cable import Cable
from lab import STORE_HEADER, image

from instar_tools import deploy_cmd, slot_builder
from instar_tools.board_code import BOARD
from instar_tools.cable.deploy_plan import Wanted
from instar_tools.cable.port import BoardError, Info, Link, WrongBoard
from instar_tools.image_builder import compiled, read_tree
from instar_tools.paths import FIRMWARE, LIB
from instar_tools.real_boards import BOARDS

BOTH = ["ESP32_GENERIC", "RPI_PICO_W"]
ABOUT = {
    "platform": "esp32",
    "machine": "Generic ESP32 module with ESP32",
    "version": [1, 29, 0],
    "version_text": "1.29.0",
    "instar": None,
    "frozen_instar": None,
    "watched": False,
}
# Of the file system: all but 40 blocks.
ROOM = {"ESP32_GENERIC": (240 - 40) * 4096, "RPI_PICO_W": (212 - 40) * 4096}
# A slot with a program that is enough to be one, and what the boot guard and the provides need.
START = """
import time

class Board:
    settings_path = "/main.py"

def start():
    print('@instar {"event": "started"}')
    while True:
        time.sleep(1)
"""
MODULES = ("__init__", "errors", "store", "boot", "provides")


def small_slot(board, app=None, source=False, parts=(), base=""):
    own = read_tree(app, content_only=True) if app else {"app.py": b"version = 1\n"}
    if board is None:
        return compiled(own)
    files = {f"instar/{name}.py": (LIB / f"instar/{name}.py").read_bytes() for name in MODULES}
    files |= {"start.py": START.encode(), "large.bin": bytes(range(256)) * 40}
    return compiled(files | own)


@pytest.fixture
def small(monkeypatch):
    """A deploy of some files only."""
    monkeypatch.setattr(slot_builder, "slot_files", small_slot)


@pytest.fixture(params=BOTH)
def cable(tmp_path, request, small):
    return Cable(tmp_path, request.param)


def records(cable, link):
    """(what the server would be told runs, the slot that runs) of the board as it started."""
    slot = link.ask("print(json.dumps([p for p in sys.path if p in ('/a', '/b')]))")
    try:
        record = link.read("/.instar/provides")
    except BoardError:
        return None, slot[0] if slot else None
    return json.loads(record[STORE_HEADER:])["artifact_name"], slot[0] if slot else None


def name_and_slot(cable):
    with cable.link() as link:
        found = records(cable, link)
        link.reset()
    return found


def test_a_new_board_and_then_another_application(cable):
    with cable.plugged():
        plan = cable.deploy("--dry-run")
        assert "slot /a: " in plan and "0 there already" in plan
        assert not any(path.startswith("a/") for path in cable.tree())
        assert "files verified by SHA-256" in cable.deploy()
        wanted = small_slot(cable.kind.name)
        tree = cable.tree()
        assert {f"a/{path}" for path in wanted} < set(tree) and "a.part/" not in tree
        assert {"boot.py", "main.py", "guard/instar/boot.mpy"} < set(tree)
        # The same again: nothing is written.
        flash = cable.path.read_bytes()
        assert "Nothing to do" in cable.deploy()
        assert cable.path.read_bytes() == flash
        assert name_and_slot(cable) == (None, "/a")
        # Another application: in the other slot, and only that is sent.
        new = cable.app("new", "version = 2\n")
        with cable.link() as link:
            link.write("/instar.json", b'{"mender_url": "https://x"}')
            link.run("os.mkdir('/.instar')")
            link.write("/.instar/identity-key", b"mine")
        said = cable.deploy("--app", new, "--artifact-name", "release-2")
        assert "slot /b: 1 files to send, 7 to copy on the board" in said
        assert name_and_slot(cable) == ("release-2", "/b")
        with cable.link() as link:
            assert link.read("/instar.json") == b'{"mender_url": "https://x"}'
            assert link.read("/.instar/identity-key") == b"mine"
            link.reset()
        # And back: that slot has it all.
        assert "slot /a has all of it" in cable.deploy()
        name = Wanted(wanted, {}, False).name
        assert name_and_slot(cable) == (name, "/a")


def ops(board):
    """Flash operations so far."""
    return sum(event["event"] == "op" for event in board.events)


def cuts(first, last, count):
    """So many operations between these two, evenly, the last one included."""
    step = (last - first) / count
    return [round(first + step * (number + 1)) for number in range(count)]


def deploy_through_a_cut(cable, operation, how, *words):
    """Power fails at that operation: the command says so, and a second run mends it. Returns what
    the second run said, and the records between the two and after."""
    with cable.plugged(power_cut_at=(operation, how)) as board:
        said = cable.deploy(*words, code=None)
        if any(event["event"] == "cut" for event in board.events):
            assert "run this again" in said, said
        between = name_and_slot(cable)
        again = cable.deploy(*words)
        return again, between, name_and_slot(cable), cable.tree()


def test_a_new_board_whose_power_fails(cable):
    blank = cable.path.read_bytes()
    with cable.plugged(trace=True) as board:
        begin = ops(board)
        cable.deploy()
        end = ops(board)
        expected = cable.tree()
    for number, operation in enumerate(cuts(begin, end, 2)):
        cable.path.write_bytes(blank)
        how = ("torn", "after")[number % 2]
        said, (name, slot), after, tree = deploy_through_a_cut(cable, operation, how)
        assert name is None and slot in (None, "/a")
        assert " 0 there already" not in said  # only the rest is sent
        assert after == (None, "/a") and tree == expected, operation


def test_a_working_board_whose_power_fails(cable):
    words = ("--app", cable.app("new", "version = 2\n"), "--artifact-name", "new")
    with cable.plugged():
        cable.deploy("--artifact-name", "old")
    working = cable.path.read_bytes()
    with cable.plugged(trace=True) as board:
        begin = ops(board)
        cable.deploy(*words)
        end = ops(board)
        expected = cable.tree()
    for operation, how in ((begin + end) // 2, "torn"), (end - 5, "after"):
        cable.path.write_bytes(working)
        _, between, after, tree = deploy_through_a_cut(cable, operation, how, *words)
        # What does not run has no name.
        assert between in [("old", "/a"), ("unknown", "/a"), ("unknown", "/b"), ("new", "/b")]
        assert after == ("new", "/b") and tree == expected, operation


# What it refuses, and what it does instead


def test_a_board_with_little_room(cable):
    """A slot and a file of the owner's: no second slot fits, and a third file not at all."""
    count = ROOM[cable.kind.name] // 4096
    new = cable.app("new", "version = 2\n")
    (new / "more.bin").write_bytes(bytes(120 * 4096))
    with cable.plugged():
        cable.deploy("--artifact-name", "old")
        with cable.link() as link:
            link.run(
                f"f = open('/mine.bin', 'wb')\nfor _ in range({count}):"
                " f.write(bytes(4096))\nf.close()",
                30,
            )
            link.reset()
        before = cable.tree()
        said = cable.deploy("--app", new, code=1)
        assert "not enough space: 1" in said and "blocks of 4 KiB are missing" in said
        assert cable.tree() == before
        (new / "more.bin").unlink()
        for words in (), ("--dry-run",):
            said = cable.deploy("--app", new, *words, code=1)
            assert "not enough space: 6 blocks of 4 KiB are missing" in said
            assert "--in-place changes the running slot, without a way back" in said
        assert cable.tree() == before
        said = cable.deploy("--app", new, "--in-place")
        assert "slot /a, in place: 1 files to send" in said and "Warning: there is no way" in said
        assert name_and_slot(cable)[1] == "/a" and "b/" not in cable.tree()


def test_a_running_slot_that_lost_a_file(tmp_path, small):
    """What cannot be imported any more is mended beside it and in place, and so is the guard."""
    cable = Cable(tmp_path, "ESP32_GENERIC")
    with cable.plugged():
        cable.deploy()
        expected = cable.tree()
        for name, slot, other in ("store", "a", "b"), ("__init__", "b", "a"):
            remove(cable, f"/{slot}/instar/{name}.mpy")
            assert f"slot /{other}: " in cable.deploy("--no-reset")
            assert name_and_slot(cable)[1] == f"/{other}"
        name = Wanted(small_slot("x"), {}, False).name
        for lost in "/a/instar/boot.mpy", "/a/instar/provides.mpy", "/guard/instar/store.mpy":
            remove(cable, lost)
            said = cable.deploy("--in-place", "--no-reset")
            assert "slot /a, in place: 1 files to send" in said or "slot /a has all of it" in said
            assert name_and_slot(cable) == (name, "/a")
        assert expected.items() <= cable.tree().items()


def remove(cable, *paths):
    with cable.link() as link:
        link.run("".join(f"os.remove({path!r})\n" for path in paths))
        link.reset()


def test_a_deploy_in_place_whose_power_fails(tmp_path, small):
    """Of two slots the running one grows, and is left between old and new; the other one, from
    which nothing starts, is in the way."""
    cable = Cable(tmp_path, "ESP32_GENERIC")
    large = cable.app("large", "version = 2\n")
    (large / "more.bin").write_bytes(bytes(range(256)) * 16 * 30)
    with cable.plugged():
        cable.deploy("--app", cable.app("first", "version = 0\n"))
        cable.deploy()
        with cable.link() as link:
            # All but 24 blocks: less than the file, but with the other slot enough.
            link.run((BOARD / "deployer.py").read_text())
            free = link.call("survey")
            count = free["blocks"] - free["used"] - 24
            link.run(f"f = open('/mine', 'wb')\nfor _ in range({count}): f.write(bytes(4080))", 30)
            link.run("f.close()")
            link.reset()
    full = cable.path.read_bytes()
    words = ("--app", large, "--in-place", "--artifact-name", "large")
    with cable.plugged(trace=True) as board:
        begin = ops(board)
        said = cable.deploy(*words)
        assert "/a goes, for room: nothing starts from it" in said
        end = ops(board)
        expected = cable.tree()
        assert "a/" not in expected
    cable.path.write_bytes(full)
    operation = (begin + end) // 2
    _, (name, _), after, tree = deploy_through_a_cut(cable, operation, "torn", *words)
    assert name == "unknown" and after == ("large", "/b") and tree == expected


def test_programs_of_somebody_are_kept(tmp_path, small):
    files = {"/main.py": b"print('mine')\n", "/boot.py": b"# stock\n#import esp\n"}
    cable = Cable(tmp_path, "ESP32_GENERIC", files=files)
    with cable.plugged():
        said = cable.deploy("--dry-run")
        kept = "/main.py is not instar's: it is kept as /main.py.old, and does not run any more"
        assert kept in said and "/boot.py is replaced" in said
        assert kept in cable.deploy()
        with cable.link() as link:
            assert link.read("/main.py.old") == b"print('mine')\n"
            assert link.read("/main.py") == (FIRMWARE / "main.py").read_bytes()
            link.write("/main.py", b"print('mine again')\n")
            link.write("/boot.py", (FIRMWARE / "boot.py").read_bytes() + b"# older\n")
        said = cable.deploy()
        assert "/boot.py is replaced" in said and "it is kept as /main.py.old2" in said
        tree = cable.tree()
        assert {"main.py.old", "main.py.old2"} < set(tree)
        assert not {"boot.py.old", "main.py.old3"} & set(tree)


def test_an_update_that_is_under_way(cable, monkeypatch):
    given_up = []
    reset = Link.reset
    monkeypatch.setattr(Link, "reset", lambda *words: given_up.append(words[1:]) or reset(*words))
    with cable.plugged():
        cable.deploy()
        with cable.link() as link:
            link.run("from instar.store import Store\nStore('/.instar').put_json('update', {})")
            link.reset()
        new = cable.app("new", "version = 2\n")
        assert "the board has an update under way" in cable.deploy("--app", new, code=1)
        assert name_and_slot(cable) == (None, "/a")
        cable.deploy("--app", new, "--force", "--dry-run")
        assert (True,) not in given_up  # firmware on trial goes on
        cable.deploy("--app", new, "--force")
        assert given_up[-1] == (True,)
        tree = cable.tree()
        assert ".instar/update" not in tree and "b/app.mpy" in tree


def test_the_wrong_board_and_a_busy_port(cable):
    other = {"ESP32_GENERIC": "RPI_PICO_W", "RPI_PICO_W": "ESP32_GENERIC_S3"}[cable.kind.name]
    with cable.plugged():
        said = cable.deploy("--board", other, code=1)
        assert f"expected {other} on the port, got a board that says it is 'Simulated" in said
        with cable.link():
            assert "is busy: " in cable.deploy(code=1)


@pytest.mark.parametrize("mpy", [None, 0x2A05])
def test_a_board_that_loads_no_such_bytecode(mpy):
    info = Info.of({**ABOUT, "mpy": mpy})
    with pytest.raises(WrongBoard, match=r"expected a board that loads bytecode .*: --source"):
        deploy_cmd.wanted(info, BOARDS["ESP32_GENERIC"], None, "mpy", ("instar-mender", ()))


def test_a_firmware_that_brings_instar(tmp_path):
    cable = Cable(tmp_path, "ESP32_GENERIC", image("release-1"))
    hides = cable.app("hides")
    (hides / "json.py").write_text("")
    with cable.plugged():
        assert "json.mpy would hide modules" in cable.deploy("--app", hides, code=1)
        said = cable.deploy("--app", cable.app("mine"), "--source", "--artifact-name", "mine-1")
        assert "slot /a: 1 files to send, 0 to copy on the board, 0 there already; 0 bes" in said
        assert name_and_slot(cable) == ("mine-1", "/a")
        assert {path for path in cable.tree() if path[:2] == "a/"} == {"a/", "a/app.py"}


# A firmware with a ROMFS, which no stock firmware has and the simulated boards have not: a block
# device in a file stands for the segment, and boot.py mounts it as MicroPython does.
ROMFS_BOOT = b"""
import os
import sys
import vfs

class Segment:
    def ioctl(self, request, argument):
        if request == 6:
            with open("/segment", "r+b") as file:
                file.seek(argument * 4096)
                file.write(b"\\xff" * 4096)
        return {4: 40, 5: 4096}.get(request, 0)
    def writeblocks(self, block, data, offset):
        with open("/segment", "r+b") as file:
            file.seek(block * 4096 + offset)
            file.write(data)
    def readblocks(self, block, buffer):
        with open("/segment", "rb") as file:
            file.seek(block * 4096)
            file.readinto(buffer)

class Vfs:
    VfsRom, mount, umount = vfs.VfsRom, vfs.mount, vfs.umount
    def rom_ioctl(*words):
        return 1 if words == (1,) else Segment()

sys.modules["vfs"] = Vfs
try:
    with open("/segment", "rb") as file:
        vfs.mount(vfs.VfsRom(file.read()), "/rom")
except OSError:
    pass
"""


def test_a_romfs(tmp_path, small):
    files = {"/boot.py": ROMFS_BOOT, "/segment": b"\xff" * 40 * 4096}
    cable = Cable(tmp_path, "ESP32_GENERIC", files=files)
    with cable.plugged(heap="400wk"):
        said = cable.deploy("--romfs", "--dry-run")
        assert "ROMFS: to send\nslot /a: 1 files to send" in said
        assert "/boot.py is not instar's: it is kept as /boot.py.old" in said
        assert "instar" not in link_modules(cable) and "main.py" not in cable.tree()
        # What is refused writes no ROMFS, either.
        with cable.link() as link:
            link.run("os.mkdir('/.instar')\nopen('/.instar/update', 'w').close()")
            link.reset()
        assert "an update under way" in cable.deploy("--romfs", code=1)
        assert "instar" not in link_modules(cable)
        said = cable.deploy("--romfs", "--force")
        assert "ROMFS: to send\nslot /a: 1 files to send" in said
        assert "2 beside the slots" in said and "bytes, written and verified by SHA-256" in said
        assert name_and_slot(cable)[1] == "/a"
        tree = cable.tree()
        assert {path for path in tree if path[:2] == "a/"} == {"a/", "a/app.mpy"}
        assert "guard/" not in tree and "main.py" in tree
        with cable.link() as link:
            link.write("/boot.py", ROMFS_BOOT)  # as firmware with a ROMFS would mount it
            link.reset()
        assert "ROMFS: there already" in cable.deploy("--romfs", "--dry-run")


def link_modules(cable):
    """What can be imported from the ROMFS."""
    with cable.link() as link:
        found = link.ask(
            "print(json.dumps(os.listdir('/rom') if 'rom' in os.listdir('/') else []))"
        )
        link.reset()
    return found


def test_no_romfs_says_which_boards_have_one(cable):
    with cable.plugged():
        said = cable.deploy("--romfs", code=1)
        assert "expected firmware with a ROMFS, found none: no stock ESP32 or Pico" in said
        assert "main.py" not in cable.tree()
