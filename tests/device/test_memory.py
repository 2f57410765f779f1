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


def test_a_place_that_is_no_longer_whole_is_told():
    assert not memory.spoilt()  # nobody ever held it
    filler = full_but_for(34800)
    assert memory.reserve((memory.FULL_WINDOW,)) and not memory.spoilt()
    memory.release(memory.FULL_WINDOW)
    assert memory.spoilt()
    settled = bytearray(300)
    memory.restore((memory.FULL_WINDOW,))
    assert memory.spoilt() and settled and filler
    del settled
    memory.release(memory.FULL_WINDOW)
    memory.restore((memory.FULL_WINDOW,))
    assert not memory.spoilt()


def test_a_heap_that_never_had_the_room_is_not_spoilt():
    filler = full_but_for(34000)
    assert memory.reserve() and not memory.spoilt()
    assert filler
