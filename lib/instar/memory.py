# RAM that is held for later, and RAM that is given back.
#
#   reserve()                                # at boot: the place of one inflate window
#   from .artifact.reader import Reader      # in the function that needs it
#   ...
#   forget("instar.artifact")                # nothing may hold a class or function of it any more
#
# The inflate window is one contiguous block, which a heap in use soon has no room for: so its
# place is taken early, freed just before DeflateIO allocates, and taken again. And the parts that
# never work at the same time (signing a request, reading an Artifact) take turns in the heap:
# importing again from ROMFS or frozen code costs milliseconds.
# SPDX-License-Identifier: MIT

import gc
import sys

from micropython import const

# DeflateIO takes its state (1.4 KiB), then its window (32 KiB); both must fit into the place.
_PLACE = const(34 * 1024)
_WINDOW = const(32 * 1024)

_placeholder = None


def reserve():
    """Hold the place of one inflate window: call it once, early at boot.

    Returns whether the place is held; without it inflating works as long as the heap has room.
    """
    global _placeholder
    if _placeholder is None:
        # Something small may have settled in the place while it was in use: then just the window.
        for size in (_PLACE, _WINDOW):
            try:
                _placeholder = bytearray(size)
                break
            except MemoryError:
                gc.collect()
    return _placeholder is not None


def release():
    """Free the place, so that the next large block fits into it. Returns whether it was held."""
    global _placeholder
    held = _placeholder is not None
    _placeholder = None
    gc.collect()
    return held


def forget(package):
    """Unload a package and its submodules, and collect what they held."""
    for name in list(sys.modules):
        if name == package or name.startswith(package + "."):
            del sys.modules[name]
    parent, _, leaf = package.rpartition(".")
    parent = sys.modules.get(parent)
    if hasattr(parent, leaf):
        delattr(parent, leaf)
    gc.collect()
