# A board with application slots for device tests: a real LittleFS on a chip in RAM, booted again
# and again in one process, by the real boot.py.
#
#   board = Board(guarded=True)         # instar in /guard and in slot /a, as on a Pico
#   board = Board(guarded=False)        # instar in the firmware, which is mounted at /rom
#   board.write("/b/app.py", b"...")
#   board.boot()                        # the slot that starts: "a", "b" or None
#   board.sweep(act, check)             # power cut at every flash operation of act()
#
# Everything of the host that a test needs has to be imported before the first Board is made.
import hashlib
import os
import sys

import vfs

from instar.store import Store

BLOCK = 4096
BLOCKS = 128
HOWS = ("before", "torn", "after")

_GUARD = ("__init__", "errors", "store", "boot")
_AGENT = (
    _GUARD
    + ("memory",)
    + tuple("installers/" + name for name in ("__init__", "base", "app", "tree"))
    + tuple(
        "artifact/" + name[:-3] for name in os.listdir("lib/instar/artifact") if name[-3:] == ".py"
    )
)


def _source(path):
    with open(path, "rb") as file:
        return file.read(os.stat(path)[6])


# What a board has in /guard, and in a slot for the tests' own use.
GUARD = {f"/guard/instar/{name}.py": _source(f"lib/instar/{name}.py") for name in _GUARD}
AGENT = {f"instar/{name}.py": _source(f"lib/instar/{name}.py") for name in _AGENT}
BOOT_PY = _source("firmware/boot.py")
_LIB = vfs.VfsPosix(os.getcwd() + "/lib")
_MODULES = ("instar", "app", "start", "board")  # forgotten at every start


def software(name, whole):
    """The files of a small slot: the application, and if `whole` what runs it."""
    files = {"app.py": f"NAME = {name!r}\n".encode(), "data/deep/er.bin": bytes(range(256)) * 9}
    if whole:
        files["start.py"] = b"import app\n"
        files["board.py"] = b"#" * 5000
        files["instar/agent.py"] = f"NAME = {name!r}\n".encode()
    return files


class Cut(BaseException):
    """The power is gone: nothing of the program may catch it."""


class Chip:
    """NOR flash as LittleFS sees it. cut: (number of the operation, how), counted from 1.

    There is one chip at a time: all have the same memory.
    """

    data = bytearray(BLOCK * BLOCKS)

    def __init__(self, cut=None):
        self.ops = 0
        self.cut = cut
        self.dead = self.worn = False

    def readblocks(self, block, buf, offset=0):
        at = block * BLOCK + offset
        buf[:] = memoryview(self.data)[at : at + len(buf)]

    def writeblocks(self, block, buf, offset):
        length, half = self._step(len(buf))
        at = block * BLOCK + offset
        old = int.from_bytes(self.data[at : at + length], "little")
        new = int.from_bytes(buf[:length], "little")
        self.data[at : at + length] = (old & new).to_bytes(length, "little")
        self._power(half)

    def ioctl(self, op, arg):
        if op == 4:
            return BLOCKS
        if op == 5:
            return BLOCK
        if op == 6:
            length, half = self._step(BLOCK)
            at = arg * BLOCK
            self.data[at : at + length] = b"\xff" * length
            self._power(half)
        return 0

    def _step(self, length):
        """How much of the operation happens, and whether the power goes with it."""
        if self.dead:
            raise Cut
        if self.worn:
            raise OSError(5)
        self.ops += 1
        how = self.cut[1] if self.cut and self.cut[0] == self.ops else None
        self._power(how == "before")
        return length // 2 if how == "torn" else length, how

    def _power(self, off):
        if off:
            self.dead = True
            raise Cut


class Machine:
    """The module machine of a port whose watchdog takes at most `most` milliseconds."""

    def __init__(self, most=100000):
        self.started = []
        self.most = most

    def WDT(self, timeout):
        if timeout > self.most:
            raise ValueError(f"timeout exceeds {self.most}")
        self.started.append(timeout)


