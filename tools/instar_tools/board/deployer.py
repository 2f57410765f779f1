# What `instar deploy` runs on a board, in its raw REPL, beside board/hands.py: it looks at what is
# there, and makes the few changes that have to be made in one step.
#
# The boot guard's record and the name of the software are written by instar's own code, which the
# running slot, the firmware, or the slot that was just filled brings.
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
    recorded = exists(_STATE + "/slots")
    record = _slots() if recorded else None
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


def _slots():
    try:
        from instar.boot import Slots
        from instar.store import Store
    except Exception as error:  # none is there yet, or it is damaged
        print("no boot guard:", error)
        return None
    return Slots(Store(_STATE))


def _name():
    # None: no record of it, so the settings say it
    if not exists(_STATE + "/provides"):
        return None
    try:
        from instar.provides import Provides
        from instar.store import Store
    except Exception as error:
        print("no provides:", error)
        return None
    return Provides(Store(_STATE), "unknown", print).get()["artifact_name"]


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
    record = _slots() if exists(_STATE + "/slots") else None
    if record and record.active == slot and record.running:
        record.switch(record.running, None, 0)
    if exists(_part(slot)):
        remove(_part(slot))
    os.rename("/" + slot, _part(slot))


def hidden(names):
    """Those of the names that would hide modules of a firmware that brings instar."""
    from instar.boot import hiding

    return hiding(names)


def _instar_of(slot):
    if "/" + slot not in sys.path:
        sys.path.insert(0, "/" + slot)
    from instar.store import Store

    return Store(_STATE)


def switch(slot):
    """The slot starts from now on, and is proven."""
    store = _instar_of(slot)
    from instar.boot import Slots

    Slots(store).switch(slot, None, 0)


def call_it(name, slot):
    """What runs has this name; what told the versions of an application before goes. False where
    this instar tells nobody."""
    store = _instar_of(slot)
    try:
        from instar.provides import Provides
    except ImportError:
        return False
    record = Provides(store, name, print)
    found = record.get()
    kept = {key: found[key] for key in found if "micropython-app" not in key.split(".")}
    kept["artifact_name"] = name
    record.put(kept)
    return True


def drop_update(slot):
    """Forget the update that is under way."""
    _instar_of(slot).delete("update")
