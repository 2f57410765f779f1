# What a board's REPL is given before it is asked for anything: `instar deploy` and its like send
# this file to the raw REPL, and then call what is in it.
#
# Limits: stock modules only; nothing of instar, which may not be there yet. A watchdog that an
# agent started cannot be stopped: feed() starts it anew, with the longest time it can be given.
# It is started only where instar is: a new board gets none.
# SPDX-License-Identifier: MIT
import binascii
import gc
import hashlib
import json
import os
import sys

_LONGEST_MS = (120000, 8388)  # an RP2040 takes no more than the second


def _frozen(module):
    path = getattr(module, "__file__", "/")
    return path[:1] != "/" or path[:5] == "/rom/"


def _instar():
    # (version, whether the firmware brings it), of what would be imported; None, None
    try:
        import instar
    except Exception as error:  # there is none, or it is damaged
        print("no instar:", error)
        return None, None
    return instar.__version__, _frozen(instar)


def _watchdog():
    for timeout in _LONGEST_MS:
        try:
            from machine import WDT

            return WDT(timeout=timeout).feed
        except Exception as error:  # too long for this port, or it has none
            last = error
    print("no watchdog:", last)
    return None


def about():
    """What the host has to know of this board, as JSON on the last line."""
    version, frozen = _instar()
    what = sys.implementation
    # os.uname() is what a simulated board has its own answer for; not every port has it.
    uname = os.uname() if hasattr(os, "uname") else None
    print(
        json.dumps(
            {
                "platform": sys.platform,
                "machine": uname.machine if uname else getattr(what, "_machine", ""),
                "version": what.version[:3],
                "version_text": uname.release if uname else sys.version,
                "mpy": getattr(what, "_mpy", None),
                "instar": version,
                "frozen_instar": version if frozen else None,
                "watched": _fed is not None,
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
_fed = _watchdog() if _instar()[0] else None
gc.collect()
