# Answers that are made to fill the heap or to hold the board: on a small heap each of them ends in
# a clear Transient after a bounded number of bytes, leaves nothing behind, and the next works.
import gc

from scripted import HANG, Server, answer, raises
from test_http_memory import Full, Wired

import instar.http as http
from instar.errors import Transient
from instar.http import Client, wire

# Of heap, where pointers have 8 bytes. A board of 80wk has 48 KiB, and keeps them together by its
# gc.threshold(): see tests/system/test_hostile.py. That takes too long on the heap of a test.
ROOM = 96 << 10
MOST = 128 << 10  # bytes that may be read of any answer: 16 KiB come as chunks of one byte, too
URL = "http://a.example/"
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
SIZE = "a chunk size"
LENGTH = "one Content-Length"
BODY = "a body of at most 16384 bytes"


class Endless:
    """In the place of a socket: `start`, and then `again` for ever."""

    start = again = b""
    taken = 0

    def __init__(self):
        self.left = memoryview(b"")

    def write(self, data):
        self.left = memoryview(self.start)
        Endless.taken = 0
        return len(data)

    def readinto(self, room):
        if not self.left:
            self.left = memoryview(self.again)
        count = min(len(room), len(self.left))
        if not count:
            return None
        room[:count] = self.left[:count]
        self.left = self.left[count:]
        Endless.taken += count
        return count

    def close(self):
        pass


class ToEndless(Wired):
    async def open(self, context, connect_ms, handshake_ms):
        self._socket = Endless()


