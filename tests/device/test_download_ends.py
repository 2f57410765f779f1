# A chunked download of which only the end of its last chunk got lost: what is whole is not asked
# for again, and an object store's answer to who asks all the same is understood.
# SPDX-License-Identifier: MIT
from scripted import Server, answer, raises

from instar.errors import Rejected, Transient
from instar.http import Client
from instar.http.download import open_range

DATA = bytes(range(256)) * 20
SIZE = len(DATA)
HALF = 3000
LAST = b"0\r\n\r\n"
AFTER = answer(b"hello")


def chunked(data, status="200 OK", headers="", end=b""):
    """All of the answer but its last chunk, of which `end` comes."""
    head = "HTTP/1.1 %s\r\n%sTransfer-Encoding: chunked\r\n\r\n" % (status, headers)
    pieces = [data[at : at + 1000] for at in range(0, len(data), 1000)]
    chunks = [b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces]
    return head.encode() + b"".join(chunks) + end


def part(first, size=SIZE, end=b"", lacking=0):
    """206, from byte `first` to the last, chunked; the last `lacking` bytes do not come."""
    headers = "Content-Range: bytes %d-%d/%s\r\n" % (first, SIZE - 1, size)
    return chunked(DATA[first : SIZE - lacking], "206 Partial Content", headers, end)


def beyond(told):
    """416, with its Content-Range."""
    headers = "Content-Range: %s\r\n" % told
    return answer(b"", status="416 Range Not Satisfiable", headers=headers)


def client():
    return Client(allow_plain=True, timeout=5)


async def taken(stream):
    body = b""
    async for view in stream:
        body += bytes(view)
    return body


def ranges(server):
    lines = [request.split(b"\r\n") for request in server.requests]
    return [[line for line in each if line.startswith(b"Range:")] for each in lines]


async def fetched(server, total=None):
    """As courier.py fetches: again from where a try ended, until one ends well."""
    board = client()
    body = b""
    while True:
        try:
            stream = await open_range(board, server.url + "/a", len(body), total)
            total = stream.total
            async for view in stream:
                body += bytes(view)
            return body
        except Transient as error:
            assert "closed while reading" in str(error), str(error)
        finally:
            await board.close()


async def test_what_is_known_to_be_whole_is_not_asked_for_again():
    for offset, total, reply in (
        (HALF, SIZE, part(HALF)),
        (HALF, None, part(HALF)),  # it says how much there is
        (HALF, SIZE, part(HALF, "*")),
        (HALF, None, part(HALF, "*")),
        (0, SIZE, chunked(DATA)),
        (HALF, SIZE, chunked(DATA)),  # who knows no ranges
    ):
        for end in (b"", b"0", LAST[:3], LAST[:4]):
            async with Server([reply + end], [AFTER]) as server:
                board = client()
                stream = await open_range(board, server.url + "/a", offset, total)
                assert await taken(stream) == DATA[offset:], (offset, total, end)
                assert stream.offset == stream.total == SIZE
                # The connection is no good for another request, and nobody tries.
                assert (await board.get(server.url + "/b")).content == b"hello"
                assert server.accepted == 2 and len(server.requests) == 2
                await board.close()


async def test_with_its_end_the_connection_is_kept():
    for reply in (part(HALF, end=LAST), part(HALF, end=b"0\r\nA: b\r\n\r\n")):
        async with Server([reply, AFTER]) as server:
            board = client()
            assert await taken(await open_range(board, server.url + "/a", HALF)) == DATA[HALF:]
            assert (await board.get(server.url + "/b")).content == b"hello"
            assert server.accepted == 1
            await board.close()


async def test_a_byte_that_lacks_is_asked_for():
    connections = [chunked(DATA[:HALF])], [part(HALF, lacking=1)], [part(SIZE - 1)]
    async with Server(*connections) as server:
        assert await fetched(server) == DATA
        assert ranges(server) == [[], [b"Range: bytes=3000-"], [b"Range: bytes=5119-"]]


async def test_where_nobody_knows_the_size_a_416_says_that_it_was_all():
    for total in (None, SIZE):
        async with Server([chunked(DATA)], [beyond("bytes */%d" % SIZE)]) as server:
            assert await fetched(server, total) == DATA
            assert ranges(server) == ([[], [b"Range: bytes=5120-"]] if total is None else [[]])


async def test_a_416_of_another_size_is_none_of_the_end():
    for told in (
        "bytes */%d" % (SIZE - 1),
        "bytes */%d" % (SIZE + 1),
        "bytes */*",
        "bytes */",
        "bytes %d" % SIZE,
        "items */%d" % SIZE,
        "bytes 0-%d/%d" % (SIZE - 1, SIZE),
        "bytes */%d" % -SIZE,
    ):
        async with Server([beyond(told)]) as server:
            board = client()
            await raises(Rejected, "got 416", open_range(board, server.url + "/a", SIZE))
            await board.close()


async def test_a_416_to_who_has_nothing_yet_is_no_end():
    async with Server([beyond("bytes */0")], [beyond("bytes */0")]) as server:
        board = client()
        for span in ((0, None, None), (0, None, 100)):
            await raises(Rejected, "got 416", open_range(board, server.url + "/a", *span))
        await board.close()
