# The answer to a request: status and headers at once, the body as chunks or as a whole.
#
#   response = await client.get(url)                  # response.content, .text, .json()
#   response = await client.get(url, stream=True)
#   async for view in response:                       # a memoryview, valid until the next one
#       sink.write(view)
#
# Limits: no content or transfer coding but chunked (none is asked for). Where an answer has
# neither a length nor chunks, its end is the end of the connection: that cannot be told from a
# cut, over TLS neither, as a missing close_notify goes unseen. Only a check of what came (JSON
# that parses, a checksum) shows that such a body is whole; `.length` is None there.
# A body that is read as a whole has to arrive within four times the timeout. JSON has at most
# 8 KiB, and 256 of { [ and commas, in strings too: each of them may take 100 bytes of heap.
# SPDX-License-Identifier: MIT

import asyncio
import json

from micropython import const

from .. import memory
from ..errors import Transient
from .message import printable

_MAX_CHUNK_LINE = const(256)
_MAX_TRAILERS = const(16)
_MAX_TRAILER_LINE = const(1024)

_MAX_JSON = const(8192)
_MAX_PARTS = const(256)

_LENGTH = const(0)
_CHUNKED = const(1)
_UNTIL_CLOSE = const(2)


class TooLarge(Transient):
    """The body has more bytes than were to be read as a whole."""


def modest(data):
    """Whether what json.loads() makes of `data` (bytes) is bounded, in size and in depth."""
    parts = sum([data.count(mark) for mark in (b"{", b"[", b",")])
    return len(data) <= _MAX_JSON and parts <= _MAX_PARTS


class Response:
    """In the shape of requests': status_code, reason, headers (lower-case names), url, ...

    length: the body's Content-Length, or None where the server did not say. A stream that is not
    read to its end must be closed; that closes its connection.
    """

    def __init__(self, url, method, head, connection, release):
        self.url = url
        self.status_code, self.reason, self.headers, modern = head
        self.content = b""
        self._connection = connection
        self._release = release
        self._open = True
        self._keep = self._may_keep(modern)
        self._first = True
        self._frame(method)

    @property
    def text(self):
        """The body as str; what is not UTF-8 comes with dots in its place."""
        try:
            return self.content.decode()
        except UnicodeError:
            return printable(self.content, len(self.content))

    def json(self):
        """The body's value. Raises Transient if it is not JSON, or beyond the limits above: it may
        be a captive portal's."""
        expected = "JSON"
        try:
            if modest(self.content):
                return json.loads(self.content)
            expected += " of at most %d bytes and %d parts" % (_MAX_JSON, _MAX_PARTS)
        except (ValueError, UnicodeError):
            pass
        name = self.url.split("?")[0]
        text = "%s: expected %s, got '%s'"
        raise Transient(text % (name, expected, printable(self.content)))

    async def load(self, limit):
        """Read the whole body into `content`. Raises TooLarge beyond `limit` bytes."""
        body = bytearray()
        self._connection.expect_whole()
        if (self.length or 0) <= limit:
            async for view in self:
                body.extend(view)
                if len(body) > limit:
                    break
        if self._open:
            await self.close()
            raise self._nonsense("a body of at most %d bytes" % limit, TooLarge)
        self.content = bytes(body)

    def retry_after(self):
        """Seconds the server asks to wait (Retry-After, at most a day), or None."""
        if "retry-after" not in self.headers:
            return None
        try:
            from .dates import retry_after

            return retry_after(self.headers)
        finally:
            memory.forget("instar.http.dates")

    def close(self):
        """Done with this answer. A body that was not read to its end costs the connection."""
        # Done when it is called, not when it is awaited: to make a coroutine takes heap.
        self._finish(False)
        return asyncio.sleep_ms(0)

    def __aiter__(self):
        return self

    async def __anext__(self):
        view = await self._next()
        if view is None:
            raise StopAsyncIteration
        return view

    async def _next(self):
        # The next piece of the body, or None after the last.
        if not self._open:
            return None
        try:
            view = await self._read()
        except BaseException:  # a cancelled task leaves its answer half read, too
            self._finish(False)
            raise
        if view is None:
            self._finish(self._keep)
        return view

    async def _read(self):
        if self._framing == _CHUNKED and not self._left:
            self._left = await self._chunk_size()
        if not self._left:
            return None
        view = await self._connection.some(self._left)
        if self._framing == _UNTIL_CLOSE:
            return view if len(view) else None
        if not len(view):
            raise self._connection.ended()
        self._left -= len(view)
        return view

    async def _chunk_size(self):
        # 0 after the last chunk, with its trailers read and dropped.
        readline = self._connection.readline
        if not self._first and await readline(_MAX_CHUNK_LINE):
            raise self._nonsense("a line end after a chunk")
        self._first = False
        digits = (await readline(_MAX_CHUNK_LINE)).partition(b";")[0].strip()
        if not 0 < len(digits) <= 7 or digits.lower().strip(b"0123456789abcdef"):
            raise self._nonsense("a chunk size")
        size = int(digits, 16)
        if not size:
            for _ in range(_MAX_TRAILERS + 1):
                if not await readline(_MAX_TRAILER_LINE):
                    return 0
            raise self._nonsense("at most %d trailers" % _MAX_TRAILERS)
        return size

    def _frame(self, method):
        # RFC 9112 §6.3, in its order. _left: bytes still to come (of this chunk, if chunked).
        self._framing, self._left, self.length = _LENGTH, 0, 0
        coding = self.headers.get("transfer-encoding", "").lower().strip()
        if method == "HEAD" or self.status_code in (204, 304):
            return
        if coding:
            if coding != "chunked":
                raise self._nonsense("no transfer coding but chunked")
            self._framing, self.length = _CHUNKED, None
        elif "content-length" in self.headers:
            self._left = self.length = self._content_length()
        else:
            self._framing, self.length, self._left = _UNTIL_CLOSE, None, 1 << 29
            self._keep = False

    def _content_length(self):
        # The same length several times is tolerated, as RFC 9110 §8.6 allows.
        values = [value.strip() for value in self.headers["content-length"].split(",")]
        if len(values[0]) > 10 or not values[0].isdigit() or values.count(values[0]) < len(values):
            raise self._nonsense("one Content-Length")
        return int(values[0])

    def _may_keep(self, modern):
        wish = self.headers.get("connection", "").lower()
        return "close" not in wish and (modern or "keep-alive" in wish)

    def _nonsense(self, expected, kind=Transient):
        return kind("%s: expected %s in the answer" % (self._connection.name, expected))

    def _finish(self, reusable):
        if self._open:
            self._open = False
            self._release(self._connection, reusable)
