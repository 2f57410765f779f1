# What the Bootstrap service brought, kept as a configuration: values over those of the factory's
# settings file, certificates and keys in DER, and what is for the application.
#
#   if take(settings, answer): reset()           # checked and stored; the next start tries it
#   prove(store)                                 # the first success under it: kept for good
#   drop(store, "nobody answered")               # the next start uses the one before
#
# Records: `config` is proven. `config-new` is on trial and used first, for MAX_STARTS - 1 starts,
# which `config-starts` counts. `config-dropped` says why the last one went. What matters in each
# step is one atomic operation of the store: a power cut leaves the old state or the new one.
# A configuration in its record: version, SHA-256 of the answer, size of the JSON; the JSON with
# "values" and "blobs" [[kind, size], ...]; then those blobs: certificates and keys in DER, and
# what is for the application, as JSON.
#
# Limits: 16 KiB in all. take() blocks for a public-key operation, see certificates.py.
# SPDX-License-Identifier: MIT

import json
import struct
from binascii import hexlify, unhexlify

from micropython import const

from . import memory
from .errors import Broken, Rejected

MAX_STARTS = 8

_PROVEN = "config"
_NEW = "config-new"
_STARTS = "config-starts"
_DROPPED = "config-dropped"

_HEAD = "<B32sH"
_HEAD_SIZE = const(35)
_VERSION = const(1)
_MAX_RECORD = const(16384)  # the store's own limit
_MAX_WHY = const(200)
_UNUSABLE = (Broken, Rejected, OSError, ValueError)  # what reading a record may end in


class Configuration:
    """One record as read: `digest` (hex), `values` (every setting, the factory's included),
    `kinds` (of its blobs: "ca", "client", "artifact_keys", "application")."""

    def __init__(self, store, name, factory):
        """Raises one of _UNUSABLE for a record that this firmware cannot use."""
        self.digest, body = _opened(store.get(name))  # which leaves the heap before options comes
        from .options import overlaid

        self.kinds = {kind for kind, _ in body["blobs"]}
        self.values = overlaid(factory, body["values"])


def load(store, factory):
    """(Configuration or None, whether it is on trial, what is wrong or None).

    factory: the factory's settings (dict). Nothing in the store keeps a board from starting: what
    cannot be used is passed over for the one before, or for the factory alone.
    """
    names = store.names(_PROVEN)
    problem = None
    if _NEW in names:
        try:
            _count_start(store)  # first: whatever follows may crash
            return Configuration(store, _NEW, factory), True, None
        except _UNUSABLE as error:
            problem = _drop_at_start(store, str(error))
    elif _DROPPED in names:
        problem = _why_dropped(store)
    if _PROVEN in names:
        try:
            return Configuration(store, _PROVEN, factory), False, problem
        except _UNUSABLE as error:
            problem = f"configuration: what is stored cannot be used: {error}"
    return None, False, problem


def blobs(store, digest, kind):
    """The blobs of one kind, a list of bytes, of the configuration with this digest.

    Raises Broken if it is not there any more or is damaged.
    """
    for name in (_NEW, _PROVEN):  # it may have been proven meanwhile
        data = store.get(name)
        if data and _digest(data) == digest:
            return _cut(data, kind)
    raise Broken(f"configuration: expected a record of {digest[:16]}.., got none")


def take(settings, answer):
    """Check an answer of the Bootstrap service as a whole and store it, to be tried next.

    settings: Settings with a store; answer: see servers/magistrala/bootstrap.py. Returns False,
    without any operation of the flash, if this answer is in use already. Raises Rejected, which
    says what was expected and what came, and Broken or OSError from the flash: then all is as it
    was.
    """
    if answer.digest == settings.digest:
        return False
    from .loading import factory

    record = _record(factory(settings), answer)
    store = settings.store
    store.delete(_STARTS)  # before: the new one must not inherit the count
    store.delete(_DROPPED)
    store.put(_NEW, record)
    return True


def prove(store):
    """What is on trial, if anything is, is kept for good. OSError from the flash: to be tried
    again."""
    store.delete(_STARTS)  # first: a cut after it costs another count, not a record for ever
    if _NEW in store.names(_NEW):
        store.move(_NEW, _PROVEN)


def drop(store, why):
    """What is on trial goes. why: told at every start until another configuration is taken."""
    store.delete(_NEW)
    store.delete(_STARTS)
    store.put(_DROPPED, why[:_MAX_WHY].encode())


# ---- at the start


def _count_start(store):
    try:
        starts = store.get_json(_STARTS) or 0
    except (Broken, ValueError):
        store.delete(_STARTS)
        starts = 0
    if starts + 1 >= MAX_STARTS:
        raise Rejected(f"expected a success within {MAX_STARTS} starts, got none")
    store.put_json(_STARTS, starts + 1)


def _drop_at_start(store, why):
    try:
        drop(store, why)
    except (Broken, OSError) as error:
        why = f"{why}; and {error}"
    return _told(why)


def _why_dropped(store):
    try:
        return _told(store.get(_DROPPED).decode())
    except _UNUSABLE as error:
        return _told(str(error))


def _told(why):
    return f"configuration: the new one was dropped: {why}"


# ---- a record


def _digest(data):
    return hexlify(data[1:33]).decode()


def _opened(data):
    """(digest, body) of a record."""
    version, _, size = struct.unpack(_HEAD, data[:_HEAD_SIZE])
    if version != _VERSION:
        raise Rejected(f"configuration: expected version {_VERSION}, got {version}")
    return _digest(data), json.loads(data[_HEAD_SIZE : _HEAD_SIZE + size])


def _cut(data, kind):
    sizes = _opened(data)[1]["blobs"]
    at = len(data) - sum(size for _, size in sizes)
    found = []
    for its_kind, size in sizes:
        if its_kind == kind:
            found.append(data[at : at + size])
        at += size
    return found


def _record(factory, answer):
    try:
        from .content import read

        values, application, ders = read(factory, answer)
    finally:
        for name in ("content", "certificates", "crypto", "options"):
            memory.forget("instar." + name)
    if application:
        ders.append(("application", _json(application)))
    sizes = [(kind, len(der)) for kind, der in ders]
    text = _json({"values": values, "blobs": sizes})
    size = _HEAD_SIZE + len(text) + sum([len(der) for _, der in ders])
    if size > _MAX_RECORD:
        raise Rejected(f"configuration: expected at most {_MAX_RECORD} bytes in all, got {size}")
    head = struct.pack(_HEAD, _VERSION, unhexlify(answer.digest), len(text))
    return b"".join([head, text] + [der for _, der in ders])


def _json(body):
    """`body` as bytes that json.loads() takes back; MicroPython writes some that it does not."""
    try:
        text = json.dumps(body).encode()
        json.loads(text)
    except (RuntimeError, ValueError) as error:
        # Too deep for dumps(), or a number as large as 1e999.
        raise Rejected(f"configuration: expected content that can be kept as JSON, got: {error}")
    return text
