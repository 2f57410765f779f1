# The content of a Murano product: lists, infos, downloads that continue, uploads.
import hashlib
import io
import os
from binascii import b2a_base64

from scripted import Server, answer, raises

from instar.errors import Rejected, Transient, Unauthorised
from instar.http import Client
from instar.http.wire import Ended
from instar.servers.murano import Murano, uploading
from instar.servers.murano.stream import Info

BLOB = bytes(range(256)) * 20  # 5120 bytes
INFO = answer(b"application/gzip,5120,1513931066,", headers="Content-Type: text/csv\r\n")
NOTHING = b"HTTP/1.1 204 OK\r\nServer: Murano\r\n\r\n"


class Bare(Murano):
    """Without credentials: what authenticates is tested elsewhere."""

    def __init__(self, server, **options):
        self.url = server.url
        self.client = Client(allow_plain=True, timeout=5, **options)
        self.secrets = []

    async def call(self, method, path, headers=None, data=None, **options):
        url = self.url + path
        return await self.client.request(method, url, headers=headers, data=data, **options)


def chunked(body, first=0, status="200 OK", total=5120, piece=1000, length=None):
    """As the service answers: with both headers. first: of a range, or None for no range."""
    head = "HTTP/1.1 %s\r\nTransfer-Encoding: chunked\r\n" % status
    head += "Content-Length: %d\r\n" % (len(body) if length is None else length)
    if first is not None:
        last = first + len(body) - 1
        head += "Accept-Ranges: bytes\r\nContent-Range: bytes %d-%d/%s\r\n" % (first, last, total)
    out = head.encode() + b"\r\n"
    for at in range(0, len(body), piece):
        part = body[at : at + piece]
        out += b"%x\r\n" % len(part) + part + b"\r\n"
    return out + b"0\r\n\r\n"


async def take(stream):
    body = b""
    async for view in stream:
        assert isinstance(view, memoryview) and len(view)
        body += bytes(view)
        assert stream.offset <= stream.total
    return body


async def fetched(reply, infos=(INFO, INFO), **options):
    """(bytes, stream, requests) of a download that is answered so, over one connection."""
    async with Server([infos[0], reply, infos[1]]) as server:
        murano = Bare(server, max_connections=1)
        stream = await murano.download("fw.bin", **options)
        body = await take(stream)
        await murano.client.close()
    assert stream.offset == stream.total and server.accepted == 1
    return body, stream, server.requests


async def refused(kind, words, reply, infos=(INFO, INFO), **options):
    async with Server([infos[0], reply, infos[1]]) as server:
        murano = Bare(server)

        async def download():
            await take(await murano.download("fw.bin", **options))

        error = await raises(kind, words, download())
        await murano.client.close()
    return error


def range_of(requests):
    lines = requests[1].split(b"\r\n")
    return ([line[7:].decode() for line in lines if line.startswith(b"Range: ")] or [None])[0]


# Lists and infos


async def test_the_documents_list():
    ids = ["MANIFEST", "fw_20150519_rev01b.bin", "fw_20160101_rev02.bin", "splash01.png"]
    for text in ("\n".join(ids), "\r\n".join(ids) + "\r\n", "\n" + "\n".join(ids) + "\n\n"):
        async with Server([answer(text)]) as server:
            murano = Bare(server)
            assert await murano.contents() == ids
            await murano.client.close()
    assert server.requests[0].startswith(b"GET /provision/download HTTP/1.1\r\n")


async def test_there_may_be_nothing():
    async with Server([answer(b""), NOTHING]) as server:
        murano = Bare(server)
        assert await murano.contents() == [] and await murano.contents() == []
        await murano.client.close()


async def test_the_documents_info():
    async with Server([answer("image/png,23427,1462500951,Boot splash screen")]) as server:
        murano = Bare(server)
        found = await murano.info("splash01.png")
        await murano.client.close()
    target = b"GET /provision/download?id=splash01.png&info=true HTTP/1.1\r\n"
    assert server.requests[0].startswith(target)
    assert (found.type, found.size) == ("image/png", 23427)
    assert (found.updated, found.description) == ("1462500951", "Boot splash screen")


