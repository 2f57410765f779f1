# A full heap, wherever it strikes in a request, costs no connection.
import gc

from scripted import answer, raises

import instar.http as http
from instar.http import Client
from instar.http.download import open_range
from instar.http.wire import BUFFER, Connection
from instar.servers.murano import Murano

BODY = b"0123456789" * 500
WHOLE = answer(BODY)
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n012345678\r\n0\r\n\r\n"
MOVED = answer(b"", "302 Found", "Location: https://a.example/b\r\n")
INFO = answer(b"a/b,5000,1513931066,")
ROOMS = 100
STEP = 72


class Wire:
    """In the place of a socket: answers that are there at once."""

    answers = []

    def __init__(self):
        self.view = memoryview(b"")

    def write(self, data):
        if bytes(data[-4:]) == b"\r\n\r\n":
            self.view = memoryview(self.answers.pop(0))
        return len(data)

    def readinto(self, room):
        count = min(len(room), len(self.view), 600)
        if not count:
            return None
        room[:count] = self.view[:count]
        self.view = self.view[count:]
        return count

    def close(self):
        pass


class Wired(Connection):
    async def open(self, context, connect_ms, handshake_ms):
        self._socket = Wire()


class Full:
    """Leaves `room` bytes of the heap, about, to what runs inside."""

    places = [None] * 4000

    def __init__(self, room):
        self.room = room

    def __enter__(self):
        gc.collect()
        keep, at = bytearray(self.room), 0
        for size in (65536, 4096, 512, 16):
            try:
                while True:
                    self.places[at] = bytearray(size)
                    at += 1
            except MemoryError:
                pass
        del keep
        gc.collect()

    def __exit__(self, *_):
        for at in range(len(self.places)):
            self.places[at] = None
        gc.collect()


async def struck(action, *answers):
    """How many of the tries with more and more room of the heap failed; none cost a connection."""
    http.Connection = Wired
    client = Client(allow_plain=True, max_connections=1, user_agent="u")
    await action(client, list(answers))  # whatever it imports
    failed = 0
    for room in range(0, ROOMS * STEP, STEP):
        await client.close()
        if room % (2 * STEP):  # on a connection that is kept
            await whole(client, [WHOLE])
        client._buffers[:] = [bytearray(BUFFER)]
        given = list(answers)
        try:
            with Full(room):
                await action(client, given)
        except MemoryError:
            failed += 1
        busy = [connection for connection in client._connections if connection.busy]
        assert not busy, room
    return failed


async def whole(client, answers):
    Wire.answers = answers
    await client.get("http://a.example/")


async def redirected(client, answers):
    Wire.answers = answers
    client._context = True
    await client.get("http://a.example/", redirects=2)


async def ranged(client, answers):
    Wire.answers = answers
    stream = await open_range(client, "http://a.example/")
    try:
        async for _ in stream:
            pass
    finally:
        await stream.close()


class Bare(Murano):
    def __init__(self, client):
        self.url = "http://a.example"
        self.client = client
        self.secrets = []

    async def call(self, method, path, headers=None, data=None, **options):
        return await self.client.request(method, self.url + path, headers=headers, **options)


async def content(client, answers):
    Wire.answers = answers
    stream = await Bare(client).download("fw.bin")
    try:
        async for _ in stream:
            pass
    finally:
        await stream.close()


async def test_answers_read_whole():
    assert await struck(whole, WHOLE) > 10
    assert await struck(whole, CHUNKED) > 10


async def test_redirects():
    assert await struck(redirected, MOVED, WHOLE) > 10


async def test_streams():
    assert await struck(ranged, WHOLE) > 10


class NoRoom:
    def __init__(self, *_):
        raise MemoryError("no room")


async def test_a_stream_that_finds_no_room_itself():
    from instar.http import download
    from instar.servers.murano import stream

    http.Connection = Wired
    download.Stream = stream.Download = NoRoom
    for action, answers in ((ranged, [WHOLE]), (content, [INFO, WHOLE])):
        client = Client(allow_plain=True, max_connections=1, user_agent="u")
        await raises(MemoryError, "no room", action(client, answers))
        assert not client._connections


async def test_contents_of_murano():
    assert await struck(content, INFO, WHOLE, INFO) > 10
