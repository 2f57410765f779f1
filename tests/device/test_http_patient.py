# Long polls beside other requests on few connections, and the timeout of a single request.
import asyncio

from scripted import HANG, Server, answer, raises

from instar.errors import Rejected, Transient
from instar.http import Client, GaveWay
from instar.http.wire import Ended

OK = answer(b"hello")


def plain(**options):
    return Client(allow_plain=True, timeout=options.pop("timeout", 5), **options)


def poll(client, url, **options):
    return client.get(url, patient=True, timeout=options.pop("timeout", 60), **options)


async def started(*requests):
    """Their tasks, each of which has a connection or waits for one."""
    tasks = []
    for request in requests:
        tasks.append(asyncio.create_task(request))
        await asyncio.sleep_ms(20)
    return tasks


# The timeout of one request


async def test_a_timeout_of_its_own_is_for_this_request_only():
    async with Server([[60, OK], [60, OK]], [HANG]) as server:
        client = plain(timeout=0.03)
        assert (await client.get(server.url, timeout=5)).content == b"hello"
        await raises(Transient, "timeout after 0.03 s waiting", client.get(server.url))
        request = poll(client, server.url, timeout=0.02)
        await raises(Transient, "timeout after 0.02 s waiting", request)
        assert not client._connections


async def test_the_timeout_counts_for_silence_in_the_body_too():
    async with Server([[OK[:-2], 60, OK[-2:]]], [[OK[:-2], 60000]]) as server:
        client = plain(timeout=0.03)
        assert (await client.get(server.url, timeout=5)).content == b"hello"
        await client.close()
        request = client.get(server.url, timeout=0.04)
        await raises(Transient, "timeout after 0.04 s reading", request)


async def test_a_long_polls_timeout_is_for_the_beginning_of_its_answer_only():
    # A head or a body that stalls would hold the only connection for minutes.
    for begun, doing in ((OK[:9], "waiting"), (OK[:-2], "reading")):
        async with Server([[60, OK]], [[60, begun, 60000]], [OK]) as server:
            client = plain(timeout=0.03, max_connections=1)
            assert (await poll(client, server.url)).content == b"hello"
            await client.close()
            polling = (await started(poll(client, server.url)))[0]
            assert (await client.get(server.url, timeout=5)).content == b"hello"
            await raises(Transient, "timeout after 0.03 s " + doing, polling)
            await client.close()


async def test_the_wait_for_room_has_the_timeout_too():
    async with Server([answer(b"x" * 9000), OK]) as server:
        client = plain(max_connections=1, timeout=0.02)
        response = await client.get(server.url, stream=True, timeout=5)
        waiting = (await started(client.get(server.url, timeout=5)))[0]
        await asyncio.sleep_ms(40)
        async for _ in response:
            pass
        assert (await waiting).content == b"hello"
        await client.close()


# Waiting patiently


async def test_only_a_patient_request_feeds_in_silence():
    fed = []
    async with Server([HANG], [HANG]) as server:
        client = plain(feed=lambda: fed.append(1))
        tasks = await started(client.get(server.url))
        before = len(fed)
        await asyncio.sleep_ms(250)
        assert len(fed) == before
        tasks += await started(poll(client, server.url))
        before = len(fed)
        await asyncio.sleep_ms(250)
        assert len(fed) >= before + 2
        for task in tasks:
            task.cancel()
        await client.close()


async def test_a_long_poll_gets_its_answer_and_its_connection_is_kept():
    async with Server([[250, OK], OK]) as server:
        client = plain(timeout=0.1)
        assert (await poll(client, server.url)).content == b"hello"
        assert (await client.get(server.url)).content == b"hello"
    assert server.accepted == 1


async def test_a_long_poll_sees_a_cut():
    async with Server([[30, b""]]) as server:
        await raises(Ended, "closed while waiting", poll(plain(), server.url))


async def test_a_cancelled_long_poll_leaves_nothing_behind():
    async with Server([HANG], [OK]) as server:
        client = plain(max_connections=1)
        request = asyncio.wait_for_ms(poll(client, server.url), 30)
        await raises(asyncio.TimeoutError, "", request)
        assert not client._connections
        assert (await client.get(server.url)).content == b"hello"
        await client.close()