class Board:
    """Its flash and its starts; to the installer it is the board's module, too."""

    def __init__(self, guarded, slots="a"):
        """slots: {"a": {path: bytes}}, or names: "ab" has software("a", guarded) in /a."""
        self.guarded = guarded
        sys.modules["machine"] = Machine()
        self.fed = 0
        _umount("/rom")
        _umount("/")
        if not guarded:
            vfs.mount(_LIB, "/rom", readonly=True)
        for block in range(BLOCKS):
            Chip.data[block * BLOCK : (block + 1) * BLOCK] = b"\xff" * BLOCK
        self.chip = Chip()
        vfs.VfsLfs2.mkfs(self.chip, progsize=self._progsize())
        self._mount()
        if isinstance(slots, str):
            slots = {slot: software(slot, guarded) for slot in slots}
        self._furnish(slots)

    def _furnish(self, slots):
        self.write("/instar.json", b"{}")
        self.write("/data/log.txt", b"the application's own")
        if self.guarded:
            self.write("/boot.py", BOOT_PY)
            for path, data in GUARD.items():
                self.write(path, data)
        for slot in slots:
            agent = AGENT if self.guarded and slot in "ab" else {}
            for files in (slots[slot], agent):
                for path, data in files.items():
                    self.write(f"/{slot}/{path}", data)

    def _mount(self):
        vfs.mount(vfs.VfsLfs2(self.chip, mtime=False, progsize=self._progsize()), "/")

    def _progsize(self):
        return 256 if self.guarded else 32  # as on the Pico; as on the ESP32

    def power(self, data=None, cut=None):
        """Power off and on, with the flash's content as it is or as given."""
        _umount("/")
        self.chip.dead = True  # files that are still open are never written
        if data:
            Chip.data[:] = data
        self.chip = Chip(cut)
        self._mount()

    def boot(self):
        """Start the board as it starts itself; which slot is in sys.path."""
        _umount("/")
        self._mount()
        for name in list(sys.modules):
            if name.split(".")[0] in _MODULES:
                del sys.modules[name]
        sys.path[:] = ["", ".frozen", "/lib"] if self.guarded else ["", "/rom", ".frozen", "/lib"]
        if self.guarded:
            execfile("/boot.py", {"__name__": "__main__"})  # noqa: F821 (MicroPython's)
        else:
            exec(BOOT_PY, {"__name__": "__main__"})
        return self.running()

    def running(self):
        return next((place[1] for place in sys.path if place in ("/a", "/b")), None)

    def name(self):
        """What the application that would be imported calls itself."""
        sys.modules.pop("app", None)
        try:
            return __import__("app").NAME
        except ImportError:
            return None

    @property
    def store(self):
        """The store as the running software sees it."""
        from instar.store import Store

        return Store("/.instar")

    def record(self, value=None):
        """The guard's record; first set to `value`, if given."""
        store = Store("/.instar")
        if value is not None:
            store.put_json("slots", value)
        return store.get_json("slots")

    def write(self, path, data):
        for at in range(1, len(path)):
            if path[at] == "/" and not _is_there(path[:at]):
                os.mkdir(path[:at])
        with open(path, "wb") as file:
            file.write(data)

    def remove(self, path):
        if os.stat(path)[0] & 0x4000:
            for name in os.listdir(path):
                self.remove(f"{path}/{name}")
            os.rmdir(path)
        else:
            os.remove(path)

    def tree(self, *skip):
        """{path: bytes} of the whole file system, but what lies below the folders in `skip`."""
        found = {}
        self._collect("", found, skip)
        return found

    def slot(self, name):
        """{path: bytes} of one slot, without the agent that the tests need themselves."""
        found = {}
        self._collect("/" + name, found, [f"/{name}/{path}" for path in AGENT])
        return {path[3:]: data for path, data in found.items()}

    def _collect(self, root, found, skip):
        for entry in os.ilistdir(root or "/"):
            path = f"{root}/{entry[0]}"
            if path in skip or path == "/rom":
                continue
            if entry[1] & 0x4000:
                self._collect(path, found, skip)
            else:
                found[path] = _source(path)

    def sweep(self, act, check):
        """From the flash as it is now: act() with a power cut before, in the middle of and after
        each of its flash operations, then check(), once for each content that the flash has then.
        Returns how many operations there are."""
        image = bytes(Chip.data)
        path = list(sys.path)
        seen = set()
        number = 0
        while True:
            number += 1
            for how in HOWS:
                sys.path[:] = path
                self.power(image, (number, how))
                try:
                    act()
                    return number - 1
                except Cut:
                    pass
                state = hashlib.sha256(Chip.data).digest()
                if state not in seen:
                    seen.add(state)
                    self.power()
                    check()

    # What the installer asks of the board's module.

    def feed(self):
        self.fed += 1


def _umount(place):
    try:
        vfs.umount(place)
    except (Cut, OSError):
        pass  # not mounted; or it did not know that the power went


def _is_there(path):
    try:
        os.stat(path)
    except OSError:
        return False
    return True
