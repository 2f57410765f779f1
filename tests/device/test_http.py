import asyncio
import time

from scripted import CLOSE, HANG, Server, answer, one_by_one, raises

from instar.errors import Rejected, Transient, Untrusted
from instar.http import Client, dates, message, redirects, wire
from instar.http.response import TooLarge

OK = answer(b"hello")


class Chunks:
    """An async iterable, as MicroPython has no async generators."""

    def __init__(self, *chunks):
        self.chunks = list(chunks)

    def __aiter__(self):
        return self

    async def __anext__(self):
        if not self.chunks:
            raise StopAsyncIteration
        return self.chunks.pop(0)


def plain(**options):
    return Client(allow_plain=True, timeout=options.pop("timeout", 5), **options)


async def fetch(*connections, **options):
    """(content, server) of one GET per answer, over one client."""
    async with Server(*connections) as server:
        client = plain()
        for _ in range(sum(len(c) for c in connections)):
            response = await client.get(server.url + "/", **options)
        await client.close()
    return response, server


async def refused(words, reply):
    """The scripted answer is refused as Transient, and its connection is not kept."""
    async with Server([reply, OK]) as server:
        client = plain()
        error = await raises(Transient, words, client.get(server.url))
        assert "127.0.0.1:%d" % server.port in str(error), str(error)
        assert not client._connections
        await client.close()


async def streamed(reply, pieces=False):
    async with Server([reply]) as server:
        client = plain()
        response = await client.get(server.url, stream=True)
        body = b""
        async for view in response:
            assert isinstance(view, memoryview) and 0 < len(view) <= 4096
            body += bytes(view)
        await client.close()
    return response, body


def writes():
    """Counts the writes of every connection from now on: the list of what each held."""
    seen = []
    original = wire.Connection.write

    async def write(self, data):
        if len(data):
            seen.append(bytes(data))
        await original(self, data)

    wire.Connection.write = write
    return seen


# What is sent


async def test_a_get_is_these_bytes():
    response, server = await fetch([OK])
    lines = server.requests[0].split(b"\r\n")
    assert lines[0] == b"GET / HTTP/1.1"
    assert lines[1] == b"Host: 127.0.0.1:%d" % server.port
    assert lines[2].startswith(b"User-Agent: instar/")
    assert lines[3:] == [b"", b""]
    assert response.status_code == 200 and response.reason == "OK"
    assert response.headers == {"content-length": "5"}
    assert response.content == b"hello" and response.text == "hello"


async def test_headers_of_the_caller_replace_the_defaults():
    _, server = await fetch([OK], headers={"Range": "bytes=7-", "user-agent": "mine"})
    head = server.requests[0]
    assert b"\r\nRange: bytes=7-\r\n" in head
    assert b"\r\nuser-agent: mine\r\n" in head
    assert head.lower().count(b"user-agent") == 1
    assert b"ccept-" not in head


async def test_json_goes_out_and_comes_back_in_one_write():
    seen = writes()
    async with Server([answer('{"a": [1, null]}')]) as server:
        client = plain()
        response = await client.post(server.url + "/x?y=%20", json={"b": "ä"})
        assert response.json() == {"a": [1, None]}
        await client.close()
    head, body = server.requests[0].split(b"\r\n\r\n")
    assert head.startswith(b"POST /x?y=%20 HTTP/1.1\r\n")
    assert b"\r\nContent-Type: application/json" in head
    assert b"\r\nContent-Length: 11" in head
    assert body == '{"b": "ä"}'.encode()
    assert seen == server.requests


async def test_a_large_body_leaves_with_its_head():
    seen = writes()
    body = bytes(range(256)) * 40
    async with Server([OK]) as server:
        client = plain()
        await client.put(server.url, data=body)
        await client.close()
    assert server.requests[0].endswith(b"\r\n\r\n" + body)
    assert [len(data) for data in seen] == [4096, len(server.requests[0]) - 4096]


async def test_a_request_without_a_body_says_so_where_one_is_usual():
    async with Server([OK, OK]) as server:
        client = plain()
        await client.put(server.url)
        await client.request("DELETE", server.url)
        await client.close()
    assert b"\r\nContent-Length: 0\r\n" in server.requests[0]
    assert b"Content-Length" not in server.requests[1]


