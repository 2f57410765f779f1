import gc

from instar import memory


def full_but_for(size):
    """Fill the heap, all but one piece of `size` bytes; what fills it, to be kept."""
    piece = bytearray(size)
    filler = None
    for step in (65536, 4096, 256, 16):
        while True:
            try:
                filler = (filler, bytearray(step))
            except MemoryError:
                break
    del piece
    gc.collect()
    return filler


def test_a_place_where_small_things_settled_is_held_again():
    """In a full heap even the exceptions of the tries that fail lie in what is left of it."""
    filler = full_but_for(34000)
    assert memory.reserve()
    assert len(memory._held[memory.FULL_WINDOW]) >= 32768
    assert filler


def test_without_room_nothing_is_held_and_nothing_breaks():
    filler = full_but_for(20000)
    assert not memory.reserve()
    assert memory.release(memory.SMALL_WINDOW)
    assert not memory.release(memory.FULL_WINDOW)
    assert filler
