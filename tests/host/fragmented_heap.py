# Run under MicroPython by test_inflate_heap.py: fragmented_heap.py GZIP RESERVE("yes" or "no")
# Fills the heap with small blocks and frees every other one, so that no large block is left,
# then inflates. Prints the outcome.
import gc
import hashlib
import sys

from instar import memory
from instar.artifact.inflate import Inflater
from instar.errors import Broken

_PIECE = 480


def fragment():
    """Take the whole heap in pieces, then free every other one."""
    pieces = []
    try:
        while True:
            pieces.append(None)
            pieces[-1] = bytearray(_PIECE)
    except MemoryError:
        pass
    for i in range(0, len(pieces), 2):
        pieces[i] = None
    gc.collect()
    return pieces


def largest(limit):
    """The largest block that can be taken, in KiB."""
    size = limit
    while size:
        try:
            bytearray(size * 1024)
            return size
        except MemoryError:
            size -= 1
    return 0


def main(path, reserve):
    with open(path, "rb") as file:
        data = memoryview(file.read())
    running = hashlib.sha256()
    # These buffers are there before the heap is full, as an agent's are.
    inflaters = [Inflater(running.update), Inflater(running.update)]
    if reserve == "yes":
        assert memory.reserve()
    pieces = fragment()
    print("largest", largest(33))
    for inflater in inflaters:
        try:
            inflater.feed(data)
            inflater.finish()
            print("inflated", inflater.total)
        except Broken as error:
            print(error)
        finally:
            inflater.close()
    print("held", memory.release(memory.FULL_WINDOW), len(pieces) > 100)


main(sys.argv[1], sys.argv[2])