# Giving way


async def test_another_request_takes_the_only_connection():
    async with Server([HANG], [OK, [150, OK]]) as server:
        client = plain(max_connections=1)
        polling = (await started(poll(client, server.url)))[0]
        assert (await client.get(server.url)).content == b"hello"
        error = await raises(GaveWay, "127.0.0.1:%d: gave way" % server.port, polling)
        assert isinstance(error, Transient)
        assert (await poll(client, server.url)).content == b"hello"
        await client.close()
    assert server.accepted == 2


async def test_who_polls_again_at_once_does_not_take_the_room_back():
    order = []

    async def keep_polling(client, url):
        while True:
            try:
                return await poll(client, url + "/poll")
            except GaveWay:
                order.append("gave way")

    async with Server([HANG], [OK, OK, OK], [OK]) as server:
        client = plain(max_connections=1)
        polling = (await started(keep_polling(client, server.url)))[0]
        await client.get(server.url + "/one")
        order.append("one")
        assert (await polling).content == b"hello"
        await client.close()
    assert order == ["gave way", "one"]
    paths = [request.split(b" ")[1] for request in server.requests]
    assert paths == [b"/poll", b"/one", b"/poll"]


async def test_several_requests_at_once_all_pass_before_the_poll():
    async def keep_polling(client, url):
        while True:
            try:
                return await poll(client, url + "/poll")
            except GaveWay:
                pass

    async with Server([HANG], [OK] * 5) as server:
        client = plain(max_connections=1)
        polling = (await started(keep_polling(client, server.url)))[0]
        await asyncio.gather(*[client.get(server.url + "/%d" % n) for n in range(3)])
        await polling
        await client.close()
    paths = [request.split(b" ")[1] for request in server.requests]
    assert sorted(paths[1:4]) == [b"/0", b"/1", b"/2"]
    assert paths[0] == paths[4] == b"/poll" and len(paths) == 5


async def test_one_long_poll_of_two_is_enough():
    async with Server([HANG], [[250, answer(b"second")]], [OK]) as server:
        client = plain(max_connections=2)
        first, second = await started(poll(client, server.url), poll(client, server.url))
        assert (await client.get(server.url)).content == b"hello"
        await raises(GaveWay, "gave way", first)
        assert (await second).content == b"second"
        await client.close()


async def test_where_there_is_room_nobody_gives_way():
    async with Server([[250, answer(b"polled")]], [OK]) as server:
        client = plain(max_connections=2)
        polling = (await started(poll(client, server.url)))[0]
        assert (await client.get(server.url)).content == b"hello"
        assert (await polling).content == b"polled"
        await client.close()


async def test_an_answer_that_has_begun_is_read_to_its_end():
    slow = [OK[:9], 250, OK[9:]]
    async with Server([slow, OK]) as server:
        client = plain(max_connections=1)
        polling = (await started(poll(client, server.url)))[0]
        await asyncio.sleep_ms(120)
        assert (await client.get(server.url)).content == b"hello"
        assert (await polling).content == b"hello"
        await client.close()
    assert server.accepted == 1


async def test_a_long_poll_waits_for_room_without_limit_and_pushes_nobody_out():
    for held in ([answer(b"x" * 9000), OK], [[250, answer(b"x" * 9000)], OK]):
        async with Server(held) as server:
            client = plain(max_connections=1, timeout=0.02)
            holder = client.get(server.url, stream=True, timeout=5)
            if isinstance(held[0], list):
                holder = poll(client, server.url, stream=True)
            holder, polling = await started(holder, poll(client, server.url, timeout=0.03))
            await asyncio.sleep_ms(120)
            size = 0
            async for view in await holder:
                size += len(view)
            assert size == 9000 and (await polling).content == b"hello"
            await client.close()
        assert server.accepted == 1


