# SenML records (RFC 8428) as JSON: what a sensor measured, and when.
#
#   record("temperature", 21.5, "Cel", 1795305600123456)
#   # '{"n":"temperature","u":"Cel","v":21.5,"t":1795305600.123456}'
#   pack([one, other])                                    # b'[{...},{...}]'
#
# A time never becomes a float on its way: a float of ESP32 holds 24 bits, which is two minutes.
# Limits: no base fields, no sums; a value of text or bytes has at most 512 bytes.
# SPDX-License-Identifier: MIT

import json
from binascii import b2a_base64

from micropython import const

from .errors import Rejected

_MAX_NAME = const(128)
_MAX_UNIT = const(32)
_MAX_VALUE = const(512)
_SECOND = const(1000000)
_RELATIVE = const(1 << 28)  # seconds: a smaller time counts from now (RFC 8428 §4.5.3)


def record(name, value, unit="", time_us=None):
    """One record as JSON text.

    name: letters, digits and -:./_ after a letter or digit (RFC 8428 §4.5.1). value: int of 64
    bits, finite float, bool, str or bytes. unit: of RFC 8428 §12.1, as "Cel" or "%RH"; not
    checked against it. time_us: microseconds since 1970, or None for a record without a time,
    which its receiver takes for "now". Raises Rejected for anything else.
    """
    fields = ['{"n":"%s"' % _name(name)]
    if not isinstance(unit, str) or len(unit) > _MAX_UNIT:
        raise Rejected("SenML: expected a unit of at most %d characters" % _MAX_UNIT)
    if unit:
        fields.append('"u":' + json.dumps(unit))
    fields.append(_value(name, value))
    if time_us is not None:
        fields.append('"t":' + _time(name, time_us))
    return ",".join(fields) + "}"


def pack(records):
    """The bytes of a SenML pack: an array of records, each a JSON text as str or bytes."""
    texts = [text.encode() if isinstance(text, str) else text for text in records]
    return b"[" + b",".join(texts) + b"]"


def _name(name):
    if not isinstance(name, str) or not 0 < len(name) <= _MAX_NAME:
        raise Rejected("SenML: expected a name of 1 to %d characters" % _MAX_NAME)
    if not _plain(name[0]) or not all(_plain(char) or char in "-:./_" for char in name):
        text = "SenML: expected letters, digits and, not first, -:./_ in a name, got %r"
        raise Rejected(text % name)
    return name


def _plain(char):
    return "0" <= char <= "9" or "A" <= char <= "Z" or "a" <= char <= "z"


def _value(name, value):
    if isinstance(value, bool):
        return '"vb":true' if value else '"vb":false'
    if isinstance(value, int) and -1 << 63 <= value < 1 << 64:
        return '"v":%d' % value
    if isinstance(value, float) and value - value == 0:
        return '"v":' + json.dumps(value)
    data = value.encode() if isinstance(value, str) else value
    if isinstance(data, (bytes, bytearray)):
        if len(data) > _MAX_VALUE:
            text = "SenML: %s: expected at most %d bytes, got %d"
            raise Rejected(text % (name, _MAX_VALUE, len(data)))
        if isinstance(value, str):
            return '"vs":' + json.dumps(value)
        return '"vd":"%s"' % _base64url(data)
    text = "SenML: %s: expected an int of 64 bits, a finite float, a bool, str or bytes, got %s"
    raise Rejected(text % (name, value if isinstance(value, float) else type(value).__name__))


def _base64url(data):
    # RFC 4648 §5, without padding, as RFC 8428 §4.3 has it.
    text = b2a_base64(data).decode().strip().rstrip("=")
    return text.replace("+", "-").replace("/", "_")


def _time(name, time_us):
    if not isinstance(time_us, int) or time_us // _SECOND < _RELATIVE:
        text = "SenML: %s: expected a time in microseconds since 1970, after July 1978, got %r"
        raise Rejected(text % (name, time_us))
    text = "%d.%06d" % (time_us // _SECOND, time_us % _SECOND)
    return text.rstrip("0").rstrip(".")
