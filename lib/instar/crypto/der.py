# Just enough DER for keys and signatures: a strict bounded reader. encode.py writes it.
#
#   outer = Reader(data, "signature")
#   pair = outer.sequence()
#   r, s = pair.integer(), pair.integer()
#   pair.end(), outer.end()             # nothing may follow
#
# Limits: one-byte tags, definite lengths below 64 KiB in their shortest form, non-negative
# INTEGERs, whole-byte BIT STRINGs. Everything else is Rejected. The reader copies nothing but
# what oid() returns; the other results are memoryviews of the data.
# SPDX-License-Identifier: MIT

from micropython import const

from ..errors import Rejected

INTEGER = const(0x02)
BIT_STRING = const(0x03)
OCTET_STRING = const(0x04)
NULL = const(0x05)
OID = const(0x06)
SEQUENCE = const(0x30)
CONTEXT = const(0xA0)

_NAMES = {2: "INTEGER", 3: "BIT STRING", 4: "OCTET STRING", 5: "NULL", 6: "OID", 48: "SEQUENCE"}


def _name(tag):
    return _NAMES.get(tag) or f"tag 0x{tag:02x}"


class Reader:
    """Reads the elements of one level of DER, in order.

    data: bytes-like; what: the name of it in messages. Every method raises Rejected when the
    next element is not what its name says.
    """

    def __init__(self, data, what="DER"):
        self._data = memoryview(data)
        self._at = 0
        self._what = what

    def _refuse(self, expected, came):
        raise Rejected(f"{self._what}: expected {expected} at byte {self._at}, got {came}")

    def peek(self):
        """The tag of the next element, or None at the end."""
        return self._data[self._at] if self._at < len(self._data) else None

    def end(self):
        """Rejected unless everything has been read."""
        left = len(self._data) - self._at
        if left:
            self._refuse("the end", f"{left} byte(s)")

    def element(self, tag):
        """The contents of the next element, which must have this tag, as a memoryview."""
        came = self.peek()
        if came != tag:
            self._refuse(_name(tag), "the end" if came is None else _name(came))
        size, start = self._length(self._at + 1)
        if size > len(self._data) - start:
            self._refuse(f"{size} bytes of {_name(tag)}", len(self._data) - start)
        self._at = start + size
        return self._data[start : self._at]

    def _length(self, at):
        data = self._data
        first = data[at] if at < len(data) else 0xFF
        if first < 0x80:
            return first, at + 1
        count = first & 0x7F
        if count not in (1, 2) or at + count >= len(data):
            self._refuse("a definite length below 64 KiB", "another form, or the end")
        size = int.from_bytes(data[at + 1 : at + 1 + count], "big")
        # X.690 10.1: the shortest form only, so that equal values are equal bytes.
        if size < (0x80 if count == 1 else 0x100):
            self._refuse("the shortest form of a length", f"{size} in {count} bytes")
        return size, at + 1 + count

    def sequence(self):
        """The next SEQUENCE, as a Reader of its contents."""
        return Reader(self.element(SEQUENCE), self._what)

    def context(self, number):
        """The next [number] EXPLICIT element, as a Reader of its contents."""
        return Reader(self.element(CONTEXT | number), self._what)

    def integer(self):
        """The next INTEGER; negative ones and padded ones are refused."""
        content = self.element(INTEGER)
        if not len(content) or content[0] & 0x80:
            self._refuse("an INTEGER of 0 or more", "a negative or empty one")
        if len(content) > 1 and not content[0] and content[1] < 0x80:
            self._refuse("an INTEGER in its shortest form", "leading zeros")
        return int.from_bytes(content, "big")

    def octet_string(self):
        """The bytes of the next OCTET STRING."""
        return self.element(OCTET_STRING)

    def bit_string(self):
        """The bytes of the next BIT STRING, which must be a whole number of them."""
        content = self.element(BIT_STRING)
        if not len(content) or content[0]:
            self._refuse("a BIT STRING of whole bytes", "unused bits, or nothing")
        return content[1:]

    def oid(self):
        """The next OBJECT IDENTIFIER, still encoded, as bytes (see `dotted`)."""
        return bytes(self.element(OID))

    def null(self):
        """The next NULL."""
        if len(self.element(NULL)):
            self._refuse("an empty NULL", "one with contents")


def dotted(oid):
    """An encoded OBJECT IDENTIFIER as people write it: '1.2.840.10045.3.1.7'."""
    numbers = []
    value = 0
    for byte in oid:
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            numbers.append(value)
            value = 0
    if numbers:
        # X.690 8.19.4: the first number holds two.
        root = min(numbers[0] // 40, 2)
        numbers[:1] = [root, numbers[0] - 40 * root]
    return ".".join(str(number) for number in numbers)


def bit_length(value):
    """The bits of an int >= 0: MicroPython's int has no bit_length()."""
    step = 1
    while value >> step:
        step <<= 1
    length = 0
    while step:
        if value >> step:
            value >>= step
            length += step
        step >>= 1
    return length + value