async def test_an_async_iterable_is_sent_in_chunks_and_few_writes():
    seen = writes()
    async with Server([OK]) as server:
        client = plain()
        data = Chunks(b"abc", b"", memoryview(b"0123456789abcdef!"))
        await client.put(server.url, data=data)
        await client.close()
    head, body = server.requests[0].split(b"\r\n\r\n", 1)
    assert b"\r\nTransfer-Encoding: chunked" in head and b"Content-Length" not in head
    assert body == b"3\r\nabc\r\n11\r\n0123456789abcdef!\r\n0\r\n\r\n"
    assert len(seen) == 1


async def test_chunks_beyond_the_small_size_are_not_collected():
    seen = writes()
    async with Server([OK]) as server:
        client = plain()
        await client.put(server.url, data=Chunks(b"x" * 3000, b"y" * 3000))
        await client.close()
    assert len(seen) == 2 and all(len(data) <= 4096 for data in seen)
    assert server.requests[0].endswith(b"\r\nbb8\r\n" + b"y" * 3000 + b"\r\n0\r\n\r\n")


async def test_line_breaks_cannot_be_injected():
    client = plain()
    url = "http://127.0.0.1:1/"
    for headers in ({"X": "a\r\nY: b"}, {"X": "a\nb"}, {"X\r\nY": "a"}, {"X: y": "a"}, {"": "a"}):
        await raises(Rejected, "header", client.get(url, headers=headers))
    for bad in ("a\r\nb", "a b", "a\nb", "ä"):
        await raises(Rejected, "URL", client.get(url + bad))
    for name in ("Content-Length", "transfer-encoding"):
        await raises(Rejected, "length", client.put(url, headers={name: "3"}, data=b"abcd"))


async def test_plain_http_needs_permission():
    error = await raises(Rejected, "https", Client().get("http://example.invalid/secret"))
    assert "secret" not in str(error)
    await raises(Untrusted, "CA", Client().get("https://example.invalid/"))


def test_urls_are_taken_apart():
    split = message.split_url
    assert split("https://a.b") == ((True, "a.b", 443), "/")
    assert split("HTTP://a:80/x?y=1&z=%2F#frag") == ((False, "a", 80), "/x?y=1&z=%2F")
    assert split("https://a?q=/") == ((True, "a", 443), "/?q=/")
    assert split("https://[fe80::1]:8443/x") == ((True, "fe80::1", 8443), "/x")
    assert split("https://[::1]") == ((True, "::1", 443), "/")
    wrong = "ftp://a a/b https:// https://u:p@a/ https://a:0 https://a:65536 https://a:b"
    wrong += " https://[::1 https://[x]/ https://a:1:2/ https:///x"
    for bad in wrong.split():
        try:
            split(bad)
        except Rejected as error:
            assert "URL: expected" in str(error)
        else:
            raise AssertionError(bad)


def test_ipv6_literals_keep_their_brackets_in_the_host_header():
    head = message.request_head("GET", (True, "::1", 443), "/", {})
    assert head == b"GET / HTTP/1.1\r\nHost: [::1]\r\n\r\n"
    head = message.request_head("GET", (False, "::1", 8080), "/", {})
    assert b"\r\nHost: [::1]:8080\r\n" in head


def test_locations_are_resolved():
    base = "https://a.b:1/x/y?q=1"
    for location, expected in (
        ("https://c/d", "https://c/d"),
        ("//c/d", "https://c/d"),
        ("/d?e", "https://a.b:1/d?e"),
        ("d", "https://a.b:1/x/d"),
        ("?z=://", "https://a.b:1/x/y?z=://"),
    ):
        assert redirects.join_url(base, location) == expected, location


# Framing


async def test_every_framing_arrives_whole_even_byte_by_byte():
    body = bytes(range(256)) + b"\r\n0\r\n\r\n"
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunked += b"3;name=value\r\n" + body[:3] + b"\r\n%X\r\n" % (len(body) - 3) + body[3:]
    chunked += b"\r\n0\r\nTrailer: x\r\n\r\n"
    until_close = b"HTTP/1.1 200 OK\r\n\r\n" + body
    for reply in (answer(body), chunked, until_close):
        for sent in (reply, one_by_one(reply)):
            response, got = await streamed(sent)
            assert got == body
            assert response.length == (len(body) if b"Content-Length" in reply else None)
            response, _ = await fetch([sent])
            assert response.content == body


