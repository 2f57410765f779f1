"""What a simulated board's process writes, as a board sends it over its serial port.

    text, sent = ConsoleText(raw=False).feed(data)

Lines end with CR LF there. What sys.stdout.buffer wrote is marked in `data`
(boards/UNIX/console.py) and is passed on byte for byte; it is no text. After a soft reset out of
the raw REPL a board is in the raw REPL again, without the friendly one's banner: that is left out.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import re

_MARK = b"\x00\xf5"
_BINARY, _REPL = b"b", b"p"
_HEAD = len(_MARK) + 1
_LENGTH = 4
_RAW_BANNER = b"raw REPL; CTRL-B to exit\r\n"
_FRIENDLY_BANNER = b'Type "help()"'
_BARE_LF = re.compile(rb"(?<!\r)\n")


class ConsoleText:
    """raw: the REPL will begin in raw mode. in_raw: whether it is in it now, by what it said."""

    def __init__(self, raw: bool = False) -> None:
        self.in_raw = False
        self._raw = raw
        self._hidden: bytes | None = None
        self._rest = b""
        self._tail = b""
        self._cr = b""

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """Returns (text, for the console's lines; what goes over the port)."""
        self._rest += data
        text, sent = bytearray(), bytearray()
        while self._rest:
            plain = self._visible(self._before_mark())
            text += plain
            sent += self._cooked(plain)
            binary = self._marked()
            if binary is None:
                break
            sent += binary
        return bytes(text), bytes(sent)

    def _before_mark(self) -> bytes:
        # What may be the beginning of a mark stays.
        at = self._rest.find(_MARK)
        if at < 0:
            at = len(self._rest) - self._rest.endswith(_MARK[:1])
        plain, self._rest = self._rest[:at], self._rest[at:]
        return plain

    def _marked(self) -> bytes | None:
        # The bytes after the mark at the beginning; None: there is no whole one.
        kind = self._rest[len(_MARK) : _HEAD]
        size = _HEAD
        if kind == _BINARY:
            length = self._rest[_HEAD : _HEAD + _LENGTH]
            size += _LENGTH + int.from_bytes(length, "little")
            if len(length) < _LENGTH or len(self._rest) < size:
                return None
        elif kind == _REPL and self._raw:
            self._hidden = b""
        elif not kind:
            return None
        binary = self._rest[_HEAD + _LENGTH : size]
        self._rest = self._rest[size:]
        return binary

    def _visible(self, plain: bytes) -> bytes:
        self._notice_mode(plain)
        if self._hidden is None:
            return plain
        self._hidden += plain
        at = self._hidden.find(_RAW_BANNER)
        if at < 0:
            return b""
        plain, self._hidden = self._hidden[at:], None
        return plain

    def _notice_mode(self, plain: bytes) -> None:
        seen = self._tail + plain
        raw, friendly = seen.rfind(_RAW_BANNER), seen.rfind(_FRIENDLY_BANNER)
        if raw != friendly:
            self.in_raw = raw > friendly
        self._tail = seen[-len(_RAW_BANNER) :]

    def _cooked(self, plain: bytes) -> bytes:
        # An LF that has its CR is the REPL's own; the CR may have come before.
        out = _BARE_LF.sub(b"\r\n", self._cr + plain)[len(self._cr) :]
        if plain:
            self._cr = b"\r" if plain.endswith(b"\r") else b""
        return out
