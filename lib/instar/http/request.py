# What a request sends: the bytes of its head, and its body in as few writes as possible.
#
#   request = Request("PUT", url, {"Content-Type": "text/plain"}, b"...", None)
#   await request.send(connection)
# SPDX-License-Identifier: MIT

import json as _json

from .. import memory
from ..errors import Rejected
from .message import request_head, split_url

SMALL = 4096  # a request up to this size leaves in one write


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
            return await self.send_first(connection, self.body or b"")
        try:
            from . import streaming  # if there is no room for it, half of it has to go again

            send = streaming.send_pieces if self._sized else streaming.send_chunks
            await send(self, connection)
        finally:
            memory.forget("instar.http.streaming")

    async def send_first(self, connection, data):
        """The head, with as much of the body as one write takes; then the rest of `data`."""
        view = memoryview(data)
        room = max(0, SMALL - len(self.head))
        await connection.write(self.head + bytes(view[:room]))
        await connection.write(view[room:])