async def test_infos_with_commas_without_descriptions_and_of_odd_ids():
    for text, description in (
        ("a/b,1,2,", ""),
        ("a/b,1,2,\r\n", ""),
        ("a/b,1,2,one, two,three", "one, two,three"),
    ):
        async with Server([answer(text)]) as server:
            murano = Bare(server)
            found = await murano.info("logs/ä &=+.bin")
            await murano.client.close()
        assert found.description == description and found.size == 1
        target = b"?id=logs%2F%C3%A4%20%26%3D%2B.bin&info=true "
        assert target in server.requests[0]


async def test_what_is_no_info():
    for text in ("", "a,b", "a,1,2", "a,x,2,d", "a,-1,2,d", "a,12345678901,2,d", "<html>,,,"):
        async with Server([answer(text)]) as server:
            await raises(Transient, "expected type,size,updated", Bare(server).info("fw"))
    async with Server([answer("X-Exosite-CIK: hush")]) as server:
        murano = Bare(server)
        murano.secrets = ["hush"]
        await raises(Transient, "description, got '(not shown)'", murano.info("fw"))
    for status, kind in (("404 Not Found", Rejected), ("401 Unauthorized", Unauthorised)):
        async with Server([answer(b"<html>", status)]) as server:
            await raises(kind, "info of fw: expected 200, got 4", Bare(server).info("fw"))
    async with Server() as server:
        await raises(Rejected, "expected an id", Bare(server).info(""))
        await raises(Rejected, "expected an id", Bare(server).download(""))


# Downloads


async def test_a_whole_download_in_every_framing():
    plain = answer(BLOB)
    close = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + BLOB
    for reply in (chunked(BLOB, None), chunked(BLOB), plain):
        body, stream, requests = await fetched(reply)
        assert body == BLOB and stream.total == 5120 and stream.info.updated == "1513931066"
        assert requests[1].startswith(b"GET /provision/download?id=fw.bin HTTP/1.1\r\n")
        assert range_of(requests) is None
        assert b"&info=true " in requests[0] and b"&info=true " in requests[2]
    async with Server([INFO, close], [INFO]) as server:
        murano = Bare(server, max_connections=1)
        assert await take(await murano.download("fw.bin")) == BLOB
        await murano.client.close()


async def test_the_documents_range_with_both_codes():
    for status in ("200 OK", "206 Partial Content"):
        body, stream, requests = await fetched(chunked(BLOB[:1024], 0, status), last=1023)
        assert body == BLOB[:1024] and stream.total == 1024
        assert range_of(requests) == "bytes=0-1023"


async def test_every_kind_of_range():
    for options, asked, start, end in (
        ({"first": 5000}, "bytes=5000-", 5000, 5120),
        ({"first": 5, "last": 5}, "bytes=5-5", 5, 6),
        ({"first": 5, "last": 9999}, "bytes=5-9999", 5, 5120),
        ({"suffix": 20}, "bytes=-20", 5100, 5120),
        ({"suffix": 5120}, None, 0, 5120),
        ({"suffix": 9999}, None, 0, 5120),
        ({"last": 5119}, None, 0, 5120),
        ({"first": 0}, None, 0, 5120),
    ):
        part = BLOB[start:end]
        for total in (5120, "*"):
            reply = chunked(part, start if asked else None, total=total)
            body, stream, requests = await fetched(reply, **options)
            assert body == part and range_of(requests) == asked, options
            assert stream.total == end
        # The whole instead: what is there is dropped, and what was not asked for.
        if end == 5120:
            body, _, _ = await fetched(chunked(BLOB, None), **options)
            assert body == part


async def test_a_server_that_ignores_a_range_is_cut_off_where_it_ends():
    async with Server([INFO, chunked(BLOB, None)], [INFO]) as server:
        murano = Bare(server)
        stream = await murano.download("fw.bin", 100, last=1099)
        assert await take(stream) == BLOB[100:1100]
        await murano.client.close()
    assert server.accepted == 2


