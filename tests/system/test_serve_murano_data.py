"""What Murano devices write, read and record, with each status that it knows."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import time
from itertools import count

import pytest
from murano_calls import ACTIVATE, ALIAS, Device, activated

from instar_tools.server.client import ServerError
from instar_tools.server.testing import DevServer

NUMBERS = count()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with DevServer(tmp_path_factory.mktemp("murano")) as running:
        running.add_product(resources=["a", "b", "c"])
        yield running


@pytest.fixture
def device(server):
    """A device that was never there before, provisioned."""
    return activated(server, identity=f"board-{next(NUMBERS)}")


def test_writes_and_reads(server, device):
    assert device.read("a", "b") == (204, "")
    assert device.write("a=1&b=x+y%20z&unknown=3") == 204
    assert device.read("b", "unknown", "a", "c") == (200, "b=x+y+z&a=1")
    assert device.read("c", "unknown") == (204, "")
    assert server.resources("lab", device.identity) == {"a": "1", "b": "x y z"}
    assert server.events("lab", device.identity)[-1]["aliases"] == ["a", "b", "unknown"]


def test_what_is_empty_is_absent(server, device):
    assert device.write("a=&b=1&c=") == 204
    assert device.read("a", "b", "c") == (200, "b=1")
    assert device.read("a", "c") == (204, "")
    assert device.call("POST", ALIAS + "?a&c", "b=")[0] == 204
    assert device.read("b") == (204, "")
    assert server.resources("lab", device.identity) == {"a": "", "b": "", "c": ""}


def test_one_write_has_one_timestamp(server, device):
    device.write("a=1&b=2")
    device.write("a=3")
    first, second = server.history("lab", device.identity, "a")
    assert [first[1], second[1]] == ["1", "3"]
    assert first[0] < second[0]
    assert server.history("lab", device.identity, "b") == [[first[0], "2"]]
    assert abs(first[0] / 1e6 - time.time()) < 60


def test_every_byte_comes_back(server, device):
    escaped = "".join(f"%{byte:02X}" for byte in range(256))
    assert device.write(f"a={escaped}") == 204
    status, text = device.read("a")
    assert status == 200 and text.startswith("a=%00%01")
    device.write("b=" + text[2:])
    assert device.read("b")[1][2:] == text[2:]
    assert "%26" in text and "%3D" in text and "%25" in text and "%2B" in text and "+" in text


def test_an_alias_is_encoded_too(server):
    server.add_product("odd", resources=["a&b=ü", "device/x y"])
    device = activated(server, "odd")
    assert device.write("a%26b%3D%C3%BC=1") == 204
    assert device.read("a%26b%3D%C3%BC") == (200, "a%26b%3D%C3%BC=1")
    server.set_resource("odd", "board", "device/x y", "2")
    assert device.read("device%2Fx+y", "a%26b%3D%C3%BC")[1] == "device%2Fx+y=2&a%26b%3D%C3%BC=1"


def test_writes_come_before_reads(device):
    status, headers, body = device.call("POST", ALIAS + "?a&b", "a=1")
    assert (status, body) == (200, b"a=1")
    assert headers["Content-Type"] == "application/x-www-form-urlencoded; charset=utf-8"
    assert device.call("POST", ALIAS + "?b", "a=2")[0] == 204
    assert device.read("a") == (200, "a=2")


def test_what_cannot_be_read_is_not_written_either(server, device):
    assert device.call("POST", ALIAS + "?a&", "a=1")[0] == 400
    assert server.resources("lab", device.identity) == {}


@pytest.mark.parametrize("form", ["", "a", "=1", "a=1&", "a=1&b", "%FF=1"])
def test_what_is_no_form_writes_nothing(server, device, form):
    assert device.write(form) == 400
    assert server.resources("lab", device.identity) == {}


def test_a_read_names_something(device):
    assert [device.call("GET", ALIAS + end)[0] for end in ("", "?", "?a&")] == [400] * 3


def test_a_value_has_64_kib_and_no_more(server, device):
    whole = "%C3%BC" * (32 << 10)
    assert device.write(f"a={whole}") == 204
    assert device.write(f"b=1&a={whole}x") == 413
    assert device.record(f"alias=a&1={whole}x")[0] == 413
    assert device.read("b")[0] == 204
    assert len(server.resources("lab", device.identity)["a"]) == 32 << 10
    with pytest.raises(ServerError, match="65536"):
        server.set_resource("lab", device.identity, "a", "x" * 65537)


def test_the_time_is_told_to_everybody(server):
    status, headers, body = Device(server).call("GET", "/timestamp")
    assert (status, headers["Content-Type"]) == (200, "text/plain; charset=utf-8")
    assert abs(int(body) - time.time()) < 60


def test_no_such_place_or_method(device):
    assert device.call("GET", "/onep:v1/stack")[0] == 404
    assert device.call("DELETE", ALIAS)[0] == 405
    assert device.call("GET", ACTIVATE)[0] == 405


# Records


def test_records_keep_microseconds_and_order(server, device):
    form = "alias=a&1506708552.123=23&1506708551=22&alias=b&1506708552=on&1506708551=off"
    assert device.record(form + "&1506708550.123456=on") == (204, "")
    history = server.history("lab", device.identity, "a")
    assert history == [[1506708551000000, "22"], [1506708552123000, "23"]]
    assert [at for at, _ in server.history("lab", device.identity, "b")] == [
        1506708550123456,
        1506708551000000,
        1506708552000000,
    ]
    assert server.resources("lab", device.identity) == {"a": "23", "b": "on"}


def test_the_document_s_microseconds(server, device):
    assert device.record("alias=a&1551674686.339=1&1551674686.339876=2")[0] == 204
    history = server.history("lab", device.identity, "a")
    assert [at for at, _ in history] == [1551674686339000, 1551674686339876]


def test_a_time_is_taken_once(server, device):
    assert device.record("alias=a&1=x&2=y&2.0=z")[:2] == (409, "a=2.0")
    assert device.record("alias=a&1.000000=q&3=r&alias=b&1=s") == (409, "a=1.000000")
    history = server.history("lab", device.identity, "a")
    assert history == [[1_000_000, "x"], [2_000_000, "y"], [3_000_000, "r"]]
    assert server.resources("lab", device.identity) == {"a": "r", "b": "s"}


def test_a_batch_of_conflicts_changes_nothing(server, device):
    device.record("alias=a&1=x&alias=b&1=y")
    server.set_resource("lab", device.identity, "a", "set")
    assert device.record("alias=a&1=x&alias=b&1=y") == (409, "a=1&b=1")
    assert server.resources("lab", device.identity) == {"a": "set", "b": "y"}


def test_negative_times_count_back_from_now(server, device):
    assert device.record("alias=a&-10.5=x&-0=y") == (204, "")
    (first, _), (second, _) = server.history("lab", device.identity, "a")
    assert second - first == 10_500_000
    assert abs(second / 1e6 - time.time()) < 60


def test_a_record_for_nothing(server, device):
    assert device.record("alias=unknown&1=x&alias=a&1=y") == (204, "")
    assert server.resources("lab", device.identity) == {"a": "y"}


@pytest.mark.parametrize("form", ["1=x", "alias=a&now=x", "alias=&1=x", "alias=a&1e3=x", "alias"])
def test_what_is_no_record(server, device, form):
    assert device.record(form)[0] == 400
    assert server.history("lab", device.identity, "a") == []
