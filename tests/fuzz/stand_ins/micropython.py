"""What the pure modules take from MicroPython's module of this name, for CPython."""
# SPDX-License-Identifier: MIT

from __future__ import annotations


def const(value):
    return value


class RingIO:
    """A ring of `size` bytes: what does not fit is not written."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._bytes = bytearray()

    def any(self) -> int:
        return len(self._bytes)

    def write(self, data) -> int:
        taken = min(len(data), self._size - len(self._bytes))
        self._bytes += data[:taken]
        return taken

    def read(self, size: int) -> bytes:
        data = bytes(self._bytes[:size])
        del self._bytes[:size]
        return data
