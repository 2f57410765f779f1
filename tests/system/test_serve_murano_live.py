"""Long polls, names that do not fit, restarts, and every way in which a product may differ."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import contextlib
import email.utils
import http.client
import socket
import ssl
import time

import pytest
from murano_calls import ALIAS, CONTENT, DOWNLOAD, Device, activated

from instar_tools.server.testing import DevServer

GONE = (http.client.HTTPException, OSError)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with DevServer(tmp_path_factory.mktemp("murano")) as running:
        running.add_product(resources=["a", "b"])
        running.add_content("lab", "fw.bin", bytes(range(200)))
        yield running


USUAL = {
    "lengths": "both",
    "range_status": 200,
    "ignore_range": False,
    "dates": "http",
    "since": "inclusive",
    "conflicts": "pairs",
    "nothing": 304,
    "empty": "absent",
    "close": False,
    "keeps_old_token": False,
    "token": "base62",
}


@pytest.fixture
def server(shared):
    """With the product `lab` as it is when nothing is said."""
    shared.change_product("lab", **USUAL)
    return shared


@pytest.fixture(scope="module")
def activated_once(shared):
    return activated(shared)


@pytest.fixture
def device(server, activated_once):
    return activated_once


def ago(seconds):
    return str(int(time.time()) - seconds)


# Long polls


def test_these_are_the_quirks_and_what_they_usually_are(server):
    assert {name: server.product("lab")[name] for name in USUAL} == USUAL


def test_all_who_wait_are_woken_by_the_operator(server, device):
    waiting = device.polling("a", 3)
    other = device.polling("b", ms=400)
    server.set_resource("lab", "board", "a", "x=1")
    answers = {future.result() for future in waiting}
    ((status, text, modified),) = answers
    assert (status, text) == (200, "a=x%3D1")
    assert abs(email.utils.parsedate_to_datetime(modified).timestamp() - time.time()) < 60
    assert other[0].result() == (304, "", None)


def test_writes_and_records_wake_too(device):
    (waiting,) = device.polling("a")
    device.write("a=w")
    assert waiting.result()[:2] == (200, "a=w")
    (waiting,) = device.polling("a")
    device.record("alias=a&1000=older&2000=r&1500=between")
    assert waiting.result()[:2] == (200, "a=r")


def test_what_was_there_before_is_not_new(server, device):
    server.set_resource("lab", "board", "a", "old")
    assert device.poll("a", ms=60) == (304, "", None)
    assert device.poll("a", ms=0) == (304, "", None)


@pytest.mark.parametrize("since, at_once", [("inclusive", True), ("exclusive", False)])
@pytest.mark.parametrize("dates", ["unix", "http"])
def test_since_and_both_forms_of_dates(server, device, since, at_once, dates):
    server.change_product("lab", since=since, dates=dates)
    device.write("a=1")
    status, text, modified = device.poll("a", If_Modified_Since=ago(5))
    assert (status, text) == (200, "a=1")
    assert modified.isdecimal() == (dates == "unix")
    again = device.poll("a", ms=60, If_Modified_Since=modified)[0]
    assert again == (200 if at_once else 304)
    later = str(int(time.time()) + 60)
    assert device.poll("a", ms=60, If_Modified_Since=later)[0] == 304


def test_nothing_may_be_204(server, device):
    server.change_product("lab", nothing=204)
    assert device.poll("a", ms=10) == (204, "", None)


def test_a_value_that_is_emptied_ends_a_long_poll_without_one(server, device):
    (waiting,) = device.polling("a")
    device.write("a=")
    assert waiting.result() == (204, "", None)
    assert device.poll("a", If_Modified_Since=ago(5)) == (204, "", None)
    assert device.poll("a", ms=10) == (304, "", None)


def test_an_empty_value_may_be_sent(server, device):
    server.change_product("lab", empty="sent")
    device.write("a=&b=1")
    assert device.read("a", "b") == (200, "a=&b=1")
    assert device.poll("a", If_Modified_Since=ago(5))[:2] == (200, "a=")


def test_what_is_no_long_poll(device):
    assert device.poll("unknown")[0] == 404
    assert device.poll("a&b")[0] == 400
    for ms in ("300001", "-1", "x", "1.5", "9" * 30, "0300001", ""):
        assert device.poll("a", ms=ms)[0] == 400
    for text in ("yesterday", "-5", "Fri, 99 Foo 2020 00:00:00 GMT"):
        assert device.poll("a", ms=10, If_Modified_Since=text)[0] == 400
    device.write("a=1")
    assert device.poll("a", ms=300000, If_Modified_Since="0")[0] == 200


def test_whoever_waits_when_the_server_stops_is_told_so_at_once(tmp_path):
    with DevServer(tmp_path) as server:
        server.add_product(resources=["a"])
        waiting = activated(server).polling("a", 2, ms=300000)
        begin = time.monotonic()
    assert time.monotonic() - begin < 5
    for future in waiting:
        assert isinstance(future.exception(), GONE)


def test_nothing_is_lost_when_the_server_stops(tmp_path):
    with DevServer(tmp_path) as server:
        url = server.add_product(resources=["a"], since="exclusive")
        server.add_content("lab", "x", b"data", description="d")
        device = activated(server)
        device.write("a=1")
        device.record("alias=a&5.5=0")
        _, _, modified = device.poll("a", If_Modified_Since=ago(5))
        device.call("PUT", CONTENT + "log", "line")
        contents, events = server.contents("lab"), server.events("lab", "board")
    with DevServer(tmp_path) as server:
        assert server.product("lab")["url"] == url  # though any port was good enough
        device.server = server
        assert device.poll("a", ms=10, If_Modified_Since=modified)[0] == 304
        server.change_product("lab", since="inclusive")
        assert device.poll("a", If_Modified_Since=modified) == (200, "a=0", modified)
        (waiting,) = device.polling("a")
        device.write("a=2")
        assert waiting.result()[:2] == (200, "a=2")
        assert [value for _, value in server.history("lab", "board", "a")] == ["0", "1", "2"]
        assert device.record("alias=a&5.5=0") == (409, "a=5.5")
        assert server.contents("lab") == contents
        assert server.events("lab", "board")[: len(events)] == events
        assert server.uploads("lab", "board")[0]["data"] == b"line"
        assert Device(server).activate() == 409


def test_the_last_port_may_be_somebody_else_s_by_now(tmp_path):
    with DevServer(tmp_path) as server:
        server.add_product()
        port = server.product("lab")["listens"]
    with socket.create_server(("127.0.0.1", port)), DevServer(tmp_path) as server:
        assert server.product("lab")["listens"] not in (0, port)
        assert Device(server).activate() == 200


def test_a_port_that_was_asked_for_is_kept_or_nothing(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    with DevServer(tmp_path) as server:
        assert server.add_product(port=port) == f"https://localhost:{port}"
    with socket.create_server(("127.0.0.1", port)), pytest.raises(OSError):
        DevServer(tmp_path).start()


def test_the_first_product_is_an_option(tmp_path):
    with DevServer(tmp_path, murano_port=0, murano_auth="password") as server:
        assert server.server.ready()["murano"] == {"lab": server.product("lab")["url"]}
        assert server.product("lab")["resources"] == ["config_otau", "otau_in", "inventory"]
        server.change_product("lab", close=True)
    with DevServer(tmp_path, murano_port=0, murano_domain="board.example") as server:
        found = server.product("lab")
        assert (found["auth"], found["domain"], found["close"]) == (
            "password",
            "board.example",
            True,
        )
    with pytest.raises(ValueError, match="auth password, not token"):
        DevServer(tmp_path, murano_port=0, murano_auth="token").start()


# Names


def answer_to(server, port, sni, host):
    """What comes back, of a GET /timestamp by these names; b"" for a closed connection."""
    context = ssl.create_default_context(cafile=server.ca_bundle)
    context.check_hostname = False
    request = f"GET /timestamp HTTP/1.1\r\n{host}\r\n\r\n".encode()
    with contextlib.suppress(OSError), socket.create_connection(("localhost", port)) as raw:
        tls = context.wrap_socket(raw, server_hostname=sni) if sni != "plain" else raw
        with tls:
            tls.sendall(request)
            return tls.recv(4096)
    return b""


@pytest.mark.parametrize(
    "sni, host, answered",
    [
        ("a.example", "Host: a.example", True),
        ("a.example", "Host: A.Example:8450", True),
        ("a.example", "Host: b.example", False),
        ("a.example", "Host: a.example.org", False),
        ("b.example", "Host: a.example", False),
        ("127.0.0.1", "Host: a.example", False),  # TLS sends no SNI for an address
        (None, "Host: a.example", False),
    ],
)
def test_both_names_are_the_product_s(server, sni, host, answered):
    if not any(found["name"] == "named" for found in server.products()):
        server.add_product("named", domain="a.example")
    found = answer_to(server, server.product("named")["listens"], sni, host)
    assert found.startswith(b"HTTP/1.1 200 ") if answered else found == b""


def test_a_wrong_sni_gets_not_even_an_alert(server):
    out, context = ssl.MemoryBIO(), ssl.create_default_context()
    client = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname="b.example")
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    with socket.create_connection(("localhost", server.product("lab")["listens"])) as raw:
        raw.sendall(out.read())
        assert raw.recv(100) == b""


def test_without_tls_there_is_the_host_alone(server):
    server.add_product("devmode", domain="a.example", plain=True)
    port = server.product("devmode")["listens"]
    assert answer_to(server, port, "plain", "Host: a.example").startswith(b"HTTP/1.1 200 ")
    assert answer_to(server, port, "plain", "Host: localhost") == b""


# Quirks


@pytest.mark.parametrize("lengths", ["both", "length", "chunked"])
def test_lengths(server, device, lengths):
    server.change_product("lab", lengths=lengths)
    for given, size in ({}, 200), ({"Range": "bytes=10-19"}, 10):
        _, headers, body = device.call("GET", DOWNLOAD + "?id=fw.bin", **given)
        assert len(body) == size
        assert headers["Content-Length"] == (None if lengths == "chunked" else str(size))
        assert headers["Transfer-Encoding"] == (None if lengths == "length" else "chunked")


def test_what_both_lengths_look_like(server, device):
    """Chunks on the wire, and the length of what is in them: as bytes."""
    port = server.product("lab")["listens"]
    context = ssl.create_default_context(cafile=server.ca_bundle)
    token = device.credentials["X-Exosite-CIK"]
    head = f"GET {DOWNLOAD}?id=fw.bin HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    with socket.create_connection(("localhost", port)) as raw:
        with context.wrap_socket(raw, server_hostname="localhost") as tls:
            tls.sendall(f"{head}X-Exosite-CIK: {token}\r\n\r\n".encode())
            answer = b"".join(iter(lambda: tls.recv(4096), b""))
    found, _, body = answer.partition(b"\r\n\r\n")
    assert b"\r\nContent-Length: 200\r\n" in found + b"\r\n"
    assert b"\r\nTransfer-Encoding: chunked\r\n" in found + b"\r\n"
    assert body == b"c8\r\n" + bytes(range(200)) + b"\r\n0\r\n\r\n"


@pytest.mark.parametrize("lengths", ["both", "length", "chunked"])
def test_a_file_without_a_byte(server, device, lengths):
    server.change_product("lab", lengths=lengths)
    server.add_content("lab", "empty", b"")
    status, _, body = device.call("GET", DOWNLOAD + "?id=empty")
    assert (status, body) == (200, b"")
    assert device.call("GET", DOWNLOAD + "?id=empty", Range="bytes=0-")[0] == 416


def test_a_part_may_be_206(server, device):
    server.change_product("lab", range_status=206)
    status, headers, body = device.call("GET", DOWNLOAD + "?id=fw.bin", Range="bytes=-2")
    assert (status, headers["Content-Range"]) == (206, "bytes 198-199/200")
    assert body == bytes([198, 199])
    assert device.call("GET", DOWNLOAD + "?id=fw.bin")[0] == 200


def test_a_range_may_be_ignored(server, device):
    server.change_product("lab", ignore_range=True)
    status, headers, body = device.call("GET", DOWNLOAD + "?id=fw.bin", Range="bytes=5-")
    assert (status, headers["Content-Range"], len(body)) == (200, None, 200)


def test_a_download_is_cut_and_its_range_forged_as_anywhere(server, device):
    path, match = DOWNLOAD + "?id=fw.bin", "fw.bin"
    server.faults({"match": match, "cut": 50}, {"match": match, "content_range": "bytes 0-1/9"})
    with pytest.raises(http.client.IncompleteRead) as caught:
        device.call("GET", path)
    assert caught.value.partial == bytes(range(50))
    assert device.call("GET", path, Range="bytes=5-")[1]["Content-Range"] == "bytes 0-1/9"
    server.faults({"match": match, "ignore_range": True})
    assert len(device.call("GET", path, Range="bytes=5-")[2]) == 200


def test_conflicts_in_both_forms(server, device):
    form = "alias=a&1.5=x&2=x&alias=b&1.5=x"
    assert device.record(form)[0] == 204
    assert device.record(form) == (409, "a=1.5&a=2&b=1.5")
    server.change_product("lab", conflicts="lists")
    assert device.record(form) == (409, "a=1.5%2C2&b=1.5")


@pytest.mark.parametrize("close", [False, True])
def test_a_connection_may_be_closed(server, device, close):
    server.change_product("lab", close=close)
    device.write("a=1")
    closed = "close" if close else "Keep-Alive"
    calls = [
        device.call("GET", ALIAS + "?a"),
        device.call("GET", ALIAS + "?a", Request_Timeout="5"),
        device.call("POST", ALIAS + "?a", "a=2"),
        device.call("POST", "/onep:v1/stack/record", "alias=b&77=1"),
    ]
    assert [headers["Connection"] for _, headers, _ in calls] == [closed] * 4
    assert device.call("POST", ALIAS, "a=2")[1]["Connection"] == "Keep-Alive"


def test_several_writes_over_one_connection(server, device):
    port = server.product("lab")["listens"]
    context = ssl.create_default_context(cafile=server.ca_bundle)
    connection = http.client.HTTPSConnection("localhost", port, context=context)
    server.forget_requests()
    for value in "123":
        headers = {"Content-Type": "application/x-www-form-urlencoded", **device.credentials}
        connection.request("POST", ALIAS, f"a={value}", headers)
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (204, b"")
    connection.close()
    assert len({entry["peer"] for entry in server.requests()}) == 1


def test_tokens_of_both_alphabets_and_old_ones(server):
    device = activated(server, identity="keeper")
    old = device.credentials
    server.change_product("lab", keeps_old_token=True, token="hex")
    assert device.activate() == 200
    new = device.credentials
    assert set(new["X-Exosite-CIK"]) <= set("0123456789abcdef")
    assert [device.write("a=1") for device.credentials in (old, new)] == [204, 204]
    server.reset_identity("lab", "keeper")
    assert [device.write("a=1") for device.credentials in (old, new)] == [401, 401]


def test_an_upload_that_is_cut_is_none(server, device):
    port = server.product("lab")["listens"]
    context = ssl.create_default_context(cafile=server.ca_bundle)
    token = device.credentials["X-Exosite-CIK"]
    head = f"PUT {CONTENT}cut HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n"
    with socket.create_connection(("localhost", port)) as raw:
        with context.wrap_socket(raw, server_hostname="localhost") as tls:
            tls.sendall(f"{head}X-Exosite-CIK: {token}\r\n\r\nnot all".encode())
    assert device.call("PUT", CONTENT + "whole", "all")[0] == 204
    assert [upload["id"] for upload in server.uploads("lab", "board")] == ["whole"]
