# JSON from strangers: the whole grammar of RFC 8259, within named limits.
#
# MicroPython's json takes `[1 2]`, `{"a" 1}` and `{1: 2}`, keeps the last of two equal keys, and
# builds a list of 64 bytes from each `[]` of two. A verified text may still come from a sloppy
# writer, and two readers must not see two things in it. So the structure is read here, strictly,
# and only single strings and numbers go to json; it leaves pairs of surrogates as they were
# escaped, which are joined here. All that as bytes, for the reason in utf8.py.
# SPDX-License-Identifier: MIT

import json

from micropython import const

from .refusal import brief, refused
from .utf8 import decode

_MAX_DEPTH = const(8)
_MAX_VALUES = const(512)
_SURROGATE = const(0xED)  # in UTF-8: the first byte of both
_HIGH = const(0xA0)  # the least second byte of a pair's first one, and of its second one
_LOW = const(0xB0)
_QUOTE = const(0x22)
_MINUS = const(0x2D)
_BLANK = b" \t\n\r"
_DIGITS = b"0123456789"
_HEX = b"0123456789abcdefABCDEF"
_WORDS = {b"true": True, b"false": False, b"null": None}


def parse(raw, what):
    """The value of the JSON text `raw` (bytes in UTF-8), of which `what` is the name in messages.

    Raises Rejected if it is not JSON, or deeper than 8 levels, or of more than 512 values, or if
    an object has the same key twice.
    """
    return _Parser(raw, what).document()


def parse_object(raw, what):
    """The same, and the value has to be an object: returns a dict."""
    value = parse(raw, what)
    if not isinstance(value, dict):
        raise refused(what, "a JSON object", type(value).__name__)
    return value


class _Parser:
    def __init__(self, raw, what):
        self._what = what
        self._at = 0
        self._values = 0
        try:
            # The NUL is the end mark: JSON has no such character outside strings, nor inside.
            decode(raw)
        except UnicodeError:
            raise refused(what, "JSON in UTF-8", "other bytes")
        self._text = bytes(raw) + b"\0"

    def document(self):
        value = self._value(0)
        if self._next() or self._at < len(self._text) - 1:
            raise self._refused("the end of the JSON text")
        return value

    def _next(self):
        """The next byte that is no blank, not yet taken."""
        while self._text[self._at] in _BLANK:
            self._at += 1
        return self._text[self._at]

    def _take(self, wanted):
        """Take the next byte, which must be one of these."""
        found = self._next()
        if found not in wanted:
            raise self._refused(" or ".join(wanted.decode()))
        self._at += 1
        return found

    def _value(self, depth):
        self._values += 1
        if depth > _MAX_DEPTH or self._values > _MAX_VALUES:
            raise refused(self._what, f"at most {_MAX_VALUES} values, {_MAX_DEPTH} deep", "more")
        first = self._next()
        if first in b"{":
            return self._object(depth + 1)
        if first in b"[":
            return self._array(depth + 1)
        if first == _QUOTE:
            return self._string()
        return self._number() if first == _MINUS or first in _DIGITS else self._word()

    def _object(self, depth):
        found = {}
        self._at += 1
        if self._next() in b"}":
            self._at += 1
            return found
        while True:
            if self._next() != _QUOTE:
                raise self._refused("a key")
            key = self._string()
            if key in found:
                raise refused(self._what, "each key once", f"{brief(key)} twice")
            self._take(b":")
            found[key] = self._value(depth)
            if self._take(b",}") in b"}":
                return found

    def _array(self, depth):
        found = []
        self._at += 1
        if self._next() in b"]":
            self._at += 1
            return found
        while True:
            found.append(self._value(depth))
            if self._take(b",]") in b"]":
                return found

    def _string(self):
        start = self._at
        self._at += 1
        while (byte := self._text[self._at]) != _QUOTE:
            if byte < 32:
                raise self._refused("a closed string without control characters")
            if byte in b"\\":
                self._escape()
            self._at += 1
        self._at += 1
        text = self._load(start)
        return self._joined(text) if self._text.find(b"\\u", start, self._at) >= 0 else text

    def _joined(self, text):
        """`text` with each pair of surrogates made the one character that it stands for."""
        raw = text.encode()
        found = bytearray()
        at = 0
        while at < len(raw):
            if raw[at] == _SURROGATE and raw[at + 1] >= _HIGH:
                found.extend(self._pair(raw[at : at + 6]))
                at += 6
            else:
                found.append(raw[at])
                at += 1
        return bytes(found).decode()

    def _pair(self, raw):
        if raw[1] >= _LOW or len(raw) < 6 or raw[3] != _SURROGATE or raw[4] < _LOW:
            raise refused(self._what, "surrogates in pairs", "one alone")
        high = (raw[1] & 0x0F) << 6 | raw[2] & 0x3F
        code = 0x10000 + (high << 10 | (raw[4] & 0x0F) << 6 | raw[5] & 0x3F)
        return bytes([0xF0 | code >> 18] + [0x80 | code >> at & 0x3F for at in (12, 6, 0)])

    def _escape(self):
        self._at += 1
        kind = self._text[self._at]
        if kind in b"u":
            for _ in range(4):
                self._at += 1
                if self._text[self._at] not in _HEX:
                    raise self._refused("four hexadecimal digits")
        elif kind not in b'"\\/bfnrt':
            raise self._refused("an escape sequence of JSON")

    def _number(self):
        start = self._at
        if self._text[self._at] == _MINUS:
            self._at += 1
        if self._text[self._at] in b"0":
            self._at += 1
        else:
            self._digits()
        if self._text[self._at] in b".":
            self._at += 1
            self._digits()
        if self._text[self._at] in b"eE":
            self._at += 1
            if self._text[self._at] in b"+-":
                self._at += 1
            self._digits()
        return self._load(start)

    def _digits(self):
        start = self._at
        while self._text[self._at] in _DIGITS:
            self._at += 1
        if self._at == start:
            raise self._refused("a digit")

    def _word(self):
        for word, value in _WORDS.items():
            if self._text[self._at : self._at + len(word)] == word:
                self._at += len(word)
                return value
        raise self._refused("a value")

    def _load(self, start):
        try:
            return json.loads(self._text[start : self._at])
        except ValueError:
            raise self._refused("a string or number")

    def _refused(self, expected):
        rest = repr(self._text[self._at : -1][:12])[1:]
        return refused(self._what, expected, f"{rest} at {self._at}")