async def test_ranges_that_cannot_be():
    async with Server([INFO, INFO] * 10) as server:
        murano = Bare(server)
        for options in (
            {"first": 5121},
            {"first": -1},
            {"first": 9, "last": 8},
            {"first": 9, "last": 3},
            {"suffix": 0},
            {"suffix": -4},
        ):
            request = murano.download("fw.bin", **options)
            await raises(Rejected, "expected a range within 5120 bytes", request)
        await murano.client.close()
    assert len(server.requests) == 6


async def test_an_empty_content():
    nothing = answer(b"a/b,0,7,empty")
    for reply in (chunked(b"", None), answer(b"")):
        body, stream, requests = await fetched(reply, (nothing, nothing))
        assert body == b"" and stream.total == 0 and range_of(requests) is None


async def test_all_there_but_for_the_last_look():
    reply = chunked(BLOB[-1:], 5119, "206 Partial Content")
    body, _, requests = await fetched(reply, first=5120)
    assert body == b"" and range_of(requests) == "bytes=5119-"


async def test_a_wrong_content_range():
    for came in ("0-5119/5120", "99-5118/5120", "99-5119/5121", "98-5119/5120", "x", "*/5120"):
        head = "HTTP/1.1 206 OK\r\nContent-Length: 0\r\nContent-Range: bytes %s\r\n\r\n" % came
        words = "expected Content-Range: bytes 99-5119/5120, got bytes " + came
        await refused(Rejected, words, head.encode(), first=99)


async def test_only_a_200_without_a_content_range_is_the_whole():
    head = "HTTP/1.1 206 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    reply = head.encode() + b"%x\r\n" % 5021 + BLOB[99:] + b"\r\n0\r\n\r\n"
    words = "expected Content-Range: bytes 99-5119/5120, got none"
    await refused(Rejected, words, reply, first=99)
    words = "expected Content-Range: bytes 0-5119/5120, got none"
    await refused(Rejected, words, answer(BLOB, "206 Partial Content"))


async def test_a_wrong_length():
    await refused(Rejected, "expected 5120 bytes, got Content-Length 9", answer(b"x" * 9))
    reply = chunked(BLOB, None, length=5119)
    await refused(Rejected, "expected 5120 bytes, got Content-Length 5119", reply)
    reply = chunked(BLOB[99:], 99, length=5120)
    await refused(Rejected, "expected 5021 bytes, got Content-Length 5120", reply, first=99)
    # The decoded length, where the headers are right or say nothing.
    reply = chunked(BLOB + b"x", None, length=5120)
    await refused(Transient, "expected 5120 bytes, got more", reply)
    reply = chunked(BLOB[:-1], None, length=5120)
    await refused(Transient, "up to 5120, ended after 5119", reply)
    close = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + BLOB[:-1]
    async with Server([INFO, close]) as server:
        stream = await Bare(server).download("fw")
        await raises(Transient, "up to 5120, ended after 5119", take(stream))


async def test_codes_that_are_no_download():
    for status, kind in (
        ("404 Not Found", Rejected),
        ("416 Range Not Satisfiable", Rejected),
        ("401 Unauthorized", Unauthorised),
        ("302 Found", Transient),
        ("503 Busy", Transient),
    ):
        async with Server([INFO, answer(b"x" * 5000, status)], [INFO]) as server:
            murano = Bare(server, max_connections=1)
            words = "download of fw: expected 200 or 206, got %s" % status[:3]
            await raises(kind, words, murano.download("fw"))
            assert (await murano.info("fw")).size == 5120  # nothing is left open
            await murano.client.close()


