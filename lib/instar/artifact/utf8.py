# UTF-8 from strangers, as RFC 3629 has it.
#
# MicroPython's own decoder also takes surrogates, numbers above U+10FFFF and forms longer than
# need be. Whoever gets such a string from the board, a server above all, refuses it or reads
# something else in it.
#
# It keeps every character that was ever taken out of a str (by an index, a loop, chr()) for ever,
# 18 bytes each: so what strangers wrote is looked at as bytes, here and in strictjson.py.
# SPDX-License-Identifier: MIT


def decode(raw):
    """`raw` (bytes) as str. Raises UnicodeError where it is not UTF-8."""
    text = str(raw, "utf-8")
    if len(text) != len(raw):
        before = 0
        for byte in raw:
            if byte in b"\xc0\xc1" or byte > 0xF4 or _is_bad(before, byte):
                raise UnicodeError
            before = byte
    return text


def _is_bad(first, second):
    """Whether a character that begins so is too long, a surrogate, or above U+10FFFF."""
    if first == 0xE0:
        return second < 0xA0
    if first == 0xF0:
        return second < 0x90
    return (first == 0xED and second >= 0xA0) or (first == 0xF4 and second >= 0x90)


def is_printable(text):
    """Whether there are no control characters in `text`: U+0000 to 001F, 007F to 009F."""
    before = 0
    for byte in text.encode():
        if byte < 32 or byte == 127 or (before == 0xC2 and byte < 0xA0):
            return False
        before = byte
    return True
