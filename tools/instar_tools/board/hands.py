# What a board's REPL is given before it is asked for anything: `instar deploy` and its like send
# this file to the raw REPL, and then call what is in it.
#
# Limits: stock modules only; nothing of instar, which may not be there yet. A watchdog that an
# agent started cannot be stopped, only be started anew with a longer time, and fed. None is
# started where there was none: without instar, or without settings that ask for one.
# SPDX-License-Identifier: MIT
import binascii
import gc
import hashlib
import json
import os
import sys

_LONGEST_MS = (120000, 8388)  # an RP2040 takes no more than the second
_TRIAL_BOOTS = 3  # that an application gets (lib/instar/installers/app.py)
_TRIAL_MS = 90000000  # more than the longest proof_timeout, a day
_SETTINGS, _STATE = "/instar.json", "/.instar"
_PENDING = 1  # otadata: its one start to prove itself is under way


def _frozen(module):
    path = getattr(module, "__file__", "/")
    return path[:1] != "/" or path[:5] == "/rom/"


def _instar():
    # (version, whether the firmware brings it), of what would be imported; None, None
    try:
        import instar

        return instar.__version__, _frozen(instar)  # a folder without __init__ has none
    except Exception as error:  # there is none, or it is damaged
        print("no instar:", error)
        return None, None


def _asks_for_watchdog():
    # Of the agent. What a Bootstrap service brought may ask for one where the file does not.
    try:
        with open(_SETTINGS) as file:
            found = json.load(file).get("watchdog")
        return found != 0 or any(name.startswith("config") for name in os.listdir(_STATE))
    except (OSError, ValueError, AttributeError):  # no agent starts with these
        return False


def _watchdog(longest=_LONGEST_MS):
    for timeout in longest:
        try:
            from machine import WDT

            return WDT(timeout=timeout).feed
        except Exception as error:  # too long for this port, or it has none
            last = error
    print("no watchdog:", last)
    return None


def _on_trial():
    # Whether a restart takes the firmware that runs back (ESP-IDF's bootloader_utility.c).
    if sys.platform != "esp32":
        return False
    from esp32 import Partition

    types = [part.info()[1] for part in Partition.find(Partition.TYPE_APP)]
    slots = [subtype for subtype in types if 0x10 <= subtype < 0x20]
    entry = bytearray(32)
    for otadata in Partition.find(Partition.TYPE_DATA, 0):
        for sector in (0, 1):
            otadata.readblocks(sector, entry)
            words = [int.from_bytes(entry[at : at + 4], "little") for at in (0, 24, 28)]
            sequence, state, crc = words
            if state == _PENDING and binascii.crc32(entry[:4], 0xFFFFFFFF) == crc and slots:
                running = Partition(Partition.RUNNING).info()[1]
                return 0x10 + (sequence - 1) % len(slots) == running
    return False


def outlast_trial():
    """The agent feeds the watchdog again, or never: it must not end the trial before the agent."""
    if _fed:
        _watchdog((_TRIAL_MS,))


def give_boots_back():
    """After each restart that the host asked for: an application on trial is not to lose its
    boots (lib/instar/boot.py counts them) by that one, nor by the one that ends the session."""
    if "slots" not in _records():
        return
    before = list(sys.modules)
    try:
        from instar.boot import Slots
        from instar.store import Store

        slots = Slots(Store(_STATE))
        if slots.left is not None and slots.active == slots.running:
            slots.switch(slots.active, min(slots.left + 2, _TRIAL_BOOTS), slots.watchdog)
    except Exception as error:  # software that is as bad as this goes back
        print("the boots were not given back:", error)
    for name in list(sys.modules):
        if name not in before:
            sys.modules.pop(name)
            package, _, leaf = name.rpartition(".")
            if hasattr(sys.modules.get(package), leaf):
                delattr(sys.modules[package], leaf)


def _records():
    try:
        return os.listdir(_STATE)
    except OSError:
        return []


def about():
    """What the host has to know of this board, as JSON on the last line."""
    version, frozen = _instar()
    what = sys.implementation
    # os.uname() is what a simulated board has its own answer for; not every port has it.
    uname = os.uname() if hasattr(os, "uname") else None
    print(
        json.dumps(
            {
                "implementation": what.name,
                "platform": sys.platform,
                "machine": uname.machine if uname else getattr(what, "_machine", ""),
                "version": what.version[:3],
                "version_text": uname.release if uname else sys.version,
                "mpy": getattr(what, "_mpy", None),
                "instar": version,
                "frozen_instar": version if frozen else None,
                "watched": _fed is not None,
                "on_trial": _on_trial(),
            }
        )
    )


def feed():
    if _fed:
        _fed()


def read(path):
    """A file in base64, a line for each piece."""
    buffer = memoryview(bytearray(768))
    with open(path, "rb") as file:
        while True:
            count = file.readinto(buffer)
            if not count:
                return
            feed()
            sys.stdout.write(binascii.b2a_base64(buffer[:count]))


def sha256(path):
    """In hex; None if there is no such file."""
    buffer = memoryview(bytearray(512))
    running = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while True:
                if file.tell() % 4096 == 0:
                    feed()
                count = file.readinto(buffer)
                if not count:
                    return binascii.hexlify(running.digest()).decode()
                running.update(buffer[:count])
    except OSError:
        return None


def begin(path):
    """A new file, for put() and end()."""
    global _file
    gc.collect()
    _file = open(path, "wb")


def put(text):
    """A piece in base64."""
    feed()
    _file.write(binascii.a2b_base64(text))


def end():
    global _file
    _file.close()
    _file = None


# What is sent after this imports it by its name.
sys.modules["hands"] = __import__("__main__")
_file = None
_fed = _watchdog() if _instar()[0] and _asks_for_watchdog() else None
gc.collect()
