# What runs now, told in a moment: whether it is still what was committed is asked at every start.
#
#   identity("rootfs-image")            # hex of the SHA-256 that the running image ends in
#   identity("micropython-app")         # "b:1234567": the slot, and a sum over names and sizes
#
# Limits: an application's file that is replaced by one of the same size is not noticed; a digest
# of the content takes seconds on a board (app.py's running()).
# SPDX-License-Identifier: MIT

import binascii
import os
import sys

from micropython import const

from ..errors import Broken

_FOLDER = const(0x4000)  # in a mode, as os.ilistdir() gives it


def identity(kind):
    """A string; None for a payload type that is not watched, and for what has no identity."""
    if kind == "micropython-app":
        return _application()
    return _firmware() if kind == "rootfs-image" else None


def _firmware():
    try:
        from esp32 import Partition  # pyright: ignore[reportMissingImports]

        from .firmware import image_identity

        running = Partition(Partition.RUNNING)  # pyright: ignore[reportArgumentType]
        # In which slot it lies is all the same: a cable may write it into the first again.
        return image_identity(running).split(":")[1]
    except (Broken, ImportError):  # no image like those of an update, or instar without the part
        return None


def _application():
    for slot in "ab":
        if "/" + slot in sys.path:
            return f"{slot}:{_sum('/' + slot)}"
    return "firmware"  # the application in it


def _sum(folder):
    total = 0
    for entry in os.ilistdir(folder):
        path = f"{folder}/{entry[0]}"
        size = f"{path} {entry[3:]}".encode()
        total += _sum(path) if entry[1] == _FOLDER else binascii.crc32(size)
    return total & 0xFFFFFFFF