async def test_cut_at_every_chunk_boundary_and_continued():
    whole = chunked(BLOB, None, piece=640)
    cuts = [at + 2 for at in range(len(whole)) if whole[at : at + 2] == b"\r\n"]
    cuts += [cut + 300 for cut in cuts if cut + 300 < len(whole)]
    tried = 0
    for cut in cuts:
        head = whole.find(b"\r\n\r\n") + 4
        if not head <= cut < len(whole):
            continue
        tried += 1
        async with Server([INFO, whole[:cut]], [INFO, b""]) as server:
            murano = Bare(server)
            stream = await murano.download("fw.bin")
            got = b""
            try:
                async for view in stream:
                    got += bytes(view)
                raise AssertionError("expected a cut")
            except Ended:
                pass
            assert stream.offset == len(got) and got == BLOB[: len(got)]
            asked = min(len(got), 5119)
            server.script[1][:] = [INFO, chunked(BLOB[asked:], asked), INFO]
            if not got:
                server.script[1].pop(0)  # what is known will do
            rest = await murano.download("fw.bin", stream.offset, stream.info)
            got += await take(rest)
            await murano.client.close()
        assert got == BLOB
    assert tried > 25


async def test_a_content_replaced_in_mid_download():
    for other in ("a/b,5120,1513931067,", "a/b,5121,1513931066,"):
        words = "content was replaced while it was downloaded"
        await refused(Rejected, words, chunked(BLOB, None), (INFO, answer(other)))
        async with Server([answer(other)]) as server:
            murano = Bare(server)
            before = Info("a/b", 5120, "1513931066", "")
            await raises(Rejected, words, murano.download("fw", 100, before))
        assert len(server.requests) == 1
    gone = answer(b"", "404 Not Found")
    await refused(Rejected, "info of fw.bin", chunked(BLOB, None), (INFO, gone))
    busy = answer(b"", "503 Busy")
    await refused(Transient, "info of fw.bin", chunked(BLOB, None), (INFO, busy))


async def test_what_is_known_is_asked_again_only_where_it_is_needed():
    known = Info("a/b", 5120, "1513931066", "")
    for other, kind in (("a/b,5120,1513931066,", None), ("a/b,5120,9,", Rejected)):
        async with Server([chunked(BLOB, None), answer(other)]) as server:
            murano = Bare(server)
            stream = await murano.download("fw", 0, known)
            if kind:
                await raises(kind, "content was replaced", take(stream))
            else:
                assert await take(stream) == BLOB
            await murano.client.close()
        assert len(server.requests) == 2


async def test_another_description_is_the_same_content():
    other = answer(b"application/x-gzip,5120,1513931066,said anew")
    body, _, _ = await fetched(chunked(BLOB, None), (INFO, other))
    assert body == BLOB


async def test_a_download_left_early_closes_its_connection():
    async with Server([INFO, chunked(BLOB, None)], [INFO]) as server:
        murano = Bare(server, max_connections=1)
        stream = await murano.download("fw")
        async for _ in stream:
            break
        await stream.close()
        assert (await murano.info("fw")).size == 5120
        await murano.client.close()


# Uploads


async def uploaded(id, source, reply=NOTHING, **options):
    """(request line, headers, body) of an upload."""
    async with Server([reply]) as server:
        murano = Bare(server)
        await murano.upload(id, source, **options)
        await murano.client.close()
    head, body = server.requests[0].split(b"\r\n\r\n", 1)
    lines = head.decode().split("\r\n")
    return lines[0], dict([line.split(": ", 1) for line in lines[1:]]), body


class File:
    """A file in /tmp with these bytes, gone after."""

    def __init__(self, data):
        self.path = "/tmp/instar-content-" + os.urandom(6).hex()
        with open(self.path, "wb") as file:
            file.write(data)

    def __enter__(self):
        return self.path

    def __exit__(self, *_):
        os.remove(self.path)


def md5(data):
    return b2a_base64(hashlib.md5(data).digest()).strip().decode()


async def test_the_documents_upload():
    tags = {"xyz": 456, "abc": 123}
    line, headers, body = await uploaded(
        "logs/error.log", b"Hello, World!", type="text/plain", tags=tags
    )
    target = "/onep:v1/content/logs/error.log?tags=%7B%22abc%22%3A123%2C%22xyz%22%3A456%7D"
    assert line == "PUT %s HTTP/1.1" % target
    assert headers["Content-Type"] == "text/plain" and headers["Content-Length"] == "13"
    assert headers["Content-MD5"] == "ZajifYh5KDgxtmS9i38K1A=="
    assert body == b"Hello, World!"


