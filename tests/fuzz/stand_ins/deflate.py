"""MicroPython's DeflateIO on CPython's zlib, as far as reading a gzip goes.

What matters to its caller is the same: the source gives one byte at a time and never one too many;
EOFError if it is dry in mid-stream, with the output of that read lost; OSError for damage; the CRC
looked at by the read after the last byte only; the trailer's length not at all. Not the same: a
distance that reaches back before the first byte is damage here, stale memory there.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import zlib

AUTO, RAW, ZLIB, GZIP = range(4)
_DAMAGED = 22  # EINVAL
_CRC, _EXTRA, _NAME, _COMMENT, _RESERVED = 2, 4, 8, 16, 0xE0


class DeflateIO:
    def __init__(self, stream, format: int = AUTO, wbits: int = 0) -> None:
        assert format == GZIP
        self._stream = stream
        self._plain = None
        self._wbits = wbits or 15
        self._crc = 0
        self._ended = False

    def readinto(self, buffer) -> int:
        """Fill the buffer, or as much of it as there is before the end of the stream."""
        if self._plain is None:
            self._read_header()
            self._plain = zlib.decompressobj(-self._wbits)
        data = b"" if self._ended else self._inflate(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def _inflate(self, wanted: int) -> bytes:
        found = bytearray()
        data = b""
        try:
            while len(found) < wanted:
                found += self._plain.decompress(data, wanted - len(found))
                if self._plain.eof:
                    break
                data = self._byte() if len(found) < wanted else b""
        except zlib.error:
            raise OSError(_DAMAGED) from None
        self._crc = zlib.crc32(found, self._crc)
        # With a full buffer the end has not been looked for yet.
        if len(found) < wanted:
            self._read_trailer()
        return bytes(found)

    def _byte(self) -> bytes:
        data = self._stream.read(1)
        if not data:
            raise EOFError
        return data

    def _bytes(self, count: int) -> bytes:
        return b"".join(self._byte() for _ in range(count))

    def _read_header(self) -> None:
        if self._bytes(2) != b"\x1f\x8b":
            raise OSError(_DAMAGED)
        method, flags = self._bytes(2)
        if method != 8 or flags & _RESERVED:
            raise OSError(_DAMAGED)
        self._bytes(6)
        if flags & _EXTRA:
            self._bytes(int.from_bytes(self._bytes(2), "little"))
        for flag in (_NAME, _COMMENT):
            while flags & flag and self._byte() != b"\0":
                pass
        if flags & _CRC:
            self._bytes(2)

    def _read_trailer(self) -> None:
        if int.from_bytes(self._bytes(4), "little") != self._crc:
            raise OSError(_DAMAGED)
        self._bytes(4)
        self._ended = True
