# An HTTP server that says exactly what a test tells it to, in the same MicroPython process.
#
#   async with Server([answer(b"hello")]) as server:   # one connection, one answer
#       ...
#   assert server.requests == [b"GET / HTTP/1.1\r\n..."]
#
# Each positional argument is one connection: the list of its answers, after the last of which it
# is closed. An answer is bytes, or a list of bytes sent piece by piece and of milliseconds to
# wait between them. CLOSE closes without an answer, HANG says nothing.
# MicroPython's sockets cannot tell their port, so free ones are found by trying.
import asyncio
import os
from errno import EADDRINUSE

CLOSE = None
HANG = [60000]


class Server:
    def __init__(self, *connections):
        self.script = list(connections)
        self.requests = []  # the exact bytes
        self.accepted = 0
        self.port = 0

    async def __aenter__(self):
        while True:
            self.port = 20000 + int.from_bytes(os.urandom(2), "big") % 12000
            try:
                self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
                break
            except OSError as error:
                if error.errno != EADDRINUSE:
                    raise
        self.url = "http://127.0.0.1:%d" % self.port
        return self

    async def __aexit__(self, *_):
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader, writer):
        answers = self.script[self.accepted]
        self.accepted += 1
        for answer in answers:
            request = await read_request(reader)
            if request is None:
                break
            self.requests.append(request)
            if answer is CLOSE:
                break
            await send(writer, answer)
        writer.close()
        await writer.wait_closed()


async def read_request(reader):
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = await reader.readline()
        if not line:
            return None
        head += line
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            size = int(line.split(b":")[1])
            return head + (await reader.readexactly(size) if size else b"")
    if b"transfer-encoding: chunked" in head.lower():
        pieces = [head]
        size = 1
        while size:
            pieces.append(await reader.readline())
            size = int(pieces[-1], 16)
            pieces.append(await reader.readexactly(size + 2))
        return b"".join(pieces)
    return head


async def send(writer, answer):
    for piece in [answer] if isinstance(answer, bytes) else answer:
        if isinstance(piece, int):
            await asyncio.sleep_ms(piece)
            continue
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep_ms(0)


def answer(body=b"", status="200 OK", headers=""):
    """The bytes of an answer with a Content-Length."""
    if not isinstance(body, bytes):
        body = body.encode()
    head = "HTTP/1.1 %s\r\n%sContent-Length: %d\r\n\r\n" % (status, headers, len(body))
    return head.encode() + body


def one_by_one(data):
    """The same bytes, each sent on its own."""
    return [data[i : i + 1] for i in range(len(data))]


async def raises(kind, words, awaitable):
    """The awaitable raises exactly `kind`, and its message holds `words`."""
    try:
        await awaitable
    except kind as error:
        assert type(error) is kind, repr(error)
        assert words in str(error), str(error)
        return error
    raise AssertionError("expected %s" % kind.__name__)
