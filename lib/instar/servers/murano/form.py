# Murano's form encoding, both ways, and its records of values with their times.
#
#   encode([("temperature", 23.5), ("state", "on & off")])
#   # "temperature=23.5&state=on%20%26%20off"
#   decode(b"thermostat=65&note=a+b")        # [("thermostat", "65"), ("note", "a b")]
#   entry("temperature", 23, 1506708552123000)       # "alias=temperature&1506708552.123=23"
#   joined(entries)                          # many of those as one body
#
# A time never becomes a float on its way: a float of ESP32 holds 24 bits, which is two minutes.
# Limits: a value has at most 65536 bytes, as Murano's resources; encoded it may take three times
# that, in one piece of heap.
# SPDX-License-Identifier: MIT

import json

from micropython import const

from ...errors import Rejected, Transient

FORM = "application/x-www-form-urlencoded; charset=utf-8"

_MAX_VALUE = const(65536)
_MAX_PAIRS = const(256)  # in an answer
_SECOND = const(1000000)
_PERCENT = const(0x25)
# RFC 3986 §2.3: these mean the same with and without their %XX, to every decoder; Murano's own
# example of a record has the point of a time as it is.
_PLAIN = b"-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_HEX = b"0123456789abcdefABCDEF"


def quote(text):
    """str (as UTF-8) or bytes, percent-encoded: letters, digits and -._~ as they are."""
    out = bytearray()
    for byte in text.encode() if isinstance(text, str) else text:
        if byte in _PLAIN:
            out.append(byte)
        else:
            out.extend(b"%%%02X" % byte)
    return bytes(out).decode()


def alias(name):
    """The alias of a resource, encoded. Raises Rejected if it is empty or no str."""
    if not isinstance(name, str) or not name:
        raise Rejected("alias: expected a name, got %r" % (name,))
    return quote(name)


def encode(pairs):
    """The body that writes a dict, or (alias, value) pairs in their order. Values: see text().

    Raises Rejected for none at all, for an empty alias, and for what text() refuses.
    """
    if not pairs:
        raise Rejected("write: expected at least one value, got none")
    if isinstance(pairs, dict):
        pairs = pairs.items()
    return "&".join([alias(name) + "=" + quote(text(value)) for name, value in pairs])


def decode(body):
    """The (key, value) pairs of a form (bytes), in their order, as str.

    Both + and %20 are a space. A % without two hexadecimal digits stays as it is. What is not
    UTF-8 comes as Latin-1, one character for each byte: nothing of it is lost. Raises Transient
    for more pairs than anybody asks for.
    """
    if body.count(b"&") >= _MAX_PAIRS:
        raise Transient("answer: expected at most %d values, got more" % _MAX_PAIRS)
    pairs = []
    for part in body.split(b"&"):
        if part:
            key, _, value = part.partition(b"=")
            pairs.append((_unquote(key), _unquote(value)))
    return pairs


def _unquote(raw):
    # In its own place, and no list of pieces: that of a large value took many times its size.
    out = bytearray(raw.replace(b"+", b" "))
    end = at = 0
    while at < len(out):
        byte = out[at]
        digits = out[at + 1 : at + 3] if byte == _PERCENT else b""
        at += 1
        if len(digits) == 2 and digits[0] in _HEX and digits[1] in _HEX:
            byte = int(bytes(digits), 16)
            at += 2
        out[end] = byte
        end += 1
    found = bytes(memoryview(out)[:end])
    try:
        return found.decode()
    except UnicodeError:
        return _latin(found)


def _latin(raw):
    # Each byte as the UTF-8 of its character: chr() would keep every new one for ever.
    out = bytearray()
    for byte in raw:
        if byte < 128:
            out.append(byte)
        else:
            out.append(0xC0 | byte >> 6)
            out.append(0x80 | byte & 0x3F)
    return bytes(out).decode()


def text(value):
    """What stands for `value` in Murano, as str or bytes, not encoded yet.

    str and bytes as they are; True and False as true and false; int; a finite float with the
    fewest digits that read back the same (23.0 is 23); dict and list as JSON. Raises Rejected
    for anything else, and for more than 65536 bytes.
    """
    if isinstance(value, bool):
        value = "true" if value else "false"
    elif isinstance(value, int):
        value = str(value)
    elif isinstance(value, float) and value - value == 0:
        value = _shortest(value)
    elif isinstance(value, (dict, list)):
        value = _json(value)
    elif not isinstance(value, (str, bytes, bytearray)):
        text = "value: expected str, int, bool, a finite float, dict, list or bytes, got %s"
        got = str(value) if isinstance(value, float) else type(value).__name__
        raise Rejected(text % got)
    size = len(value.encode() if isinstance(value, str) else value)
    if size > _MAX_VALUE:
        raise Rejected("value: expected at most %d bytes, got %d" % (_MAX_VALUE, size))
    return value


def _shortest(value):
    for digits in range(1, 18):
        found = "%.*g" % (digits, value)
        if float(found) == value:
            return found
    return str(value)


def _json(value):
    try:
        found = json.dumps(value, separators=(",", ":"))
        json.loads(found)  # MicroPython writes some that are no JSON, as nan
        return found
    except (RuntimeError, TypeError, ValueError) as error:
        raise Rejected("value: expected what JSON can hold, got: %s" % error)


def stamp(time_us):
    """Microseconds since 1970 (int) as Murano's seconds: 1506708552123000 is 1506708552.123."""
    if not isinstance(time_us, int) or time_us < 0:
        raise Rejected("time: expected microseconds since 1970, got %r" % (time_us,))
    found = "%d.%06d" % (time_us // _SECOND, time_us % _SECOND)
    return found.rstrip("0").rstrip(".")


def entry(name, value, time_us):
    """One value of resource `name` at a time in microseconds since 1970, for joined(). Raises
    Rejected as encode() does."""
    return "alias=%s&%s=%s" % (alias(name), stamp(time_us), quote(text(value)))


def joined(entries):
    """The body that records these entries (each str or bytes): every alias once, the values of
    each in their order."""
    groups = []
    for item in entries:
        name, _, rest = (item if isinstance(item, str) else item.decode()).partition("&")
        for group in groups:
            if group[0] == name:
                group.append(rest)
                break
        else:
            groups.append([name, rest])
    return "&".join(["&".join(group) for group in groups])
