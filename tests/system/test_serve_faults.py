"""A server told to misbehave does it, for as many requests as it was told."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import http.client
import socket
import ssl
import struct
import time

import pytest
from calls import ARTIFACT, INVENTORY, accepted, download, offered

from instar_tools.server import faults, sntp
from instar_tools.server.client import ServerError
from instar_tools.server.testing import DevServer

GONE = (http.client.RemoteDisconnected, ConnectionError, ssl.SSLError)
WHOLE = ARTIFACT.read_bytes()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with DevServer(tmp_path_factory.mktemp("faults")) as running:
        running.upload(ARTIFACT)
        yield running


@pytest.fixture(scope="module")
def device(server):
    return accepted(server)


@pytest.fixture(scope="module")
def url(server, device):
    return offered(server, device)[1]


def test_a_status_with_headers_then_as_usual(server):
    device = accepted(server, "retry")
    server.faults({"match": "next", "times": 2, "status": 429, "headers": {"Retry-After": "7"}})
    assert [device.next()[0] for _ in range(3)] == [429, 429, 204]


def test_skip_lets_requests_pass_first(server):
    device = accepted(server, "skip")
    server.faults({"match": "next", "skip": 1, "status": 500})
    assert [device.next()[0] for _ in range(3)] == [204, 500, 204]


def test_a_download_is_cut_at_the_byte(server, url):
    server.faults({"match": "GET /mender-artifact-storage", "cut": 1000})
    with pytest.raises(http.client.IncompleteRead) as cut:
        download(server, url)
    assert cut.value.partial == WHOLE[:1000]
    status, _, rest = download(server, url, {"Range": "bytes=1000-"})
    assert (status, rest) == (206, WHOLE[1000:])


def test_an_api_answer_is_cut_too(server, device, url):
    server.faults({"match": "next", "cut": 5})
    with pytest.raises(http.client.IncompleteRead) as cut:
        device.next()
    assert cut.value.partial == b'{"id"'


def test_range_is_ignored(server, url):
    server.faults({"match": "GET /mender-artifact-storage", "ignore_range": True})
    status, headers, body = download(server, url, {"Range": "bytes=1000-"})
    assert (status, body, headers["Content-Range"]) == (200, WHOLE, None)


def test_a_wrong_content_range(server, url):
    server.faults({"match": "GET /mender-artifact-storage", "content_range": "bytes 5-9/10"})
    status, headers, _ = download(server, url, {"Range": "bytes=1000-"})
    assert (status, headers["Content-Range"]) == (206, "bytes 5-9/10")


@pytest.mark.parametrize("when, stored", [("before", {}), ("after", {"a": "b"})])
def test_a_dropped_connection_before_or_after_acting(server, when, stored):
    device = accepted(server, f"drop {when}")
    server.forget_requests()
    server.faults({"match": "PUT /api/devices/v1/inventory", "drop": when})
    with pytest.raises(GONE):
        device.call("PUT", INVENTORY, [{"name": "a", "value": "b"}])
    assert server.inventory(device.id) == stored
    assert [entry["status"] for entry in server.requests()] == [None]


def test_a_stall_delays_and_then_acts(server):
    device = accepted(server, "stall")
    server.faults({"match": "next", "stall": 0.2})
    start = time.monotonic()
    assert device.next()[0] == 204
    assert time.monotonic() - start >= 0.1


@pytest.mark.parametrize(
    "entry",
    [{"match": "x"}, {"status": 500}, {"match": "x", "shout": 1}, {"match": "(", "cut": 1}],
)
def test_a_plan_that_makes_no_sense_is_refused(server, entry):
    with pytest.raises(ServerError, match="fault: ") as refused:
        server.faults(entry)
    assert refused.value.status == 400


def test_times_null_is_for_ever():
    fault = faults.parse([{"match": "^GET /x", "times": None, "status": 500}])[0]
    assert [fault.strikes("GET /x") for _ in range(5)] == [True] * 5
    assert not fault.strikes("PUT /x")


def test_the_time_is_served_over_udp(tmp_path):
    with (
        DevServer(tmp_path, sntp_offset=86400) as server,
        socket.socket(type=socket.SOCK_DGRAM) as s,
    ):
        s.settimeout(10)
        s.sendto(b"\x1b" + bytes(39) + b"ABCDEFGH", ("127.0.0.1", server.sntp_port))
        reply = s.recv(100)
    assert (len(reply), reply[0]) == (48, 0x1C)
    assert reply[24:32] == b"ABCDEFGH"
    seconds = struct.unpack(">I", reply[40:44])[0] - 2208988800
    assert abs(seconds - time.time() - 86400) < 60


@pytest.mark.parametrize("request_", [b"", bytes(48), b"\x1c" + bytes(47), b"\x1b" + bytes(40)])
def test_what_is_no_client_request_gets_no_time(request_):
    assert sntp.answer(request_, 0) is None


def test_the_time_after_2036_wraps():
    assert sntp.answer(b"\x23" + bytes(47), 2**32 - 2208988800 + 5)[40:44] == b"\0\0\0\5"
