# What a Bootstrap service says of one board: JSON of any version, checked, under one set of names.
#
#   answer = parse(b'{"client_id": "...", "client_secret": "...", "channels": [...], ...}')
#   answer.client_id, answer.secret, answer.channels, answer.content, answer.digest
#
# Limits: 16 levels, 1024 strings, commas and brackets in the answer, and in its content. Of two
# equal names the last one counts. No message shows a value: most of them are secrets.
# SPDX-License-Identifier: MIT

import hashlib
import json
from binascii import a2b_base64, hexlify

from micropython import const

from ...errors import Rejected, Transient

_MAX_DEPTH = const(16)
_MAX_PARTS = const(1024)
_MAX_NAME = const(1024)  # characters of an id, a secret, a name
_MAX_CERTIFICATE = const(8192)
_QUOTE = const(0x22)
_ESCAPE = const(0x5C)

_IDS = ("client_id", "thing_id", "mainflux_id", "id")
_SECRETS = ("client_secret", "thing_key", "mainflux_key")
_CHANNELS = ("channels", "mainflux_channels")


class Answer:
    """One board's configuration, as it came.

    client_id, secret: str, "" where the answer has none. channels: list of {"id", "name"?,
    "type"?}, all str; type is the channel's metadata.type. content: a dict, or None.
    ca_cert, client_cert, client_key: str, PEM or DER in base64 if the operator wrote it so, or "".
    digest: SHA-256 of the JSON without white space after it, in hexadecimal.
    """

    def __init__(self, value, digest):
        """value: the answer's object. Raises Rejected naming the first field that is wrong."""
        self.client_id = _first(value, _IDS)
        self.secret = _first(value, _SECRETS)
        self.client_key = _text(value, "client_key", _MAX_CERTIFICATE)
        if self.client_key and not self.secret and not _is_key(self.client_key):
            # Magistrala's documentation has the secret under this name, its code a private key.
            self.secret, self.client_key = _line(value, "client_key"), ""
        self.client_cert = _text(value, "client_cert", _MAX_CERTIFICATE)
        self.ca_cert = _text(value, "ca_cert", _MAX_CERTIFICATE)
        self.channels = _channels(value)
        self.content = _content(value.get("content"))
        self.digest = digest


def parse(data):
    """The Answer in `data` (bytes-like JSON). Raises Rejected for what an operator has to mend,
    Transient for what is no JSON or not of a Bootstrap service."""
    _measure(data, "answer")
    try:
        value = json.loads(data)
    except ValueError:
        text = "answer: expected JSON to its end, got %d bytes that are cut or damaged"
        raise Transient(text % len(data))
    if not isinstance(value, dict) or not any(value.get(name) for name in _IDS + ("content",)):
        raise Transient("answer: expected a JSON object with client_id or content, got neither")
    return Answer(value, _digest(data))


def _digest(data):
    # The plain route sends a line end after its JSON, the secure one does not.
    end = len(data)
    while data[end - 1] in b" \t\r\n":
        end -= 1
    return hexlify(hashlib.sha256(memoryview(data)[:end]).digest()).decode()


def _measure(data, what):
    # json.loads() would take any depth and number of values, as far as the heap goes.
    depth = parts = 0
    quoted = escaped = False
    for byte in data:
        if escaped:
            escaped = False
        elif byte == _QUOTE:
            quoted = not quoted
            parts += quoted
        elif quoted:
            escaped = byte == _ESCAPE
        elif byte in b"{[,":
            parts += 1
            depth += byte in b"{["
        elif byte in b"}]":
            depth -= 1
        if depth > _MAX_DEPTH or parts > _MAX_PARTS:
            text = "%s: expected JSON of at most %d levels and %d parts, got more"
            raise Rejected(text % (what, _MAX_DEPTH, _MAX_PARTS))


def _first(value, names):
    found = [_line(value, name) for name in names]
    return ([text for text in found if text] or [""])[0]


def _line(value, name):
    text = _text(value, name, _MAX_NAME)
    if not _printable(text):
        raise Rejected("answer: expected %s without control characters, got some" % name)
    return text


def _printable(text):
    # As bytes: MicroPython keeps each new character that a loop takes out of a str.
    return all(byte >= 32 and byte != 127 for byte in text.encode())


def _text(value, name, limit):
    text = value.get(name)
    if text is None:
        return ""
    if not isinstance(text, str):
        raise Rejected("answer: expected %s as a string, got %s" % (name, type(text).__name__))
    if len(text) > limit:
        expected = "answer: expected %s of at most %d characters, got %d"
        raise Rejected(expected % (name, limit, len(text)))
    return text


def _is_key(text):
    if "-----BEGIN " in text:
        return True
    from ...crypto.der import Reader

    try:
        outer = Reader(a2b_base64(text))
        outer.sequence()
        outer.end()
    except (Rejected, ValueError):
        return False
    return True


def _channels(value):
    found = [value[name] for name in _CHANNELS if value.get(name) is not None]
    if not found:
        return []
    if not isinstance(found[0], list):
        kind = type(found[0]).__name__
        raise Rejected("answer: expected channels as a list or null, got %s" % kind)
    return [_channel(item) for item in found[0]]


def _channel(item):
    if isinstance(item, str):
        item = {"id": item}
    if not isinstance(item, dict) or not item.get("id"):
        raise Rejected("answer: expected ids, or objects with an id, in channels, got another")
    metadata = item.get("metadata")
    kind = metadata.get("type") if isinstance(metadata, dict) else None
    channel = {"id": _line(item, "id")}
    if item.get("name"):
        channel["name"] = _line(item, "name")
    if isinstance(kind, str) and 0 < len(kind) <= _MAX_NAME and _printable(kind):
        channel["type"] = kind
    return channel


def _content(content):
    if content is None or (isinstance(content, str) and not content.strip()):
        return None
    kind = type(content).__name__
    if isinstance(content, str):
        data = content.encode()
        _measure(data, "content")
        try:
            content = json.loads(data)
            kind = "JSON of another type"
        except ValueError:
            kind = "text that is no JSON"
    if not isinstance(content, dict):
        raise Rejected("content: expected a JSON object, got %s: is it for another agent?" % kind)
    return content
