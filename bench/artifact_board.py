# Run by bench/artifact.py under MicroPython: micropython artifact_board.py ARTIFACT GZIP
# Prints one line of JSON: seconds and live heap of the reader, and of the same work in C alone.
# SPDX-License-Identifier: MIT
import gc
import hashlib
import io
import json
import sys
import time

import deflate

import instar.artifact.header  # code, that comes with the first header and stays
from instar.artifact import inflate
from instar.artifact.reader import Reader

_CHUNK = 4096
_RUNS = 4
_CHECKPOINT = 64  # chunks between two looks at the heap


class Sink:
    """Takes the bytes as a flash driver would: copies them into a block."""

    def __init__(self):
        self.block = memoryview(bytearray(4096))
        self.size = 0

    def write(self, view):
        self.block[: len(view)] = view
        self.size += len(view)

    def close(self):
        pass


def live():
    gc.collect()
    return gc.mem_alloc()


def read_artifact(path, measure):
    """(seconds, the most live heap that the reader took) for one Artifact from a file."""
    chunk = memoryview(bytearray(_CHUNK))
    sink = Sink()
    with open(path, "rb") as source:
        before = peak = live()
        start = time.ticks_us()
        reader = Reader(lambda header: None, lambda name, size: sink)
        chunks = 0
        while count := source.readinto(chunk):
            reader.feed(chunk[:count])
            chunks += 1
            if measure and (chunks < _CHECKPOINT or chunks % _CHECKPOINT == 0):
                peak = max(peak, live())
        reader.finish()
    return time.ticks_diff(time.ticks_us(), start) / 1e6, peak - before


def c_only(path):
    """Seconds for inflate, SHA-256 and one copy with the input a C file: the least possible."""
    block = memoryview(bytearray(4096))
    copy = memoryview(bytearray(4096))
    with open(path, "rb") as source:
        raw = source.read()  # a bench on a host: all of it, so that no file is read meanwhile
    start = time.ticks_us()
    plain = deflate.DeflateIO(io.BytesIO(raw), deflate.GZIP)
    running = hashlib.sha256()
    while count := plain.readinto(block):
        running.update(block[:count])
        copy[:count] = block[:count]
    return time.ticks_diff(time.ticks_us(), start) / 1e6


def main(artifact, gzip):
    _, heap = read_artifact(artifact, True)
    # The best of several, in turns: whatever else the machine does only adds time.
    reader = c = 1e9
    for _ in range(_RUNS):
        reader = min(reader, read_artifact(artifact, False)[0])
        c = min(c, c_only(gzip))
    print(json.dumps({"reader": reader, "c": c, "heap": heap}))


main(sys.argv[1], sys.argv[2])
