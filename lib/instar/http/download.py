# A large body in pieces that can be taken up again where the link broke.
#
#   stream = await open_range(client, url, offset, total)     # total: None the first time
#   async for view in stream: ...                             # stream.offset counts along
#
# Limits: one range. Whether the bytes are still those of the first time is not for HTTP to know:
# only a checksum over all of them tells.
# SPDX-License-Identifier: MIT

from micropython import const

from ..errors import Expired, Rejected, Transient
from .wire import Ended

# What object stores say of a URL that is no longer good.
_GONE = (400, 401, 403, 404, 410)
_MAX_DIGITS = const(10)


class Stream:
    """Views of a body in order, up to byte `end` if that is given. offset: of the next byte;
    total: the whole size, or None.

    Every view is valid until the next. Raises Transient when the body ends early.
    """

    def __init__(self, response, offset, total, end=None):
        self.offset = offset
        self.total = total
        self._end = total if end is None else end
        self._response = response
        # A server may answer a range with everything: then what is there already is dropped.
        self._skip = offset if response.status_code == 200 else 0
        self._over = response.status_code == 416  # all of it is there already

    def close(self):
        """Done with it; before the end this costs the connection."""
        return self._response.close()

    def __aiter__(self):
        return self

    async def __anext__(self):
        if self._over:
            raise StopAsyncIteration
        try:
            return await self._next()
        except Ended:
            if self._skip or self.offset != self._end:
                raise
        raise StopAsyncIteration  # only the body's own end is missing

    async def _next(self):
        async for view in self._response:
            drop = min(self._skip, len(view))
            self._skip -= drop
            view = view[drop:]
            if drop and not view:
                return view  # nothing to take, but a sign of life
            if view:
                left = len(view) if self._end is None else self._end - self.offset
                if left < len(view) and self._end == self.total:
                    await self.close()
                    raise Transient("download: expected %d bytes, got more" % self._end)
                if not left:
                    break  # who was asked for a part may send all
                self.offset += min(left, len(view))
                return view[:left]
        if self._skip or (self._end is not None and self.offset < self._end):
            text = "download: expected %s bytes, ended after %d"
            raise Transient(text % (self._end, self.offset - self._skip))
        raise StopAsyncIteration


async def open_range(client, url, offset=0, total=None, end=None):
    """GET `url` from byte `offset` on, over at most 3 redirects, and return its Stream; with `end`
    only the bytes before that.

    total: the size as known from before. Raises Rejected if what the server has does not fit it
    or the range; Expired where the URL is no longer good, Transient for every other answer.
    """
    headers = None
    if offset or end:
        headers = {"Range": "bytes=%d-%s" % (offset, end - 1 if end else "")}
    response = await client.get(url, headers=headers, stream=True, redirects=3)
    try:
        return Stream(response, offset, _size(response, offset, total, end), end)
    except BaseException:
        await response.close()
        raise


def _size(response, offset, known, end):
    status = response.status_code
    kind = response.headers.get("content-type", "").lower()
    if status == 200 and kind.startswith("text/html"):  # every other answer is refused anyway
        raise Transient("download: expected an Artifact, got a web page (a captive portal?)")
    if status == 206 and (offset or end):
        size = _ranged_size(response, offset, end)
    elif status == 416 and offset and (offset == known or offset == _whole(response)):
        size = offset
    elif status in (206, 416):
        raise Rejected("download: expected the bytes from %d on, got %d" % (offset, status))
    elif status == 200:
        size = response.length
    elif status in _GONE:
        raise Expired("download: expected 200 or 206, got %d: the URL may have expired" % status)
    else:
        raise Transient("download: expected 200 or 206, got %d" % status, response.retry_after())
    if size is None:
        return known
    if size < (end or offset) or known not in (None, size):
        text = "download: expected %s bytes in all as before, got %d"
        raise Rejected(text % (known or "at least %d" % (end or offset), size))
    return size


def _whole(response):
    # Of a 416: "bytes */size".
    unit, _, size = response.headers.get("content-range", "").partition("*/")
    return int(size) if unit == "bytes " and _is_number(size) else None


def _ranged_size(response, offset, end):
    # RFC 9110 §14.4: "bytes first-last/size", where size may be "*".
    value = response.headers.get("content-range", "none")[:80]
    span, _, size = value.partition("/")
    first, _, last = span.partition("-")
    good = first == "bytes %d" % offset and _is_number(last) and (size == "*" or _is_number(size))
    stop = int(last) + 1 if good else 0
    total = None if size == "*" else int(size) if good else 0
    good = good and stop == (end or total or stop) and response.length in (None, stop - offset)
    if not good or (total is not None and total < stop):
        text = "download: expected Content-Range: bytes %d-%s, got %s"
        raise Rejected(text % (offset, end - 1 if end else "(to the end)", value))
    return total if end else stop


def _is_number(text):
    return text.isdigit() and len(text) <= _MAX_DIGITS
