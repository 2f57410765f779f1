# UTF-8 from strangers, as RFC 3629 has it.
#
# MicroPython's own decoder also takes surrogates, numbers above U+10FFFF and forms longer than
# need be. Whoever gets such a string from the board, a server above all, refuses it or reads
# something else in it.
# SPDX-License-Identifier: MIT


def decode(raw):
    """`raw` (bytes) as str. Raises UnicodeError where it is not UTF-8."""
    text = str(raw, "utf-8")
    if len(text) != len(raw) and sum(map(_length, text)) != len(raw):
        raise UnicodeError
    return text


def _length(character):
    """Bytes that the shortest form of a character takes."""
    code = ord(character)
    if code >> 11 == 0x1B or code > 0x10FFFF:
        raise UnicodeError
    return 1 + (code > 0x7F) + (code > 0x7FF) + (code > 0xFFFF)
