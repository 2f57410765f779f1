# The board's ROMFS segment, for `instar deploy --romfs`: sent to the raw REPL after hands.py.
#
# Limits: segments that are block devices, as those of ports/esp32 and ports/rp2.
# SPDX-License-Identifier: MIT
import binascii
import gc
import hashlib
import sys

import vfs
from hands import feed

_BLOCKS = 4
_BLOCK_SIZE = 5
_ERASE = 6
_PLACE = "/rom"


def segment():
    """The device, or None where the firmware has no ROMFS, or none that can be written so."""
    if not hasattr(vfs, "rom_ioctl") or vfs.rom_ioctl(1) < 1:
        return None
    found = vfs.rom_ioctl(2, 0)
    return found if hasattr(found, "writeblocks") else None


def segment_size():
    device = segment()
    return device and device.ioctl(_BLOCKS, 0) * device.ioctl(_BLOCK_SIZE, 0)


def segment_sha256(length):
    """Of its first bytes, in hex."""
    device, running = segment(), hashlib.sha256()
    size = device.ioctl(_BLOCK_SIZE, 0)
    buffer = memoryview(bytearray(size))
    for block in range(-(-length // size)):
        feed()
        device.readblocks(block, buffer)
        running.update(buffer[: min(size, length - block * size)])
    return binascii.hexlify(running.digest()).decode()


def leave():
    """Nothing runs from the segment any more: its bytecode is used where it lies."""
    for name in list(sys.modules):
        if getattr(sys.modules[name], "__file__", "").startswith(_PLACE + "/"):
            del sys.modules[name]
    try:
        vfs.umount(_PLACE)
    except OSError as error:
        print("nothing is mounted at", _PLACE, error)
    gc.collect()


def write_segment(offset, text):
    """A piece in base64 at that offset; what begins a block erases it first."""
    feed()
    device = segment()
    block, within = divmod(offset, device.ioctl(_BLOCK_SIZE, 0))
    if within == 0:
        device.ioctl(_ERASE, block)
    device.writeblocks(block, binascii.a2b_base64(text), within)
