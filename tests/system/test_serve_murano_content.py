"""Files for and from Murano devices, with each status that it knows."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import base64
import hashlib
import time

import pytest
from murano_calls import CONTENT, DOWNLOAD, activated

from instar_tools.server.client import ServerError
from instar_tools.server.testing import DevServer

WHOLE = bytes(range(256)) * 300


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with DevServer(tmp_path_factory.mktemp("murano")) as running:
        yield running


@pytest.fixture(scope="module")
def shelf(server):
    """A device of a product with two files."""
    server.add_product("files")
    server.add_content("files", "fw/1 ä.bin", WHOLE, "application/gzip", "New, and better")
    server.add_content("files", "MANIFEST", b"x", "text/plain")
    device = activated(server, "files")
    device.path = DOWNLOAD + "?id=fw/1%20%C3%A4.bin"
    return device


def test_what_there_is(server, shelf):
    status, headers, body = shelf.call("GET", DOWNLOAD)
    assert (status, headers["Content-Type"]) == (200, "text/csv; charset=utf-8")
    assert body.decode().splitlines() == ["MANIFEST", "fw/1 ä.bin"]
    updated = server.contents("files")[1]["updated"]
    status, headers, body = shelf.call("GET", f"{shelf.path}&info=true")
    assert (status, headers["Content-Type"]) == (200, "text/csv; charset=utf-8")
    assert body.decode() == f"application/gzip,{len(WHOLE)},{updated},New, and better"
    assert abs(updated - time.time()) < 60


def test_a_product_without_files(server):
    server.add_product("bare")
    status, headers, body = activated(server, "bare").call("GET", DOWNLOAD)
    assert (status, headers["Content-Length"], body) == (200, "0", b"")


def test_the_whole_file(shelf):
    status, headers, body = shelf.call("GET", shelf.path)
    assert (status, body) == (200, WHOLE)
    assert headers["Content-Type"] == "application/gzip"
    assert headers["Content-Length"] == str(len(WHOLE))
    assert headers["Transfer-Encoding"] == "chunked"
    assert headers["Content-Range"] is None


LAST = len(WHOLE) - 1


@pytest.mark.parametrize(
    "given, first, last",
    [
        ("0-1023", 0, 1023),
        ("1000-", 1000, LAST),
        ("-1000", LAST - 999, LAST),
        (f"{LAST}-", LAST, LAST),
        ("5-9999999", 5, LAST),
        ("-9999999", 0, LAST),
    ],
)
def test_parts(shelf, given, first, last):
    status, headers, body = shelf.call("GET", shelf.path, Range=f"bytes={given}")
    assert (status, body) == (200, WHOLE[first : last + 1])
    assert headers["Content-Range"] == f"bytes {first}-{last}/{len(WHOLE)}"
    assert headers["Accept-Ranges"] == "bytes"
    assert headers["Content-Length"] == str(len(body))


@pytest.mark.parametrize("given", [f"bytes={LAST + 1}-", "bytes=9-5", "bytes=-0", "bytes=-", "x"])
def test_no_such_part(shelf, given):
    assert shelf.call("GET", shelf.path, Range=given)[0] == 416


def test_no_such_content(shelf):
    found = [shelf.call("GET", DOWNLOAD + end)[0] for end in ("?id=x", "?id=x&info=true", "?id=")]
    assert found == [404, 404, 400]


def test_content_that_is_replaced_or_removed(server):
    server.add_product("shop")
    device = activated(server, "shop")
    server.add_content("shop", "x", b"one")
    before = server.contents("shop")[0]["updated"]
    server.add_content("shop", "x", b"two")
    (found,) = server.contents("shop")
    assert found["updated"] > before
    assert device.call("GET", DOWNLOAD + "?id=x")[2] == b"two"
    assert len(list((server.options.data / "murano").glob("*"))) >= 1
    server.remove_content("shop", "x")
    assert device.call("GET", DOWNLOAD + "?id=x")[0] == 404
    with pytest.raises(ServerError, match="'x' not found"):
        server.remove_content("shop", "x")


def test_an_upload_belongs_to_its_device(server, shelf):
    other = activated(server, "files", "other")
    tags = "?tags=%7B%22abc%22%3A123%2C%22xyz%22%3A456%7D"
    checksum = base64.b64encode(hashlib.md5(b"oh no").digest()).decode()
    sent = {"Content_Type": "text/plain", "Content_MD5": checksum}
    status, _, body = shelf.call("PUT", CONTENT + "logs/a%20b.log" + tags, "oh no", **sent)
    assert (status, body) == (204, b"")
    upload = {"id": "logs/a b.log", "type": "text/plain", "data": b"oh no"}
    assert server.uploads("files", "board") == [{**upload, "tags": {"abc": 123, "xyz": 456}}]
    event = server.events("files", "board")[-1]
    assert (event["type"], event["id"], event["size"]) == ("content_in", "logs/a b.log", 5)
    assert b"device2/board/logs/a b.log" in shelf.call("GET", DOWNLOAD)[2].splitlines()
    for id in ("logs/a%20b.log", "device2/board/logs/a%20b.log"):
        assert shelf.call("GET", f"{DOWNLOAD}?id={id}")[::2] == (200, b"oh no")
        assert other.call("GET", f"{DOWNLOAD}?id={id}")[0] == 404
    assert b"device2" not in other.call("GET", DOWNLOAD)[2]
    assert server.uploads("files", "other") == []


def test_an_upload_that_is_not_what_it_says(server, shelf):
    device = activated(server, "files", "liar")
    assert device.call("PUT", CONTENT + "x", "data", Content_MD5="AAAA")[0] == 400
    for tags in ("%5B1%5D", "no", "%22x%22"):
        assert device.call("PUT", f"{CONTENT}x?tags={tags}", "data")[0] == 400
    assert device.call("PUT", CONTENT, "data")[0] == 404
    assert device.call("PUT", CONTENT + "x", iter([b"da", b"ta"]))[0] == 400
    assert server.uploads("files", "liar") == []
