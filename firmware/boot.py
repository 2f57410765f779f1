# Runs first at every start: makes sure of what gets imported, then lets the boot guard choose the
# application's slot (lib/instar/boot.py: in the firmware, else in /guard).
#
# MicroPython looks in '' (the file system's root) before the frozen modules, so a stale
# /instar or /errors.py left on the file system would run instead of the new firmware's.
# No import but sys may come before that is mended.
# SPDX-License-Identifier: MIT

import sys

sys.path[:] = [p for p in sys.path if p not in ("", "/lib", "/guard")] + ["/guard"]


def _guard():
    from instar import boot

    boot.start()


def _without_guard():
    # Behind the firmware's own modules, which need no slot.
    import os

    sys.path[:] = [p for p in sys.path if p != "/guard"]
    for slot in ("/a", "/b"):
        try:
            os.stat(slot)
            return sys.path.append(slot)
        except OSError:
            continue


def _forget():
    # The guard's instar is not the slot's.
    for name in list(sys.modules):
        if name.split(".")[0] == "instar":
            del sys.modules[name]


try:
    _guard()
except Exception as error:  # damaged: the board starts all the same
    sys.print_exception(error)
    _without_guard()
_forget()
sys.path.extend(("/lib", ""))
# main.py has the same globals, which would keep these in the heap.
del _guard, _without_guard, _forget
