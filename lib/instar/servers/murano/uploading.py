# Uploads of a board's files to its Murano product. In the heap only while one is under way.
#
#   await upload(murano, "logs/error.log", "/error.log", type="text/plain", tags={"abc": 123})
#
# Limits: an upload that breaks is not resumed; with Content-MD5 a file is read twice.
# SPDX-License-Identifier: MIT

import asyncio
import json
from binascii import b2a_base64

from micropython import const

from ...errors import Rejected
from .form import quote

_UPLOAD = "/onep:v1/content/"
_PIECE = const(1024)


async def upload(murano, id, source, size=None, type=None, tags=None, md5=None):
    """Give the product a content of this board.

    id: may have slashes. source: bytes, the path of a file (str), or an open binary file, from
    where it stands; `size` bytes of a file, by default all that follow. type: its media type.
    tags: a dict for JSON. md5: whether Content-MD5 is sent, by default where hashlib has it.
    Raises Rejected for what Murano refuses; OSError from the file.
    """
    headers = {"Content-Type": type} if type else {}
    path = _UPLOAD + "/".join([_segment(part) for part in id.split("/")]) + _query(tags)
    opened = _opened(source)
    try:
        body = source
        if opened or not isinstance(source, (bytes, bytearray, memoryview)):
            body = _Part(opened or source, size)
        if found := await _md5(body, md5):
            headers["Content-MD5"] = found
        response = await murano.call("PUT", path, headers, body, idempotent=True)
    finally:
        if opened:
            opened.close()
    murano.check(response, "upload of %s" % id[:60], 204)


def _opened(source):
    return open(source, "rb") if isinstance(source, str) else None


class _Part:
    # A body of a known length from a file, as often as it is iterated.

    def __init__(self, file, size):
        self._file = file
        self._start = file.tell()
        self._size = file.seek(0, 2) - self._start if size is None else size
        self._view = memoryview(bytearray(_PIECE))

    def __len__(self):
        return self._size

    def __aiter__(self):
        self._file.seek(self._start)
        self._left = self._size
        return self

    async def __anext__(self):
        count = self._file.readinto(self._view[: min(self._left, _PIECE)])
        if not count:
            raise StopAsyncIteration
        self._left -= count
        return self._view[:count]


def _segment(part):
    if part in ("", ".", ".."):
        raise Rejected("content: expected an id of segments between /, got an empty one or dots")
    return quote(part)


def _query(tags):
    # Sorted: a dict of MicroPython has no order, and equal tags are to be equal bytes.
    if not tags:
        return ""
    pairs = [json.dumps(name) + ":" + _json(tags[name]) for name in sorted(tags)]
    return "?tags=" + quote("{" + ",".join(pairs) + "}")


def _json(value):
    return json.dumps(value, separators=(",", ":"))


async def _md5(body, wanted):
    """The MD5 of the body in base64; None where it is not wanted, or not there to be had."""
    import hashlib

    if wanted is False or not hasattr(hashlib, "md5"):
        if wanted:
            raise Rejected("upload: expected MD5 in this board's hashlib, which has none")
        return None
    digest = hashlib.md5()
    if isinstance(body, _Part):
        async for piece in body:
            digest.update(piece)
            await asyncio.sleep_ms(0)
    else:
        digest.update(body)
    return b2a_base64(digest.digest()).strip().decode()
