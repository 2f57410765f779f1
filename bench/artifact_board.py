# Run by bench/artifact.py and tests/host/test_reader_heap.py under MicroPython:
#   micropython artifact_board.py speed ARTIFACT GZIP
#   micropython artifact_board.py heap ARTIFACT
#   micropython artifact_board.py fragmented ARTIFACT
# Prints one line of JSON: seconds of the reader and of the same work in C alone; or the most live
# heap that the reader took, in bytes, and the largest free block before it began, in KiB.
# SPDX-License-Identifier: MIT
import gc
import hashlib
import io
import json
import sys
import time

import deflate
from heap_pieces import fragment, largest

import instar.artifact.header  # code, that comes with the first header and stays
from instar import memory
from instar.artifact import inflate
from instar.artifact.reader import Reader

_CHUNK = 4096
_RUNS = 4
_CHECKPOINT = 64  # chunks between two looks at the heap
_PIECE = 8192  # of a fragmented heap
_ROOM = 64  # KiB: what a look for the largest block begins with


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
    """Bytes in use, without the places that are only held for windows."""
    gc.collect()
    return gc.mem_alloc() - sum(len(place) for place in memory._held.values())


def read_artifact(path, chunk, sink, look=None):
    """Seconds for one Artifact from a file; look(chunks) is called after each chunk."""
    with open(path, "rb") as source:
        start = time.ticks_us()
        reader = Reader(lambda header: None, lambda name, size: sink)
        chunks = 0
        while count := source.readinto(chunk):
            reader.feed(chunk[:count])
            chunks += 1
            if look:
                look(chunks)
        reader.finish()
        return time.ticks_diff(time.ticks_us(), start) / 1e6


def most_heap(path, chunk, sink):
    """The most live heap in bytes that the reader took while it read `path`."""
    peak = 0

    def look(chunks):
        nonlocal peak
        if chunks < _CHECKPOINT or chunks % _CHECKPOINT == 0:
            peak = max(peak, live())

    before = live()
    read_artifact(path, chunk, sink, look)
    return peak - before


def heap(artifact, fragmented):
    chunk = memoryview(bytearray(_CHUNK))
    sink = Sink()
    pieces = ()
    if fragmented:
        memory.reserve()
        pieces = fragment(_PIECE)
    found = {
        "largest": largest(_ROOM),
        "heap": most_heap(artifact, chunk, sink),
        "bytes": sink.size,
    }
    found["pieces"] = len(pieces)  # they have to be there until now
    return found


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


def speed(artifact, gzip):
    # The best of several, in turns: whatever else the machine does only adds time.
    reader = c = 1e9
    chunk = memoryview(bytearray(_CHUNK))
    for _ in range(_RUNS):
        reader = min(reader, read_artifact(artifact, chunk, Sink()))
        c = min(c, c_only(gzip))
    return {"reader": reader, "c": c}


def main(mode, artifact, *more):
    if mode == "speed":
        print(json.dumps(speed(artifact, *more)))
    else:
        print(json.dumps(heap(artifact, mode == "fragmented")))


main(*sys.argv[1:])
