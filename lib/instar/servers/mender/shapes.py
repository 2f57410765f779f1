# The shapes of what Mender's device API says and wants to hear. No request is made here. In the
# heap only while the API is used: Mender.open() unloads it, the payload needs the room.
#
#   body = inventory({"device_type": "esp32", "mem_free": 91232})
#   deployment = to_deployment(response)
#   data = Log(entries, 32768)              # an async iterable, for Client.put(data=...)
#
# What no Mender server answers is Transient: it may come from a captive portal.
# SPDX-License-Identifier: MIT

import json

from micropython import const

from ...errors import Aborted, Rejected, Transient
from ...http import printable

_MAX_TOKEN = const(4096)
_MAX_ID = const(64)
_MAX_URI = const(4000)
_MAX_NAME = const(1024)
_MAX_ATTRIBUTES = const(100)  # the server's limit for one device
_MAX_MESSAGE = const(2048)
_NOTICE = const(256)  # room for the entry that says how many were left out
_WORD = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"


def check(response, what, expected):
    """Raise what the status of `response` means, unless it is `expected`."""
    status = response.status_code
    if status == expected:
        return
    text = _unexpected(response, what, expected)
    if status in (400, 413, 415):
        raise Rejected(text)
    raise Transient(text, response.retry_after())


def check_deployment(response, what):
    """check() for a call about one deployment: the server may have withdrawn or forgotten it."""
    if response.status_code == 409:
        raise Aborted(_unexpected(response, what, 204))
    if response.status_code == 404:
        raise Rejected(_unexpected(response, what, 204))
    check(response, what, 204)


def _unexpected(response, what, expected):
    got = response.status_code, printable(response.content)
    return "%s: expected %d, got %d %s" % ((what, expected) + got)


def token(response):
    """The bare JWT of an accepted auth request, as str. It never appears in an error."""
    found = response.content.strip()
    # The alphabet of RFC 6750 §2.1: a web page, or JSON, has others.
    known = (_WORD + "+/=").encode()
    if (
        not 0 < len(found) <= _MAX_TOKEN
        or found.strip(known)
        or not all(c in known for c in found)
    ):
        text = "auth: expected a token, got %d bytes of %s"
        kind = response.headers.get("content-type", "no content type")
        raise Transient(text % (len(response.content), printable(kind.encode())))
    return found.decode()


def to_deployment(response):
    """The Deployment in a 200 of `next`. Only an id and a URI are needed: the Artifact has the
    rest, and may be signed."""
    from . import Deployment

    answer = response.json()
    try:
        artifact = answer["artifact"]
        uri = artifact["source"]["uri"]
        name = artifact.get("artifact_name") or ""
        types = artifact.get("device_types_compatible") or []
        found = Deployment(answer["id"], name, uri, types)
    except (AttributeError, KeyError, TypeError):
        found = None
    if not found or not _fits(found):
        text = "next: expected {id, artifact: {source: {uri}}}, got '%s'"
        raise Transient(text % printable(response.content))
    return found


def _fits(found):
    texts = [found.artifact_name, found.uri]
    good = isinstance(found.device_types, list) and is_id(found.id)
    good = good and all(isinstance(text, str) for text in texts + found.device_types)
    return good and 0 < len(found.uri) <= _MAX_URI


def is_id(id):
    """Whether this can stand in a URL as a deployment's id, as a UUID does."""
    good = isinstance(id, str) and 0 < len(id) <= _MAX_ID and id.strip(".")
    return good and all(c in _WORD for c in id)


def quote(text):
    """`text` for a query: all but letters, digits and -._~ as %XX of its UTF-8."""
    codes = text.encode()
    return "".join(chr(c) if chr(c) in _WORD else "%%%02X" % c for c in codes)


def inventory(attributes):
    """[{name, value}, ...] by name. Raises Rejected for what the server would refuse."""
    names = sorted(name for name in attributes if attributes[name] is not None)
    if len(names) > _MAX_ATTRIBUTES:
        text = "inventory: expected at most %d attributes, got %d"
        raise Rejected(text % (_MAX_ATTRIBUTES, len(names)))
    return [_attribute(name, attributes[name]) for name in names]


def _attribute(name, value):
    # A bool is refused by the server, which would drop the whole inventory with it.
    good = isinstance(name, str) and 0 < len(name) <= _MAX_NAME
    if isinstance(value, bool):
        value = "true" if value else "false"
    elif isinstance(value, (list, tuple)):
        value = list(value)
        kinds = [_kind(item) for item in value]
        good = good and (not kinds or (kinds[0] and kinds.count(kinds[0]) == len(kinds)))
    else:
        good = good and _kind(value)
    if not good:
        text = "inventory: expected a string, a number or a list of one of them as %s, got %s"
        raise Rejected(text % (str(name)[:60], type(value).__name__))
    return {"name": name, "value": value}


def _kind(value):
    # NaN and the infinities are numbers that JSON does not have.
    if isinstance(value, str):
        return "string"
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return "number" if number and value - value == 0 else None


class Log:
    """The body of a log request, in at most `limit` bytes: the newest entries, oldest first.

    entries: [(RFC 3339 time, level, message), ...]. It is made entry by entry, anew each time it
    is sent, and never stands in memory whole.
    """

    def __init__(self, entries, limit):
        room = limit - _NOTICE
        start = len(entries)
        while start and room > 0:
            room -= len(_entry(entries[start - 1])) + 2
            if room >= 0:
                start -= 1
        self._entries, self._start, self._limit = entries, start, limit

    def __aiter__(self):
        self._pieces = self._make()
        return self

    async def __anext__(self):
        try:
            return next(self._pieces)
        except StopIteration:
            raise StopAsyncIteration

    def _make(self):
        before = b'{"messages": ['
        if self._start:
            text = "%d older messages left out: the log is limited to %d bytes"
            notice = (self._entries[0][0], "WARNING", text % (self._start, self._limit))
            yield before + _entry(notice)
            before = b", "
        for entry in self._entries[self._start :]:
            yield before + _entry(entry)
            before = b", "
        yield b"]}"


def _entry(entry):
    # The server wants all three, and none of them empty.
    timestamp, level, message = entry
    fields = {
        "timestamp": timestamp or "1970-01-01T00:00:00Z",
        "level": level or "INFO",
        "message": message[:_MAX_MESSAGE] or "-",
    }
    return json.dumps(fields).encode()
