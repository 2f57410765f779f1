# The console as whoever plays the board's serial port wants it (power_on's port=1): marks in the
# stream of bytes tell text from what sys.stdout.buffer writes. MicroPython's unix port ends lines
# with \n, a board with \r\n; the other side mends that, and must not where bytes are not text.
#
#   MARK "b" LENGTH BYTES   bytes as they are; LENGTH: four bytes, little-endian
#   MARK "p"                the program ended, the REPL begins
#
# Limits: a program that prints a MARK itself (no UTF-8 has it) confuses the other side.
# SPDX-License-Identifier: MIT
import io
import sys

from micropython import const

_MARK = b"\x00\xf5"
_LENGTH = const(4)


def repl_begins():
    """Mark where the REPL's own output begins."""
    sys.stdout.buffer.write(_MARK + b"p")


class _Binary(io.IOBase):
    # sys.stdout.buffer. One write for one mark: what comes between would be taken for bytes.
    def write(self, buf, *limits):
        view = memoryview(buf)
        if limits:  # (longest,) or (offset, longest), as the streams of MicroPython have it
            start = limits[0] if len(limits) > 1 else 0
            view = view[start : start + limits[-1]]  # pyright: ignore[reportGeneralTypeIssues]
        size = len(view).to_bytes(_LENGTH, "little")
        sys.stdout.buffer.write(b"".join((_MARK, b"b", size, bytes(view))))
        return len(view)


class Stdout(io.IOBase):
    """Stands for sys.stdout: text goes where print() puts it, bytes go with a mark."""

    def __init__(self):
        self.buffer = _Binary()

    def write(self, *args):
        return sys.stdout.write(*args)