ENDLESS = (
    ("lines of at most 256", b"HTTP/1.1 200 ", b"x" * 500),
    ("lines of at most 4000", OK + b"A: ", b"x" * 500),
    ("64 headers in 8192", OK, b"A: bbb\r\n"),
    ("64 headers in 8192", OK, b"\r\n".join(b"%d: b" % i for i in range(99)) + b"\r\n"),
    ("64 headers in 8192", OK, b"A: " + b"\xff" * 3900 + b"\r\n"),
    ("64 headers in 8192", OK, b"A: " + "ä".encode() * 1900 + b"\r\n"),
    ("expected 'name: value'", OK, b"\xff" * 300 + b" x\r\n"),
    ("after 8 of 1xx", b"", b"HTTP/1.1 100 Continue\r\nA: b\r\n\r\n"),
    ("lines of at most 256", CHUNKED + b"5;", b"a=b;" * 99),
    ("at most 16 trailers", CHUNKED + b"0\r\n", b"A: b\r\n"),
    ("lines of at most 1024", CHUNKED + b"0\r\n", b"x" * 500),
    (SIZE, CHUNKED + b"100000000\r\n", b"x" * 500),
    (SIZE, CHUNKED + b"FFFFFFFFFFFFFFFF\r\n", b"x" * 500),
    (SIZE, CHUNKED + b"-1\r\n", b"x" * 500),
    (SIZE, CHUNKED + b"0x10\r\n", b"x" * 500),
    (BODY, CHUNKED + b"FFFFFFF\r\n", b"x" * 500),
    (BODY, CHUNKED, b"1\r\nx\r\n" * 99),
    (LENGTH, OK + b"Content-Length: -1\r\n\r\n", b"x" * 500),
    (LENGTH, OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n", b"x" * 500),
    (LENGTH, OK + b"Content-Length: 18446744073709551616\r\n\r\n", b"x" * 500),
    (BODY, OK + b"Content-Length: 4294967296\r\n\r\n", b"x" * 500),
    (BODY, OK + b"Content-Length: 4294967301\r\n\r\n", b"x" * 500),
    (BODY, OK + b"\r\n", b"x" * 500),
    ("no transfer coding", OK + b"Transfer-Encoding: gzip\r\n\r\n", b"x" * 500),
)


async def test_answers_without_end_are_bounded():
    http.Connection = ToEndless
    client = Client(allow_plain=True, max_body=16384, user_agent="u")

    async def attacked(start, again):
        Endless.start, Endless.again = start, again
        error = await raises(Transient, "", swallowed(client))
        assert not client._connections
        return error

    for _, start, again in ENDLESS:  # whatever it imports
        await attacked(start, again)
    free = left()
    with Full(ROOM):
        for words, start, again in ENDLESS:
            error = await attacked(start, again)
            assert words in str(error), (words, str(error))
            assert Endless.taken <= MOST, (words, Endless.taken)
    error = None
    assert free - left() < 512, (free, left())
    Endless.start, Endless.again = answer(b"well"), b""
    assert (await client.get(URL)).content == b"well"


async def swallowed(client):
    # TooLarge is one of Transient's, but raises() is exact.
    try:
        await client.get(URL)
    except Transient as error:
        raise Transient(str(error))


def left():
    gc.collect()
    gc.collect()
    return gc.mem_free()


# Trickles


class Trickle(Endless):
    """A few bytes at a time, and a wait before each of them."""

    step = 1
    waits = False

    def readinto(self, room):
        self.waits = not self.waits
        return None if self.waits else super().readinto(room[: self.step])


class ToTrickle(Wired):
    async def open(self, context, connect_ms, handshake_ms):
        self._socket = Trickle()

    async def _wait(self, register):
        if self._deadline is None:
            self._check_pace(1000)


async def trickled(start, again, step, **options):
    """Bytes of the body that arrive with a second of waiting before each `step` of them."""
    http.Connection = ToTrickle
    Endless.start, Endless.again, Trickle.step = start, again, step
    client = Client(allow_plain=True, timeout=30)
    response = await client.get(URL, **options)
    found = 0
    async for view in response:
        found += len(view)
    assert not options or not response.length or found == response.length
    return found or len(response.content)


async def test_a_body_that_is_read_whole_has_four_timeouts():
    for start, again in (
        (OK + b"Content-Length: 9999\r\n\r\n", b"x"),
        (CHUNKED, b"1\r\nx\r\n"),
        (CHUNKED + b"5;", b"x"),
        (CHUNKED + b"0\r\n", b"x"),
        (OK + b"\r\n", b"x"),
    ):
        await raises(Transient, "too slow: 120 s of waiting", trickled(start, again, 1))
        assert Endless.taken < len(start) + 121
    fits = OK + b"Content-Length: 9999\r\n\r\n"
    assert await trickled(fits, b"x" * 100, 100) == 9999


async def test_a_stream_may_take_as_long_as_it_flows():
    head = OK + b"Content-Length: 99999\r\n\r\n"
    assert await trickled(head, b"x" * 51, 51, stream=True) == 99999
    slow = trickled(head, b"x" * 49, 49, stream=True)
    await raises(Transient, "too slow: 120 s of waiting while reading the answer", slow)


async def whole(response):
    async for _ in response:
        pass


async def test_waiting_is_what_counts():
    wire.Connection.slowest = (100, 300)
    drip = [OK + b"Content-Length: 9999\r\n\r\n"] + [20, b"x"] * 200
    async with Server([drip]) as server:
        client = Client(allow_plain=True, timeout=5)
        response = await client.get(server.url, stream=True)
        await raises(Transient, "too slow", whole(response))
        assert not client._connections


async def test_a_request_that_nobody_takes_ends():
    class Deaf(Endless):
        def write(self, data):
            return None

    class ToDeaf(ToTrickle):
        async def open(self, context, connect_ms, handshake_ms):
            self._socket = Deaf()

    http.Connection = ToDeaf
    client = Client(allow_plain=True)
    await raises(Transient, "too slow: 120 s of waiting while sending", client.get(URL))


async def test_a_head_that_never_comes_ends_with_the_timeout():
    async with Server([HANG]) as server:
        client = Client(allow_plain=True, timeout=0.05)
        await raises(Transient, "timeout after 0.05 s waiting", client.get(server.url))


# Redirects


class Moved:
    def __init__(self, headers):
        self.headers = headers


async def redirected(location, **headers):
    """The Request that follows, or Transient."""
    from instar.http.redirects import following
    from instar.http.request import Request

    request = Request("GET", "https://a.example/b?token=1", headers, None, None)
    return following(request, Moved({"location": location}), headers)


async def test_redirects_lead_nowhere_bad():
    for location in (
        "http://a.example/",
        "HTTP://a.example/",
        "ftp://a.example/",
        "file:///flash",
        "//",
        "https://",
        "https://u:p@a.example/",
        "https://a.example\r\nX: y",
        "https://a.example/\r\nX: y",
        "https://a.example/ä",
        "https://a.example:99999/",
        "",
    ):
        await raises(Transient, "redirect", redirected(location))
    found = await redirected("https://b.example/", Authorization="Bearer x", Range="bytes=5-")
    assert b"Bearer" not in found.head and b"bytes=5-" in found.head
    assert b"token" not in found.head  # nor what the old URL held


async def test_redirects_have_an_end():
    http.Connection = ToEndless
    for location in (b"/", b"https://b.example/", b"?" + b"x" * 900):
        Endless.again = b""
        Endless.start = b"HTTP/1.1 302 x\r\nContent-Length: 0\r\nLocation: %s\r\n\r\n" % location
        client = Client(ca=[b"none"])
        client._context = True
        error = client.get("https://a.example/", redirects=99)
        await raises(Transient, "too many redirects", error)
        assert len(client._connections) <= 2
    start = b"HTTP/1.1 302 x\r\nContent-Length: 0\r\nLocation: https://b/%s\r\n\r\n"
    Endless.start = start % (b"x" * 100000)
    error = client.get("https://a.example/", redirects=9)
    await raises(Transient, "lines of at most 4000", error)