async def test_chunked_beats_content_length():
    reply = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n"
    response, server = await fetch([reply + b"5\r\nhello\r\n0\r\n\r\n", OK])
    assert response.content == b"hello" and server.accepted == 1
    response, body = await streamed(reply + b"5\r\nhello\r\n0\r\n\r\n")
    assert body == b"hello" and response.length is None


async def test_answers_without_a_body_leave_the_connection_usable():
    async with Server([b"HTTP/1.1 204 No Content\r\nContent-Length: 9\r\n\r\n",
                       b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n",
                       b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n",
                       b"HTTP/1.0 200\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n",
                       OK]) as server:  # fmt: skip
        client = plain()
        assert (await client.get(server.url)).content == b""
        assert (await client.get(server.url)).status_code == 304
        response = await client.request("HEAD", server.url)
        assert response.headers["content-length"] == "1000" and response.content == b""
        assert (await client.get(server.url)).reason == ""
        assert (await client.get(server.url)).text == "hello"
        await client.close()
    assert server.accepted == 1


async def test_interim_answers_are_skipped_but_not_for_ever():
    interim = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 100\r\n\r\n"
    response, _ = await fetch([interim + OK])
    assert response.content == b"hello" and "link" not in response.headers
    await refused("1xx", b"HTTP/1.1 102 Processing\r\n\r\n" * 8 + OK)
    await refused("expected an HTTP/1.1 answer", b"HTTP/1.1 101 Switching\r\n\r\n")


async def test_headers_are_joined_stripped_and_lower_case():
    reply = b"HTTP/1.1 200 A  B\nX-One:  a \t\r\nx-ONE:b\r\nRaw: \xff\r\nContent-Length: 0\n\n"
    response, _ = await fetch([reply])
    assert response.headers == {"x-one": "a, b", "raw": ".", "content-length": "0"}
    assert response.reason == "A  B"


async def test_text_that_is_not_utf8_and_json_that_is_not():
    response, _ = await fetch([answer(b"\xff<html>")])
    assert response.text == ".<html>"
    try:
        response.json()
    except Transient as error:
        assert "expected JSON, got '.<html>'" in str(error), str(error)
    else:
        raise AssertionError("no error")


# Nonsense and limits


async def test_nonsense_in_the_head_is_transient():
    await refused("expected an HTTP/1.1 answer, got 'SSH-2.0-x'", b"SSH-2.0-x\r\n\r\n")
    await refused("expected an HTTP/1.1 answer", b"HTTP/2 200 OK\r\n\r\n")
    await refused("expected an HTTP/1.1 answer", b"HTTP/1.1 2000 OK\r\n\r\n")
    await refused("expected an HTTP/1.1 answer", b"HTTP/1.1 999 OK\r\n\r\n")
    for line in (
        b"folded: a\r\n b",
        b"none",
        b": x",
        b"a b: x",
        b"a : x",
        b"a: \0",
        b"a: b\rc: d",
    ):
        reply = b"HTTP/1.1 200 OK\r\n" + line + b"\r\nContent-Length: 0\r\n\r\n"
        await refused("expected 'name: value'", reply)


async def test_nonsense_in_the_framing_is_transient():
    head = b"HTTP/1.1 200 OK\r\n"
    for length in (b"-1", b"5, 6", b"x", b"+5", b"99999999999", b""):
        await refused("one Content-Length", head + b"Content-Length: " + length + b"\r\n\r\nhello")
    two = head + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"
    response, _ = await fetch([two])
    assert response.content == b"hello"
    await refused("no transfer coding", head + b"Transfer-Encoding: gzip, chunked\r\n\r\n")
    chunked = head + b"Transfer-Encoding: chunked\r\n\r\n"
    for size in (b"", b"x", b"-1", b"0x5", b"5 5", b"ffffffff"):
        await refused("a chunk size", chunked + size + b"\r\nhello\r\n0\r\n\r\n")
    await refused("a line end after a chunk", chunked + b"4\r\nhello\r\n0\r\n\r\n")


