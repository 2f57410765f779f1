# A push decompressor for one gzip member, at the speed of MicroPython's own C code.
#
#   gzip = Inflater(push, limit)     # push(view) gets the plain bytes
#   gzip.feed(view) ...
#   gzip.finish()                    # the input ended: checks the CRC, refuses what is left over
#   gzip.close()                     # always, also after an error: gives the memory back
#
# DeflateIO pulls its input byte by byte, so it pulls from a RingIO, which is C as well. It cannot
# wait: if the ring runs dry inside a symbol, the decoder's state is lost. So it is asked for
# output only while the ring holds more input than that output can need. Filling the ring to the
# brim before draining it makes the outcome independent of how the input was cut into chunks.
#
# Limits: one gzip member; 32 KiB window (gzip does not state a smaller one); the length word of
# the trailer is not checked (DeflateIO ignores it; the caller's hashes cover the content). A
# stream that needs more than 2.5 KiB for 512 bytes of output (empty blocks, mostly) is refused.
#
# The window is one contiguous block: where memory.py holds a place for it, that is freed just
# before DeflateIO allocates, and taken again.
# SPDX-License-Identifier: MIT

import gc
from io import BytesIO

import deflate
from micropython import RingIO, const

from .. import memory
from ..errors import Broken
from .refusal import refused

_OUTPUT = const(512)
# A deflate symbol of 15 bits yields one byte at worst; block headers take < 400 bytes each.
_LOW_WATER = const(2 * 512 + 1536)
_RING = const(3072)


class Inflater:
    """One gzip stream on its way through.

    Args:
        push: called with a memoryview of at most 512 plain bytes, good until it returns.
        limit: the most plain bytes to accept, or None.
        what: how messages call this stream.

    feed and finish raise Rejected for a stream that is damaged, cut short or larger than the
    limit, and Broken if the heap has no room for the window.
    """

    def __init__(self, push, limit=None, what="gzip"):
        self._push = push
        self._limit = limit
        self._what = what
        memory.release(memory.SMALL_WINDOW)  # it was the header's: the ring has the place
        self._ring = RingIO(_RING)
        self._room = _RING
        self._buffer = bytearray(_OUTPUT)
        self._view = memoryview(self._buffer)
        self._plain = None  # the DeflateIO, from the first read on
        self._ended = False  # the deflate stream, with its CRC verified
        self.total = 0  # plain bytes so far

    def feed(self, view):
        """Take the next compressed bytes: a memoryview of any length, used only now."""
        at = 0
        while at < len(view):
            if self._ended:
                raise self._refused("nothing after the end of the stream", "more bytes")
            taken = min(self._room, len(view) - at)
            self._ring.write(view[at : at + taken])
            self._room -= taken
            at += taken
            if not self._room:
                self._drain(_LOW_WATER)

    def finish(self):
        """The input is over: push what is left, and check that the stream is whole."""
        self._drain(0)
        if self._ring.any():
            raise self._refused("nothing after the end of the stream", f"{self._ring.any()} bytes")

    def close(self):
        """Give the window back and hold its place again, if it was held before."""
        if self._plain:
            self._plain = None
            memory.restore()

    def _drain(self, low_water):
        ring = self._ring
        while not self._ended and ring.any() >= low_water:
            count = self._read(low_water)
            self.total += count
            if self._limit is not None and self.total > self._limit:
                raise self._refused(f"at most {self._limit} bytes of content", "more")
            # A full buffer says nothing about the end: only the read after the last byte reaches
            # the CRC. So nothing but a read of no bytes ends the stream.
            if count:
                self._push(self._view[:count])
            else:
                self._ended = True
        self._room = _RING - ring.any()

    def _read(self, low_water):
        if self._plain is None:
            self._plain = deflate.DeflateIO(self._ring, deflate.GZIP)
            memory.release(memory.FULL_WINDOW)  # last: what reads first has the place
        try:
            return self._plain.readinto(self._buffer) or 0
        except EOFError:
            if low_water:
                raise self._refused(
                    f"{_OUTPUT} bytes of output from {_LOW_WATER} of input", "fewer"
                )
            raise self._refused("more data", "the end, in mid-stream")
        except OSError:
            raise self._refused("a gzip stream", "one that is damaged, or not gzip at all")
        except MemoryError:
            raise Broken(f"{self._what}: expected 32 KiB of heap in one piece for the window")

    def _refused(self, expected, came):
        return refused(self._what, expected, came)


def unpack(raw, push, limit, what):
    """A whole small gzip at once: push(view) gets the plain bytes. raw: bytes.

    It is tried with a window of 2 KiB. Returns False if that did not do: the caller starts again,
    with an Inflater.
    """
    source = BytesIO(raw)
    view = memoryview(bytearray(_OUTPUT))
    plain = deflate.DeflateIO(source, deflate.GZIP, memory.SMALL_WINDOW)
    memory.release(memory.SMALL_WINDOW)
    total = 0
    try:
        while count := plain.readinto(view):
            total += count
            if total > limit:
                raise refused(what, f"at most {limit} bytes of content", "more")
            push(view[:count])
    except (EOFError, OSError):
        return False
    if source.read(1):  # pyright: ignore[reportAttributeAccessIssue]
        raise refused(what, "nothing after the end of the stream", "more bytes")
    return True
