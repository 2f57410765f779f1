# A segment of the outbox as bytes: entries of a topic and a body, one behind the other.
#
#   end = write(segment, 0, b"topic", [b"body"])     # the same topic again: b"" for it
#   topic, bodies, end = batch(segment, 0, end, "")
#
# An entry is the length of its topic (1 byte), that of its body (2 bytes, little-endian), the
# topic in UTF-8, the body. Length 0 stands for the topic of the entry before. So who reads from
# the middle of a segment has to bring the topic that holds there.
# SPDX-License-Identifier: MIT

import struct

from micropython import const

from .errors import Broken, Rejected

_LENGTHS = "<BH"
HEAD = const(3)  # bytes of an entry that are neither topic nor body
MAX_ENTRY = const(1024)  # its topic and body
_MAX_TOPIC = const(255)
_MAX_BODIES = const(64)  # in a batch
_MAX_BYTES = const(2048)  # of bodies in a batch


def encoded(topic, body):
    """Both as bytes. Raises Rejected if they are no entry: too long, or a topic of nothing."""
    name = topic.encode()
    body = body.encode() if isinstance(body, str) else body
    size = len(name) + len(body)
    if not 0 < len(name) <= _MAX_TOPIC or size > MAX_ENTRY:
        text = "outbox: expected a topic of 1 to %d bytes and at most %d in all, got %d and %d"
        raise Rejected(text % (_MAX_TOPIC, MAX_ENTRY, len(name), size))
    return name, body


def write(segment, at, topic, bodies):
    """Put entries of a topic into `segment`, which has room for them; returns where they end."""
    for body in bodies:
        struct.pack_into(_LENGTHS, segment, at, len(topic), len(body))
        middle = at + HEAD + len(topic)
        segment[at + HEAD : middle] = topic
        at = middle + len(body)
        segment[middle:at] = body
        topic = b""
    return at


def read(segment, at, used, topic):
    """(topic, where the body begins, where it ends) of the entry at `at`; `topic`: the one before.

    Raises Broken if no entry lies there, within the segment's first `used` bytes.
    """
    if at + HEAD <= used:
        length, size = struct.unpack_from(_LENGTHS, segment, at)
        middle = at + HEAD + length
        if (length or topic) and middle + size <= used:
            if length:
                topic = bytes(segment[at + HEAD : middle]).decode()
            return topic, middle, middle + size
    raise Broken("expected an entry at byte %d of %d" % (at, used))


def batch(segment, at, used, topic):
    """(topic, [bodies], where they end): the longest run with one topic that may go together."""
    bodies = []
    size = 0
    while at < used and len(bodies) < _MAX_BODIES:
        name, begin, end = read(segment, at, used, topic)
        size += end - begin
        if bodies and (name != topic or size > _MAX_BYTES):
            break
        topic, at = name, end
        bodies.append(bytes(segment[begin:end]))
    return topic, bodies, at


def count(segment, at, topic):
    """How many entries there are from `at` to the segment's end."""
    entries = 0
    while at < len(segment):
        topic, _, at = read(segment, at, len(segment), topic)
        entries += 1
    return entries


def room(name, bodies):
    """How many bytes a batch takes at most; `name`: its topic as bytes."""
    return len(name) + sum(HEAD + len(body) for body in bodies)


def older_half(segment, used):
    """(how many entries, topic of the last, where it ends) of what lies in the first half."""
    entries, topic, at = 0, "", 0
    while at < used // 2:
        topic, _, at = read(segment, at, used, topic)
        entries += 1
    return entries, topic, at


def lead(segment, at, topic):
    """Let the entry at `at` name its topic, so that a segment can begin with it.

    Returns where it begins then: further left, over entries that are no longer needed (one of
    them named that topic, so there is room).
    """
    if segment[at]:
        return at
    name = topic.encode()
    begin = at - len(name)
    segment[begin + 1 : begin + HEAD] = segment[at + 1 : at + HEAD]
    segment[begin] = len(name)
    segment[begin + HEAD : at + HEAD] = name
    return begin


def cut(segment, end, used, topic):
    """Move what lies behind `end` to the front, its topic named; returns by how many bytes."""
    begin = lead(segment, end, topic)
    view = memoryview(segment)
    view[: used - begin] = view[begin:used]
    return begin


def behind(segment, at, topic):
    """What lies from `at` on, as a segment of its own."""
    copy = bytearray(segment)
    return memoryview(copy)[lead(copy, at, topic) :]