async def test_who_was_let_pass_and_gave_up_is_not_waited_for():
    for cancelled in (False, True):
        async with Server([answer(b"x" * 9000), OK]) as server:
            client = plain(max_connections=1, timeout=5 if cancelled else 0.05)
            response = await client.get(server.url, stream=True)
            impatient, polling = await started(client.get(server.url), poll(client, server.url))
            if not cancelled:
                await raises(Transient, "all 1 connections", impatient)
            async for _ in response:
                pass
            impatient.cancel()  # as there is room, and before it took it
            reply = await asyncio.wait_for_ms(polling, 2000)
            assert reply.content == b"hello"
            await client.close()


async def test_another_certificate_ends_long_polls_and_retires_what_is_in_use():
    async with Server([OK], [HANG], [answer(b"x" * 9000), OK], [OK]) as server:
        client = plain(max_connections=3)
        client._make_context = lambda: None  # there is no TLS in this test
        requests = poll(client, server.url), client.get(server.url, stream=True)
        await client.get(server.url)
        client._connections[0].idle_since -= 100000  # so that the others do not use it
        polling, streaming = await started(*requests)
        client.present(b"cert", b"key")
        assert len(client._connections) == 2
        await raises(GaveWay, "gave way", polling)
        size = 0
        async for view in await streaming:
            size += len(view)
        assert size == 9000 and not client._connections
        await client.close()


# Bodies of a known length


class Pieces:
    """An async iterable that says how long it is, and may be iterated again."""

    def __init__(self, size, *pieces):
        self.size, self.pieces = size, pieces

    def __len__(self):
        return self.size

    def __aiter__(self):
        self.rest = list(self.pieces)
        return self

    async def __anext__(self):
        if not self.rest:
            raise StopAsyncIteration
        return self.rest.pop(0)


async def sent(*pieces):
    """(the request, the size of each write) of a PUT of these pieces."""
    from test_http import writes

    seen = writes()
    async with Server([OK]) as server:
        client = plain()
        body = Pieces(sum(len(piece) for piece in pieces), *pieces)
        await client.put(server.url, data=body)
        await client.close()
    return server.requests[0], [len(data) for data in seen]


async def test_a_body_that_knows_its_length_goes_out_with_it_and_with_the_head():
    request, sizes = await sent(b"abc", memoryview(b"defg"))
    head, body = request.split(b"\r\n\r\n")
    assert body == b"abcdefg" and b"\r\nContent-Length: 7" in head
    assert b"Transfer-Encoding" not in head
    assert sizes == [len(head) + 4 + 3, 4]
    request, sizes = await sent(b"x" * 5000, b"y" * 1000)
    assert request.endswith(b"\r\n\r\n" + b"x" * 5000 + b"y" * 1000)
    assert sizes[0] == 4096 and len(sizes) == 3


async def test_a_body_of_a_known_length_may_be_empty():
    for pieces in ((), (b"",)):
        request, sizes = await sent(*pieces)
        assert b"\r\nContent-Length: 0\r\n" in request and len(sizes) == 1


async def test_a_body_of_another_length_than_it_said_costs_the_connection():
    for pieces, came in ((b"ab", b"c"), 3), ((b"ab", b"cd", b"ef"), 6), ((b"abcdef",), 6), ((), 0):
        async with Server([OK, OK], [OK]) as server:
            client = plain()
            await client.get(server.url)
            words = "expected 4 bytes as its length says, got %d" % came
            request = client.put(server.url, data=Pieces(4, *pieces))
            await raises(Rejected, words, request)
            assert not client._connections
            assert (await client.get(server.url)).content == b"hello"
            await client.close()


async def test_a_body_is_iterated_again_only_where_the_caller_says_so():
    from test_http import Dying

    for again in (None, True):
        async with Dying() as server:
            client = plain()
            await client.get(server.url)
            request = client.put(server.url, data=Pieces(4, b"ab", b"cd"), idempotent=again)
            if again:
                assert (await request).content == b"hello"
                assert server.requests[1] == server.requests[2]
                assert server.requests[2].endswith(b"\r\n\r\nabcd")
            else:
                await raises(Ended, "closed", request)
            await client.close()
        assert len(server.requests) == (3 if again else 2)
