# What a request sends: the bytes of its head, and its body in as few writes as possible.
#
#   request = Request("PUT", url, {"Content-Type": "text/plain"}, b"...", None)
#   await request.send(connection)
# SPDX-License-Identifier: MIT

import json as _json

from micropython import const

from ..errors import Rejected
from .message import request_head, split_url

_SMALL = const(4096)  # a request up to this size leaves in one write


class Request:
    """Made once: the URL's parts, the bytes of the head, the body.

    An async iterable body goes out in chunks; with its Content-Length if it has a `__len__`.
    """

    def __init__(self, method, url, headers, data, json):
        if json is not None:
            data = _json.dumps(json)
        if isinstance(data, str):
            data = data.encode()
        self.method, self.url, self.body = method, url, data
        self.origin, target = split_url(url)
        self.streamed = hasattr(data, "__aiter__")
        self._sized = not self.streamed or hasattr(data, "__len__")
        names = [name.lower() for name in headers]
        if "content-length" in names or "transfer-encoding" in names:
            raise Rejected("header: expected the length of the body to be left to the client")
        headers = dict(headers)
        if json is not None and "content-type" not in names:
            headers["Content-Type"] = "application/json"
        if not self._sized:
            headers["Transfer-Encoding"] = "chunked"
        elif data is not None or method in ("POST", "PUT", "PATCH"):
            headers["Content-Length"] = len(data or b"")
        self.head = request_head(method, self.origin, target, headers)

    async def send(self, connection):
        """Write it all; a small one in one write, which Nagle's algorithm cannot delay.

        Raises Rejected, with the body half sent, if that is not as long as it said.
        """
        if not self.streamed:
            await self._send_first(connection, self.body or b"")
        elif self._sized:
            await self._send_pieces(connection)
        else:
            await self._send_chunks(connection)

    async def _send_first(self, connection, data):
        # The head, with as much of the body as one write takes; then the rest.
        view = memoryview(data)
        room = max(0, _SMALL - len(self.head))
        await connection.write(self.head + bytes(view[:room]))
        await connection.write(view[room:])

    async def _send_pieces(self, connection):
        left = size = len(self.body)
        first = True
        async for piece in self.body:  # pyright: ignore[reportGeneralTypeIssues]
            left -= len(piece)
            if left < 0:
                break
            if first:
                await self._send_first(connection, piece)
            else:
                await connection.write(piece)
            first = False
        if left:
            text = "body: expected %d bytes as its length says, got %d"
            raise Rejected(text % (size, size - left))
        if first:
            await connection.write(self.head)

    async def _send_chunks(self, connection):
        # `held` waits for company: the head leaves with the first chunk, the end with the last.
        held = self.head
        async for chunk in self.body:  # pyright: ignore[reportGeneralTypeIssues]
            if not len(chunk):
                continue  # a chunk of size 0 would end the body
            size = b"%x\r\n" % len(chunk)
            if len(held) + len(size) + len(chunk) > _SMALL:
                await connection.write(held)
                held = b""
            held += size + bytes(chunk) + b"\r\n"
        await connection.write(held + b"0\r\n\r\n")