async def test_every_limit_on_a_line_and_on_the_head():
    head = b"HTTP/1.1 200 " + b"x" * 242
    response, _ = await fetch([head + b"\r\nContent-Length: 0\r\n\r\n"])
    assert len(response.reason) == 60
    await refused("at most 256 bytes", head + b"xx\r\nContent-Length: 0\r\n\r\n")
    await refused("at most 256 bytes", b"x" * 5000)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"
    value = b"x" * 3996
    response, _ = await fetch([head + b"A: " + value + b"\r\n\r\n"])
    assert len(response.headers["a"]) == 3996
    await refused("at most 4000 bytes", head + b"A: " + value + b"x\r\n\r\n")
    many = b"".join(b"h%d: x\r\n" % i for i in range(64))
    await refused("at most 64 headers", head + many + b"\r\n")
    response, _ = await fetch([head + many[:-8] + b"\r\n"])
    assert len(response.headers) == 64
    await refused("8192 bytes", head + (b"A: " + b"x" * 3000 + b"\r\n") * 3 + b"\r\n")


async def test_every_limit_on_chunk_lines_and_trailers():
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    await refused("at most 256 bytes", head + b"5;" + b"x" * 300 + b"\r\nhello\r\n0\r\n\r\n")
    await refused("at most 1024 bytes", head + b"0\r\nA: " + b"x" * 1100 + b"\r\n\r\n")
    await refused("16 trailers", head + b"0\r\n" + b"A: b\r\n" * 17 + b"\r\n")
    response, _ = await fetch([head + b"0\r\n" + b"A: b\r\n" * 16 + b"\r\n"])
    assert response.content == b""


async def test_the_limit_on_a_body_read_whole():
    replies = (
        answer(b"x" * 101),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n"
        + b"x" * 101
        + b"\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 101,
    )
    for reply in replies:
        async with Server([reply]) as server:
            client = plain(max_body=100)
            await raises(TooLarge, "at most 100 bytes", client.get(server.url))
            assert not client._connections
        async with Server([reply]) as server:
            client = plain(max_body=101)
            assert (await client.get(server.url)).content == b"x" * 101
            await client.close()


async def test_an_answer_that_stops_short_is_transient():
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    ends = (b"", b"5", b"5\r\nhel", b"5\r\nhello", b"5\r\nhello\r\n", b"5\r\nhello\r\n0\r\n")
    for cut in [head + end for end in ends] + [answer(b"hello")[:-1]]:
        async with Server([cut]) as server:
            await raises(wire.Ended, "closed while reading the answer", plain().get(server.url))
    assert issubclass(wire.Ended, Transient)
    for cut in (b"", b"HTTP/1.1 2", b"HTTP/1.1 200 OK\r\nA: b\r\n"):
        async with Server([cut]) as server:
            await raises(wire.Ended, "waiting for the answer", plain().get(server.url))


# Connections


async def test_one_connection_serves_a_host_and_is_not_kept_when_told_so():
    _, server = await fetch([OK, OK, OK])
    assert server.accepted == 1
    last = answer(b"", headers="Connection: Close\r\n")
    old = b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"
    _, server = await fetch([last], [old], [b"HTTP/1.1 200 OK\r\n\r\n"], [OK])
    assert server.accepted == 4


async def test_unread_bytes_after_an_answer_cost_the_connection():
    _, server = await fetch([OK + b"smuggled"], [OK])
    assert server.accepted == 2


async def test_the_longest_idle_connection_makes_room():
    async with Server([OK, OK]) as a, Server([OK], [OK]) as b, Server([OK]) as c:
        client = plain()
        for server in (b, a, c, a, b):
            await client.get(server.url)
            assert len(client._connections) <= 2
        await client.close()
    assert (a.accepted, b.accepted, c.accepted) == (1, 2, 1)


async def test_a_kept_connection_is_not_used_beyond_its_idle_timeout():
    async with Server([OK], [OK]) as server:
        client = plain(idle_timeout=0.01)
        await client.get(server.url)
        await asyncio.sleep_ms(15)
        await client.get(server.url)
        await client.close()
    assert server.accepted == 2


