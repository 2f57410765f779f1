# What `instar deploy` runs on a board, in its raw REPL, beside board/hands.py: it looks at what is
# there, and makes the few changes that have to be made in one step.
#
# The boot guard's record and the name of the software are written by instar's own code: the boot
# guard's copy of it, or the firmware's. A slot's is no help where that slot is damaged.
#
# Limits: LittleFS.
# SPDX-License-Identifier: MIT
import json
import os
import sys

from hands import feed, sha256

_STATE = "/.instar"
_BLOCK = 4096
_POINTERS = 16  # bytes of a block at most that LittleFS needs to find a file's next
_FOLDER = 0x4000


def exists(path):
    try:
        os.stat(path)
        return True
    except OSError:
        return False


def _part(slot):
    return "/" + slot + ".part"


def blocks(size):
    """Of 4 KiB that a file takes."""
    return 1 if size <= _BLOCK else -(-size // (_BLOCK - _POINTERS))


def _entries(folder):
    # Where another file system is mounted, an entry has only three values.
    return [entry for entry in os.ilistdir(folder) if len(entry) == 4]


def used(folder="/"):
    """Blocks that a folder takes, with all in it; statvfs() counts too many."""
    feed()
    count = 2
    for name, kind, _, size in _entries(folder):
        if kind == _FOLDER:
            count += used(folder.rstrip("/") + "/" + name)
        else:
            count += blocks(size)
    return count


def survey():
    """What decides how this board is deployed to."""
    running = [slot for slot in "ab" if "/" + slot in sys.path]
    record = _slots()
    return {
        "running": running[0] if running else None,
        "slots": [slot for slot in "ab" if exists("/" + slot)],
        "parts": [slot for slot in "ab" if exists(_part(slot))],
        "active": record.active if record and not record.damaged else None,
        "trial": bool(record and record.left is not None),
        "update": exists(_STATE + "/update"),
        "name": _name(),
        "blocks": os.statvfs("/")[2],
        "used": used(),
    }


def _forget():
    # hands.py imported an instar, to see which one there is.
    for name in list(sys.modules):
        if name.split(".")[0] == "instar":
            del sys.modules[name]


def _whole():
    """(Slots, Store) of the first instar that has them; None, None without one."""
    path = sys.path[:]
    try:
        for place in ("/guard", "/a", "/b"):  # and, behind each, what this start has: firmware
            _forget()
            sys.path[:] = path
            sys.path.insert(0, place)
            try:
                from instar.boot import Slots
                from instar.store import Store

                return Slots, Store
            except Exception as error:  # none is there yet, or it is damaged
                print("no boot guard at", place, error)
    finally:
        sys.path[:] = path
        _forget()
    return None, None


def _slots():
    """The boot guard's record; None without one, or where nothing on the board can read it."""
    if not exists(_STATE + "/slots"):
        return None
    Slots, Store = _whole()
    return Slots and Slots(Store(_STATE))


def _name():
    # None: no record of it, so the settings say it
    if not exists(_STATE + "/provides"):
        return None
    return _provides(_whole()[1]).get("artifact_name", "unknown")


def _provides(Store):
    try:
        return Store(_STATE).get_json("provides") or {}
    except Exception as error:  # damaged, or nothing can read it
        print("no provides:", error)
        return {}


def program(path):
    """[its first line, whether it has more than comments], of a boot.py or main.py."""
    works, first = False, None
    with open(path) as file:
        while True:
            feed()
            line = file.readline(200)
            if not line:
                return [first or "", works]
            first = line if first is None else first
            works = works or (line.strip() != "" and line[0] != "#")


def listing(folder, below=""):
    """Prints a line of JSON for each file below the folder: [path, size, SHA-256]; a folder's path
    ends in a slash."""
    for name, kind, _, size in _entries(folder):
        path = folder + "/" + name
        if kind == _FOLDER:
            print(json.dumps([below + name + "/", 0, ""]))
            listing(path, below + name + "/")
        else:
            print(json.dumps([below + name, size, sha256(path)]))


def make_folders(paths):
    """Parents come first."""
    for path in paths:
        if not exists(path):
            os.mkdir(path)


def remove(path):
    """A file, or a folder with all in it."""
    feed()
    if os.stat(path)[0] & _FOLDER:
        for name in os.listdir(path):
            remove(path + "/" + name)
        os.rmdir(path)
    else:
        os.remove(path)


def copy(source, to):
    """Returns the SHA-256 of what the flash holds then."""
    buffer = memoryview(bytearray(512))
    with open(source, "rb") as old, open(to, "wb") as new:
        while True:
            count = old.readinto(buffer)
            if not count:
                break
            new.write(buffer[:count])
            if old.tell() % _BLOCK == 0:
                feed()
    return sha256(to)


def retire(slot):
    """Take the name of a slot from it, so that the boot guard cannot start it any more."""
    record = _slots()
    if record and record.active == slot and record.running:
        record.switch(record.running, None, 0)
    if exists(_part(slot)):
        remove(_part(slot))
    os.rename("/" + slot, _part(slot))


def hidden(names):
    """Those of the names that would hide modules of a firmware that brings instar."""
    from instar.boot import hiding  # the firmware's: its modules are what may be hidden

    return hiding(names)


def switch(slot):
    """The slot starts from now on, and is proven."""
    Slots, Store = _whole()
    Slots(Store(_STATE)).switch(slot, None, 0)


def call_it(name):
    """What runs has this name; what told the versions of an application before goes."""
    Store = _whole()[1]
    found = _provides(Store)
    kept = {key: found[key] for key in found if "micropython-app" not in key.split(".")}
    kept["artifact_name"] = name
    Store(_STATE).put_json("provides", kept)


def drop_update():
    """Forget the update that is under way."""
    _whole()[1](_STATE).delete("update")
