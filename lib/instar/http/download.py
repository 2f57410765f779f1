# A large body in pieces that can be taken up again where the link broke.
#
#   stream = await open_range(client, url, offset, total)     # total: None the first time
#   async for view in stream: ...                             # stream.offset counts along
#
# Limits: one range, from an offset to the end. Whether the bytes are still those of the first
# time is not for HTTP to know: only a checksum over all of them tells.
# SPDX-License-Identifier: MIT

from ..errors import Rejected, Transient


class Stream:
    """Views of a body in order. offset: of the next byte; total: the whole size, or None.

    Every view is valid until the next. Raises Transient when the body ends early.
    """

    def __init__(self, response, offset, total):
        self.offset = offset
        self.total = total
        self._response = response
        # A server may answer a range with everything: then what is there already is dropped.
        self._skip = offset if response.status_code == 200 else 0

    def close(self):
        """Done with it; before the end this costs the connection."""
        return self._response.close()

    def __aiter__(self):
        return self

    async def __anext__(self):
        async for view in self._response:
            drop = min(self._skip, len(view))
            self._skip -= drop
            if drop:
                view = view[drop:]
            if view:
                self.offset += len(view)
                if self.total is not None and self.offset > self.total:
                    await self.close()
                    raise Transient("download: expected %d bytes, got more" % self.total)
                return view
        if self._skip or (self.total is not None and self.offset < self.total):
            text = "download: expected %s bytes, ended after %d"
            raise Transient(text % (self.total, self.offset - self._skip))
        raise StopAsyncIteration


async def open_range(client, url, offset=0, total=None):
    """GET `url` from byte `offset` on, over at most 3 redirects, and return its Stream.

    total: the size as known from before. Raises Rejected if what the server has does not fit it
    or the range; Transient for every other answer (a URL may have expired).
    """
    headers = {"Range": "bytes=%d-" % offset} if offset else None
    response = await client.get(url, headers=headers, stream=True, redirects=3)
    try:
        return Stream(response, offset, _size(response, offset, total))
    except BaseException:
        await response.close()
        raise


def _size(response, offset, known):
    status = response.status_code
    if status == 206 and offset:
        size = _ranged_size(response, offset)
    elif status in (206, 416):
        raise Rejected("download: expected the bytes from %d on, got %d" % (offset, status))
    elif status == 200:
        size = response.length
    else:
        text = "download: expected 200 or 206, got %d: the URL may have expired"
        raise Transient(text % status, response.retry_after())
    if size is None:
        return known
    if size < offset or known not in (None, size):
        text = "download: expected %s bytes in all as before, got %d"
        raise Rejected(text % (known or "more than %d" % offset, size))
    return size


def _ranged_size(response, offset):
    # RFC 9110 §14.4: "bytes first-last/size", where size may be "*".
    value = response.headers.get("content-range", "none")[:80]
    span, _, size = value.partition("/")
    first, _, last = span.partition("-")
    good = first == "bytes %d" % offset and last.isdigit() and len(last) <= 10
    end = int(last) + 1 if good else 0
    length = end - offset
    if not good or size not in ("*", str(end)) or response.length not in (None, length):
        text = "download: expected Content-Range: bytes %d-(to the end), got %s"
        raise Rejected(text % (offset, value))
    return end
