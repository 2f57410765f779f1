# The names in frozen code lie in an ESP32's flash, interned once for all. Code in a ROMFS has them
# interned on the heap, when it is imported. names.intern("/rom") does that at power-on, for all of
# the ROMFS, so that the board's heap begins after it; make_room() is for those that come later.
#
# Format: MicroPython's tools/mpy-tool.py; `M`, version, flags, bits, then varuints: how many names
# and constants, and for each name its length times two (odd: one that every MicroPython has),
# its bytes and a NUL.
# SPDX-License-Identifier: MIT
import gc
import os

from micropython import const

_FOLDER = const(0x4000)
_BATCH = const(50)
_TABLE = const(8000)  # bytes; less than the tables that names are entered into by then
_HEADER = const(4)


class _Nothing:
    pass


def intern(folder):
    """Have all names interned that the .mpy files below `folder` hold, if there is one."""
    try:
        entries = os.ilistdir(folder)
    except OSError:
        return  # stock firmware has no ROMFS
    for name, mode, *_ in entries:
        path = folder + "/" + name
        if mode == _FOLDER:
            intern(path)
        elif name.endswith(".mpy"):
            with open(path, "rb") as file:
                file.seek(_HEADER)
                _names(file)
            gc.collect()  # so that tables and names lie together


def _names(file):
    count = _number(file)
    _number(file)
    for _ in range(count):
        size = _number(file)
        if not size & 1:
            hasattr(_Nothing, str(file.read((size >> 1) + 1)[:-1], "utf-8"))


def _number(file):
    value = 0
    while True:
        byte = file.read(1)[0]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value


def make_room():
    """Names are entered into tables, each twice as large as the one before. On a board the next
    one is small, since those for frozen code lie in flash: here it is made beforehand."""
    number = 0
    gc.collect()
    while True:
        before = gc.mem_alloc()
        for _ in range(_BATCH):
            hasattr(_Nothing, "_%x" % number)
            number += 1
        gc.collect()
        if gc.mem_alloc() - before > _TABLE:
            return