async def test_a_stream_left_early_closes_its_connection():
    async with Server([answer(b"x" * 9000)], [OK]) as server:
        client = plain()
        response = await client.get(server.url, stream=True)
        async for _ in response:
            break
        await response.close()
        await response.close()
        assert not client._connections
        assert (await client.get(server.url)).content == b"hello"
        await client.close()


async def test_a_second_request_runs_beside_a_stream():
    async with Server([answer(b"x" * 9000), OK], [OK]) as server:
        client = plain()
        response = await client.get(server.url, stream=True)
        assert (await client.get(server.url)).content == b"hello"
        total = 0
        async for view in response:
            total += len(view)
        assert total == 9000 and len(client._connections) == 1
        assert (await client.get(server.url)).content == b"hello"
        await client.close()
    assert server.accepted == 2


async def test_a_request_waits_for_a_free_connection():
    async with Server([answer(b"x" * 9000), OK]) as server:
        client = plain(max_connections=1, timeout=0.2)
        response = await client.get(server.url, stream=True)
        await raises(Transient, "all 1 connections", client.get(server.url))
        waiting = asyncio.create_task(client.get(server.url))
        await asyncio.sleep_ms(0)
        async for _ in response:
            pass
        assert (await waiting).content == b"hello"
        await client.close()
    assert server.accepted == 1


async def test_a_cancelled_request_leaves_nothing_behind():
    async with Server([HANG], [OK]) as server:
        client = plain(max_connections=1)
        await raises(asyncio.TimeoutError, "", asyncio.wait_for_ms(client.get(server.url), 30))
        assert not client._connections
        assert (await client.get(server.url)).content == b"hello"
        await client.close()


async def test_closing_the_client_ends_a_stream_with_an_error():
    async with Server([[answer(b"x" * 9000)[:100], 60000]]) as server:
        client = plain()
        response = await client.get(server.url, stream=True)
        await client.close()

        async def read():
            async for _ in response:
                pass

        await raises(wire.Ended, "127.0.0.1", read())
        assert not client._connections


class Dying(Server):
    """Takes the second request of its first connection and closes it without an answer."""

    def __init__(self):
        super().__init__([OK, CLOSE], [OK])


async def test_a_kept_connection_found_dead_before_sending_is_replaced_for_any_method():
    for method in ("GET", "POST"):
        async with Server([OK], [OK]) as server:
            client = plain()
            await client.get(server.url)
            await asyncio.sleep_ms(5)  # the server's close arrives
            assert (await client.request(method, server.url)).content == b"hello"
            await client.close()
        assert len(server.requests) == 2


async def test_a_kept_connection_that_dies_under_a_request_is_replaced_once_if_idempotent():
    for method in ("GET", "PUT", "HEAD"):
        async with Dying() as server:
            client = plain()
            await client.get(server.url)
            assert (await client.request(method, server.url)).status_code == 200
            await client.close()
        assert server.accepted == 2 and server.requests[1] == server.requests[2]
    async with Dying() as server:
        client = plain()
        await client.get(server.url)
        assert (await client.post(server.url, data=b"x", idempotent=True)).content == b"hello"
        await client.close()


async def test_a_post_is_not_sent_twice_nor_a_streamed_body():
    for method, data in (("POST", b"x"), ("PATCH", b"x"), ("PUT", Chunks(b"x"))):
        async with Dying() as server:
            client = plain()
            await client.get(server.url)
            await raises(wire.Ended, "closed", client.request(method, server.url, data=data))
            assert not client._connections
        assert len(server.requests) == 2


async def test_nothing_is_replaced_after_a_byte_of_the_answer_or_on_a_new_connection():
    async with Server([OK, b"H"], [OK]) as server:
        client = plain()
        await client.get(server.url)
        await raises(wire.Ended, "closed", client.get(server.url))
    assert server.accepted == 1
    async with Server([CLOSE], [OK]) as server:
        await raises(wire.Ended, "closed", plain().get(server.url))
    assert server.accepted == 1


# Waiting


async def test_a_refused_connection_is_transient_and_names_the_host():
    async with Server() as server:
        pass
    error = await raises(wire.Ended, "ECONNREFUSED", plain().get(server.url))
    assert str(error).startswith("127.0.0.1:%d: " % server.port)
    assert isinstance(error, Transient)


