# Run under MicroPython by test_inflate_heap.py: fragmented_heap.py GZIP RESERVE("yes" or "no")
# Fills the heap with small blocks and frees every other one, so that no large block is left,
# then inflates. Prints the outcome.
import hashlib
import sys

from heap_pieces import fragment, largest

from instar import memory
from instar.artifact.inflate import Inflater
from instar.errors import Broken

_PIECE = 480


def main(path, reserve):
    with open(path, "rb") as file:
        data = memoryview(file.read())
    running = hashlib.sha256()
    # These buffers are there before the heap is full, as an agent's are.
    inflaters = [Inflater(running.update), Inflater(running.update)]
    if reserve == "yes":
        assert memory.reserve()
    pieces = fragment(_PIECE)
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
