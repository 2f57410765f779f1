# JSON from strangers: the whole grammar of RFC 8259, within named limits.
#
# MicroPython's json takes `[1 2]`, `{"a" 1}` and `{1: 2}`, keeps the last of two equal keys, and
# builds a list of 64 bytes from each `[]` of two. A verified text may still come from a sloppy
# writer, and two readers must not see two things in it. So the structure is read here, strictly,
# and only single strings and numbers go to json; it leaves pairs of surrogates as they were
# escaped, which are joined here.
# SPDX-License-Identifier: MIT

import json

from micropython import const

from .refusal import brief, refused
from .utf8 import decode

_MAX_DEPTH = const(8)
_MAX_VALUES = const(512)
_HIGH = const(0x36)  # the upper bits of the first surrogate of a pair (U+D800), and of the second
_LOW = const(0x37)
_BLANK = " \t\n\r"
_DIGITS = "0123456789"
_WORDS = {"true": True, "false": False, "null": None}


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
            self._text = decode(raw) + "\0"
        except UnicodeError:
            raise refused(what, "JSON in UTF-8", "other bytes")

    def document(self):
        value = self._value(0)
        if self._next() != "\0" or self._at < len(self._text) - 1:
            raise self._refused("the end of the JSON text")
        return value

    def _next(self):
        """The next character that is no blank, not yet taken."""
        while self._text[self._at] in _BLANK:
            self._at += 1
        return self._text[self._at]

    def _take(self, characters):
        """Take the next character, which must be one of these."""
        found = self._next()
        if found not in characters:
            raise self._refused(" or ".join(characters))
        self._at += 1
        return found

    def _value(self, depth):
        self._values += 1
        if depth > _MAX_DEPTH or self._values > _MAX_VALUES:
            raise refused(self._what, f"at most {_MAX_VALUES} values, {_MAX_DEPTH} deep", "more")
        first = self._next()
        if first == "{":
            return self._object(depth + 1)
        if first == "[":
            return self._array(depth + 1)
        if first == '"':
            return self._string()
        return self._number() if first in "-" + _DIGITS else self._word()

    def _object(self, depth):
        found = {}
        self._at += 1
        if self._next() == "}":
            self._at += 1
            return found
        while True:
            if self._next() != '"':
                raise self._refused("a key")
            key = self._string()
            if key in found:
                raise refused(self._what, "each key once", f"{brief(key)} twice")
            self._take(":")
            found[key] = self._value(depth)
            if self._take(",}") == "}":
                return found

    def _array(self, depth):
        found = []
        self._at += 1
        if self._next() == "]":
            self._at += 1
            return found
        while True:
            found.append(self._value(depth))
            if self._take(",]") == "]":
                return found

    def _string(self):
        start = self._at
        self._at += 1
        while (character := self._text[self._at]) != '"':
            if character < " ":
                raise self._refused("a closed string without control characters")
            if character == "\\":
                self._escape()
            self._at += 1
        self._at += 1
        text = self._load(start)
        return self._joined(text) if self._text.find("\\u", start, self._at) >= 0 else text

    def _joined(self, text):
        """`text` with each pair of surrogates made the one character that it stands for."""
        found = []
        high = 0
        for character in text:
            code = ord(character)
            if (code >> 10 == _LOW) != bool(high):
                raise refused(self._what, "surrogates in pairs", "one alone")
            if high:
                found.append(chr(0x10000 + ((high & 0x3FF) << 10 | code & 0x3FF)))
                high = 0
            elif code >> 10 == _HIGH:
                high = code
            else:
                found.append(character)
        if high:
            raise refused(self._what, "surrogates in pairs", "one alone")
        return "".join(found)

    def _escape(self):
        self._at += 1
        kind = self._text[self._at]
        if kind == "u":
            for _ in range(4):
                self._at += 1
                if self._text[self._at] not in "0123456789abcdefABCDEF":
                    raise self._refused("four hexadecimal digits")
        elif kind not in '"\\/bfnrt':
            raise self._refused("an escape sequence of JSON")

    def _number(self):
        start = self._at
        if self._text[self._at] == "-":
            self._at += 1
        if self._text[self._at] == "0":
            self._at += 1
        else:
            self._digits()
        if self._text[self._at] == ".":
            self._at += 1
            self._digits()
        if self._text[self._at] in "eE":
            self._at += 1
            if self._text[self._at] in "+-":
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
            if self._text.startswith(word, self._at):
                self._at += len(word)
                return value
        raise self._refused("a value")

    def _load(self, start):
        try:
            return json.loads(self._text[start : self._at])
        except ValueError:
            raise self._refused("a string or number")

    def _refused(self, expected):
        rest = self._text[self._at : -1][:12]
        return refused(self._what, expected, f"{rest!r} at {self._at}")