async def test_the_next_address_is_tried_when_one_refuses():
    import socket

    async with Server([OK]) as server:

        class Two:
            def __getattr__(self, name):
                return getattr(socket, name)

            def getaddrinfo(self, host, port, *rest):
                assert host == "two.invalid"
                found = socket.getaddrinfo("127.0.0.1", 1, *rest)
                return found + socket.getaddrinfo("127.0.0.1", port, *rest)

        wire.socket = Two()
        client = plain()
        response = await client.get("http://two.invalid:%d/" % server.port)
        assert response.content == b"hello"
        await client.close()


async def test_an_unknown_name_is_transient():
    request = plain().get("http://no.such.name.invalid/")
    await raises(Transient, "no.such.name.invalid:80: no address", request)


async def test_silence_is_transient_wherever_it_falls():
    reply = answer(b"hello")
    for sent, where in ((b"", "waiting"), (reply[:9], "waiting"), (reply[:-2], "reading")):
        async with Server([[sent, 60000]]) as server:
            client = plain(timeout=0.05)
            words = "127.0.0.1:%d: timeout after 0.05 s %s" % (server.port, where)
            await raises(Transient, words, client.get(server.url))
            assert not client._connections


async def test_a_head_may_not_drip_beyond_the_timeout_but_a_body_may():
    drip = [b"HTTP/1.1 200 OK\r\n"] + [20, b"A: b\r\n"] * 20
    async with Server([drip]) as server:
        words = "timeout after 0.1 s waiting"
        await raises(Transient, words, plain(timeout=0.1).get(server.url))
    drip = [answer(b"x" * 20)[:-20]] + [10, b"x"] * 20
    async with Server([drip]) as server:
        assert (await plain(timeout=0.1).get(server.url)).content == b"x" * 20


async def test_the_watchdog_is_fed_before_what_blocks_and_as_bytes_arrive():
    fed = []
    async with Server([one_by_one(answer(b"hello"))]) as server:
        client = plain(feed=lambda: fed.append(1))
        task = asyncio.create_task(client.get(server.url))
        await asyncio.sleep_ms(0)
        assert fed  # the name is looked up in the first step
        await task
        await client.close()
    assert len(fed) > 40


async def test_other_tasks_run_while_bytes_keep_coming():
    ticks = []

    async def ticker():
        while True:
            ticks.append(time.ticks_ms())
            await asyncio.sleep_ms(10)

    chunks = 0
    async with Server([answer(b"x" * 1000000)]) as server:
        client = plain()
        task = asyncio.create_task(ticker())
        response = await client.get(server.url, stream=True)
        async for _ in response:
            chunks += 1
            until = time.ticks_add(time.ticks_ms(), 1)  # a sink that takes its time
            while time.ticks_diff(until, time.ticks_ms()) > 0:
                pass
        task.cancel()
        await client.close()
    assert chunks > 200 and len(ticks) > chunks // 40, (len(ticks), chunks)


# Dates


def test_retry_after_in_both_forms():
    date = "Sun, 06 Nov 1994 08:49:37 GMT"
    for value, expected in (
        ({}, None),
        ({"retry-after": "30"}, 30),
        ({"retry-after": "99999999999999"}, 86400),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Sun, 06 Nov 1994 08:50:37 GMT", "date": date}, 60),
        ({"retry-after": "Sun, 06 Nov 1994 08:48:37 GMT", "date": date}, 0),
        ({"retry-after": "Mon, 06 Nov 1995 08:48:37 GMT", "date": date}, 86400),
        ({"retry-after": date}, 0),
        ({"retry-after": "Sun, 06 Nov 2094 08:49:37 GMT"}, 86400),
        ({"retry-after": "Sun, 06 Xyz 1994 08:49:37 GMT"}, None),
        ({"retry-after": "Sun, 06 anF 1994 08:49:37 GMT"}, None),
        ({"retry-after": "Sun, 06 Nov 1994 08:49:37 CET"}, None),
        ({"retry-after": "Sun, 06 Nov 1994 24:49:37 GMT"}, None),
    ):
        assert dates.retry_after(value) == expected, value
    assert dates.parse_date("Sat, 01 Jan 2000 00:00:00 GMT") == 0
    assert dates.parse_date("Thu, 29 Feb 2024 23:59:59 GMT") == 762566399
