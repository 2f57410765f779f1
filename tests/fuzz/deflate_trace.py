# What DeflateIO and RingIO do, step by step: run by MicroPython, and imported under CPython with
# the stand-ins, so that the two can be compared.
#   micropython deflate_trace.py FILE       # a stream in hex a line; prints a list a line
# SPDX-License-Identifier: MIT
import sys
from binascii import unhexlify

import deflate
from micropython import RingIO


def trace(data, step, size, window):
    """[[bytes, left in the ring], ..., name of the error] for reads of `size` bytes from a ring
    that gets `step` more bytes of `data` before each."""
    ring = RingIO(len(data) + 1)
    plain = deflate.DeflateIO(ring, deflate.GZIP, window)
    buffer = bytearray(size)
    found = []
    at = 0
    while len(found) < 1000:
        ring.write(data[at : at + step])
        at += step
        try:
            count = plain.readinto(buffer)
        except (EOFError, OSError) as error:
            found.append(type(error).__name__)
            return found
        found.append([sum(buffer[:count]), count, ring.any()])
        if not count:
            return found
    return found


def ring_trace():
    """What a ring of 10 bytes takes and gives."""
    ring = RingIO(10)
    found = []
    for size in (4, 7, 3):
        found.append([ring.write(b"x" * size), ring.any()])
    for size in (5, 1, 9, 1):
        found.append([len(ring.read(size)), ring.any()])
    return found


def traces(data):
    return [
        trace(data, len(data), 512, 0),
        trace(data, len(data), 7, 0),
        trace(data, 2560, 512, 0),
        trace(data, len(data), 512, 11),
    ]


def main(path):
    print(ring_trace())
    with open(path) as file:
        for line in file:
            print(traces(unhexlify(line.strip())))


if __name__ == "__main__":
    main(sys.argv[1])
