# A heap in pieces, for bench/artifact_board.py and tests/host/fragmented_heap.py: run by
# MicroPython, which finds it beside the first and by MICROPYPATH for the second.
#
#   pieces = fragment(480)       # to be kept as long as the heap has to stay so
#   largest(64)                  # KiB
# SPDX-License-Identifier: MIT
import gc


def fragment(size):
    """Take the whole heap in pieces of `size` bytes, then free every other one."""
    pieces = []
    try:
        while True:
            pieces.append(None)
            pieces[-1] = bytearray(size)
    except MemoryError:
        pass
    for i in range(0, len(pieces), 2):
        pieces[i] = None
    gc.collect()
    return pieces


def largest(limit):
    """The largest block that can be taken, in KiB, at most `limit`."""
    while limit:
        try:
            bytearray(limit * 1024)
            return limit
        except MemoryError:
            limit -= 1
    return 0