async def test_uploads_from_files_are_the_same_bytes():
    with File(BLOB) as path:
        for data, source, options in (
            (BLOB, path, {}),
            (BLOB[:3000], path, {"size": 3000}),
            (BLOB, BLOB, {}),
            (BLOB, memoryview(BLOB), {}),
            (BLOB, io.BytesIO(BLOB), {}),
        ):
            line, headers, body = await uploaded("a", source, **options)
            assert line == "PUT /onep:v1/content/a HTTP/1.1"
            assert body == data and headers["Content-Length"] == str(len(data))
            assert headers["Content-MD5"] == md5(data)
            assert "Content-Type" not in headers and "Transfer-Encoding" not in headers
        file = uploading._opened(path)
        file.seek(1000)
        _, headers, body = await uploaded("a", file, size=2000, md5=False)
        assert body == BLOB[1000:3000] and "Content-MD5" not in headers
        assert file.tell() == 3000
        file.close()
    for source in (b"", io.BytesIO(b"")):
        _, headers, body = await uploaded("a", source)
        assert headers["Content-Length"] == "0" and body == b""


async def test_an_upload_is_sent_again_from_its_beginning():
    async with Server([NOTHING, None], [NOTHING]) as server:
        murano = Bare(server)
        await murano.upload("a", b"x")
        await murano.upload("b", io.BytesIO(BLOB))  # its connection dies under it
        await murano.client.close()
    assert len(server.requests) == 3
    assert server.requests[1] == server.requests[2] and server.requests[2].endswith(BLOB)


async def test_an_upload_that_is_cut_is_transient():
    class Cutting(Server):
        async def _serve(self, reader, writer):
            await reader.readexactly(3000)
            writer.close()
            await writer.wait_closed()

    async with Cutting() as server:
        request = Bare(server).upload("a", io.BytesIO(bytes(2000000)), md5=False)
        await raises(Ended, "127.0.0.1", request)


async def test_a_file_that_is_shorter_than_said():
    async with Server([NOTHING]) as server:
        murano = Bare(server)
        request = murano.upload("a", io.BytesIO(b"abc"), size=4)
        await raises(Rejected, "expected 4 bytes as its length says, got 3", request)
        assert not murano.client._connections
        await raises(OSError, "", murano.upload("a", "/no/such/file"))


async def test_where_there_is_no_md5():
    class Without:
        sha256 = hashlib.sha256

    import sys

    sys.modules["hashlib"] = Without
    _, headers, _ = await uploaded("a", b"abc")
    assert "Content-MD5" not in headers
    async with Server() as server:
        request = Bare(server).upload("a", b"abc", md5=True)
        await raises(Rejected, "expected MD5", request)


async def test_ids_and_tags_are_encoded_and_slashes_stay():
    line, _, _ = await uploaded("lögs/a b+c?.log", b"", tags={"ä&=": ["x", None, {"y": 1.5}]})
    target = "/onep:v1/content/l%C3%B6gs/a%20b%2Bc%3F.log?tags="
    tags = "%7B%22%C3%A4%26%3D%22%3A%5B%22x%22%2Cnull%2C%7B%22y%22%3A1.5%7D%5D%7D"
    assert line == "PUT " + target + tags + " HTTP/1.1", line
    async with Server() as server:
        for id in ("", "/a", "a//b", "a/", "../a", "a/./b"):
            await raises(Rejected, "expected an id", Bare(server).upload(id, b""))


async def test_codes_of_an_upload():
    for status, kind in (
        ("400 Bad Request", Rejected),
        ("413 Too Large", Rejected),
        ("401 Unauthorized", Unauthorised),
        ("507 Full", Transient),
        ("200 OK", Transient),
    ):
        async with Server([answer(b"", status)]) as server:
            words = "upload of a: expected 204, got " + status[:3]
            await raises(kind, words, Bare(server).upload("a", b"x"))
