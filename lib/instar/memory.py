# RAM that is held for later, and RAM that is given back.
#
#   reserve()                                # at boot: the places that inflating needs
#   from .artifact.reader import Reader      # in the function that needs it
#   ...
#   forget("instar.artifact")                # nothing may hold a class or function of it any more
#
# DeflateIO's window is one contiguous block, which a heap in use soon has no room for: so its
# place is taken early, freed just before DeflateIO allocates, and taken again after. And parts
# that never work at the same time (signing a request, reading an Artifact) take turns in the
# heap: importing again from ROMFS or frozen code costs milliseconds.
# SPDX-License-Identifier: MIT

import gc
import sys

from micropython import const

# DeflateIO takes its state (1.4 KiB) with its window, from the same place. The small one is for
# an Artifact's header: it is gone before the payload's comes.
SMALL_WINDOW = 11
FULL_WINDOW = 15
_PLACES = {FULL_WINDOW: 34560, SMALL_WINDOW: 3584}

_STEP = const(256)

_held = {}
_wanted = False
_whole = 0  # bytes of the large place, at its largest


def reserve(windows=(FULL_WINDOW, SMALL_WINDOW)):
    """Hold the places of both windows: call it once, early at boot.

    Returns whether the large place is held; without it inflating works while the heap has room.
    """
    global _wanted, _whole
    _wanted = True
    gc.collect()
    gc.disable()  # a try that fails would collect by itself, before its exception is garbage
    for window in windows:
        size = _PLACES[window]
        # Small things may have settled at the edges while it was in use: then what is left of it.
        while window not in _held and size >= 1 << window:
            try:
                _held[window] = bytearray(size)
            except MemoryError:
                size -= _STEP
            if window not in _held:
                gc.collect()  # else the exceptions themselves settle in what is left
    gc.enable()
    _whole = max(_whole, len(_held.get(FULL_WINDOW, b"")))
    return FULL_WINDOW in _held


def spoilt():
    """Whether the large place was whole once and is no longer: what was inflated left the heap in
    pieces. Only a restart mends that."""
    return _whole and len(_held.get(FULL_WINDOW, b"")) < _whole


def restore(windows=(FULL_WINDOW, SMALL_WINDOW)):
    """Hold again what was released, where reserve() had been called before."""
    if _wanted:
        reserve(windows)


def release(window):
    """Free the place of a window, so that DeflateIO finds it. Returns whether it was held."""
    held = _held.pop(window, None) is not None
    gc.collect()
    return held


def forget(package):
    """Unload a package and its submodules, and collect what they held.

    To be called when the functions that used them have returned: what their frames still hold
    stays.
    """
    while _forget_one(package):
        pass
    parent, _, leaf = package.rpartition(".")
    parent = sys.modules.get(parent)
    if hasattr(parent, leaf):
        delattr(parent, leaf)
    gc.collect()


def _forget_one(package):
    # No list of the names: this is called where the heap is full.
    for name in sys.modules:
        if name == package or name.startswith(package + "."):
            sys.modules.pop(name, None)  # no value: its import found no room; del raises there
            return True
    return False
