# Which entries of a record Murano refused: the body of its 409. In the heap only for one.
#
#   conflicts(["alias=temperature&1506708551=22"], b"temperature=1506708551")
#   # [("temperature", "1506708551")]
#
# The document has `alias=time&alias=time`, the official client reads `alias=time,time`: both are
# understood, and a time with zeros at its end is the one without. The entries not named count as
# stored. Where the body names nothing that was sent, nobody can tell which were: all of them are
# given back as refused. (Transient would send the same again for ever.)
# SPDX-License-Identifier: MIT

from .form import decode


def conflicts(entries, body):
    """[(alias, time as it was sent), ...], in the order of `entries`; never empty."""
    named = []
    for alias, times in decode(body):
        named.extend([(alias, _plain(time)) for time in times.split(",")])
    sent = []
    for item in entries:
        pairs = decode(item if isinstance(item, bytes) else item.encode())
        sent.extend([(pairs[0][1], time) for time, _ in pairs[1:]])
    return [pair for pair in sent if (pair[0], _plain(pair[1])) in named] or sent


def _plain(time):
    time = time.strip()
    return time.rstrip("0").rstrip(".") if "." in time else time
