import hashlib
import struct

from artifact_build import CHUNKINGS, chunks, gzip, rejection, vector

from instar import memory
from instar.artifact.inflate import Inflater

TEXT = "83794f5f45b9cab5fdb5109764cceab4afa60f0cbdac08b2a0294f722a3d9f09"
LENGTH = 100000


def run(data, size=0, limit=None):
    """(SHA-256, length) of what `data`, fed in chunks of `size`, unpacks to."""
    running = hashlib.sha256()
    inflater = Inflater(running.update, limit)
    try:
        for view in chunks(data, size):
            inflater.feed(view)
        inflater.finish()
    finally:
        inflater.close()
    return running.digest().hex(), inflater.total


def refused(data, size=0, limit=None):
    return rejection(run, data, size, limit)


def test_every_chunking_gives_the_same_bytes():
    data = vector("text.gz")
    for size in CHUNKINGS:
        assert run(data, size) == (TEXT, LENGTH), size


def test_output_that_ends_on_a_full_buffer_still_has_its_crc_checked():
    for length in (0, 1, 1023, 1024, 1025, 2048, 65536):
        plain = b"\xa5" * length
        good = gzip(plain)
        assert run(good) == (hashlib.sha256(plain).digest().hex(), length)
        bad = bytearray(good)
        bad[-8] ^= 1
        assert "damaged" in refused(bad), length


def test_every_truncation_of_the_end_and_the_start_is_refused():
    data = vector("text.gz")
    for length in list(range(64)) + list(range(len(data) - 64, len(data))):
        for size in (0, 1):
            assert "in mid-stream" in refused(data[:length], size), length
    small = gzip(b"hello")
    for length in range(len(small)):
        assert refused(small[:length]), length


def test_what_follows_the_stream_is_refused():
    for data in (vector("text.gz"), gzip(b"hello"), gzip(b"")):
        for rest in (b"\0", b"x" * 9000, data):
            for size in (0, 1, 512):
                assert "after the end of the stream" in refused(data + rest, size)


def test_what_is_no_gzip_is_refused():
    for data in (b"", b"x", b"not a gzip at all" * 400, b"\x1f\x8b\x08", bytes(8000)):
        assert refused(data) and refused(data, 1), data[:10]


def test_a_flipped_bit_is_found():
    data = vector("text.gz")
    # The trailer's last word is the length, which DeflateIO ignores; bytes 3 to 9 hold flags,
    # time and system, some of which have no say in the content.
    for at in [0, 1, 2] + list(range(10, len(data) - 4, 97)):
        bad = bytearray(data)
        bad[at] ^= 0x10
        assert refused(bad), at


def test_the_limit_bounds_the_output():
    data = vector("text.gz")
    assert run(data, 512, LENGTH) == (TEXT, LENGTH)
    assert f"at most {LENGTH - 1} bytes" in refused(data, 512, LENGTH - 1)


def test_a_bomb_stops_at_the_limit_not_after_it():
    pushed = []
    inflater = Inflater(lambda view: pushed.append(len(view)), 5000)
    bomb = gzip(bytes(100000))
    assert "at most 5000" in rejection(inflater.feed, memoryview(bomb))
    assert sum(pushed) <= 5000


def test_a_stream_of_nothing_is_refused_the_same_way_in_every_chunking():
    empty = struct.pack("<BHH", 0, 0, 0xFFFF)
    good = gzip(b"hello")
    many = good[:10] + empty * 2000 + good[10:]
    for size in CHUNKINGS:
        # 600 blocks are more than the low water, but not more than the ring.
        for count in (100, 600):
            assert refused(good[:10] + empty * count + good[10:], size) is None, (count, size)
        assert "512 bytes of output from 2560 of input, got fewer" in refused(many, size), size


def test_the_error_of_whoever_takes_the_output_passes_through():
    def push(view):
        raise OSError(28)

    inflater = Inflater(push)
    inflater.feed(memoryview(gzip(b"hello")))
    try:
        inflater.finish()
    except OSError as error:
        assert error.errno == 28
    else:
        raise AssertionError("no error")


def test_the_place_is_held_again_after_each_stream():
    assert memory.reserve() and memory.reserve()
    assert run(vector("text.gz")) == (TEXT, LENGTH)
    assert memory.release(memory.FULL_WINDOW)
    assert not memory.release(memory.FULL_WINDOW)


def test_no_place_is_held_that_nobody_asked_for():
    assert run(vector("text.gz")) == (TEXT, LENGTH)
    assert not memory.release(memory.FULL_WINDOW)


def test_the_place_is_held_again_after_an_error():
    memory.reserve()
    assert refused(vector("text.gz")[:-1])
    assert memory.release(memory.FULL_WINDOW)
