"""SLIP (RFC 1055) as Espressif's loaders speak it: a frame begins and ends with 0xC0.

    line = slip.Decoder()
    for frame in line.feed(data): ...      # data as it came, cut anywhere
    port.write(slip.encode(answer))

Limits: what stands between two frames is a frame as well; who reads them has to know its own.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import re

END = b"\xc0"
_ESCAPE, _ESCAPED_END, _ESCAPED_ESCAPE = b"\xdb", b"\xdb\xdc", b"\xdb\xdd"
_BAD_ESCAPE = re.compile(rb"\xdb(?![\xdc\xdd])")
# A header of 8 bytes and the 65535 that its length can say, each of them escaped.
_LONGEST = 2 * (8 + 0xFFFF)


def encode(frame: bytes) -> bytes:
    """The frame as it goes over the line."""
    escaped = frame.replace(_ESCAPE, _ESCAPED_ESCAPE).replace(END, _ESCAPED_END)
    return END + escaped + END


class Decoder:
    """Takes the line's bytes apart; keeps what has no end yet."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The frames that end in `data`. Empty ones and those with an unknown escape are left out,
        and so is noise that is too long to be a frame."""
        *ended, self._rest = (self._rest + data).split(END)
        if len(self._rest) > _LONGEST:
            self._rest = b""
        return [_unescape(raw) for raw in ended if raw and not _BAD_ESCAPE.search(raw)]


def _unescape(raw: bytes) -> bytes:
    return raw.replace(_ESCAPED_END, END).replace(_ESCAPED_ESCAPE, _ESCAPE)
