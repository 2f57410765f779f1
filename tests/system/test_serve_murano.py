"""Every call of Murano's device API, with each status that it knows."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import base64
import hashlib
import ssl
import time
from itertools import count

import pytest
from calls import call
from murano_calls import ACTIVATE, ALIAS, CONTENT, DOWNLOAD, RECORD, Device, activated

from instar_tools.server.client import ServerError
from instar_tools.server.testing import DevServer

NUMBERS = count()
LOGIN = "x" * 20


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with DevServer(tmp_path_factory.mktemp("murano")) as running:
        running.add_product(resources=["a", "b", "c"])
        running.add_product("words", auth="password", resources=["a"])
        running.add_product("papers", auth="certificate", resources=["a"])
        yield running


@pytest.fixture
def device(server):
    """A device that was never there before, provisioned."""
    return activated(server, identity=f"board-{next(NUMBERS)}")


def with_certificate(server, tmp_path, name, pair=None):
    """A device of the product ``papers``, with a certificate (and key) for ``name``."""
    cert, key = pair or server.issue_certificate(name)
    (tmp_path / "pair.pem").write_text(cert + key)
    context = ssl.create_default_context(cafile=server.ca_bundle)
    context.load_cert_chain(tmp_path / "pair.pem")
    return Device(server, "papers", name, context)


# Tokens


def test_a_token_is_forty_characters_and_shown_once(server):
    device = Device(server, identity="once")
    status, headers, body = device.call("POST", ACTIVATE, "id=once")
    assert (status, headers["Content-Type"]) == (200, "text/plain; charset=utf-8")
    assert len(body) == 40 and body.isalnum()
    assert (headers["Server"], headers["Connection"]) == ("Murano", "Keep-Alive")
    assert device.activate() == 409
    assert server.identities("lab")[-1] == {"identity": "once", "state": "provisioned"}
    assert [event["type"] for event in server.events("lab", "once")] == ["provisioned"]


def test_no_token_is_kept_that_could_be_used(server, device):
    token = device.credentials["X-Exosite-CIK"].encode()
    files = [path for path in server.options.data.glob("state.sqlite*") if path.is_file()]
    assert files
    assert not any(token in path.read_bytes() for path in files)


def test_three_ways_to_show_a_token(device):
    token = device.credentials["X-Exosite-CIK"]
    device.write("a=1")
    basic = base64.b64encode(f":{token}".encode()).decode()
    for given in ({"X-EXOSITE-CIK": token}, {"Authorization": f"token {token}"}):
        device.credentials = given
        assert device.read("a") == (200, "a=1")
    device.credentials = {"Authorization": f"basic {basic}"}
    assert device.read("a") == (200, "a=1")


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"X-Exosite-CIK": "a" * 40},
        {"X-Exosite-CIK": ""},
        {"Authorization": "token"},
        {"Authorization": "Bearer abc"},
        {"Authorization": "Basic ????"},
        {"Authorization": "Basic Ym9hcmQ6eHh4"},
    ],
)
def test_other_credentials_are_401_everywhere(server, given):
    device = Device(server)
    device.credentials = given
    calls = [("GET", DOWNLOAD, ""), ("GET", ALIAS + "?a", ""), ("POST", ALIAS, "a=1")]
    calls += [("POST", RECORD, "alias=a&1=1"), ("PUT", CONTENT + "x", "data")]
    assert [device.call(*each)[0] for each in calls] == [401] * 5
    assert device.call("GET", ALIAS + "?a", Request_Timeout="10")[0] == 401


def test_a_token_is_good_for_its_own_product(server, device):
    server.add_product("other-lab", resources=["a"])
    stranger = Device(server, "other-lab")
    stranger.credentials = device.credentials
    assert stranger.read("a")[0] == 401


def test_reprovisioning_takes_the_old_token_s_worth(server, device):
    old = device.credentials
    assert device.activate() == 200
    assert device.credentials != old
    assert device.write("a=1") == 204
    device.credentials = old
    assert device.write("a=1") == 401
    assert device.activate() == 401  # and gives no new one


def test_reprovisioning_somebody_else(server, device):
    status, _, _ = device.call("POST", ACTIVATE, "id=somebody")
    assert status == 401
    assert "somebody" not in [found["identity"] for found in server.identities("lab")]


def test_an_operator_resets_an_identity(server, device):
    server.reset_identity("lab", device.identity)
    states = {found["identity"]: found["state"] for found in server.identities("lab")}
    assert states[device.identity] == "whitelisted"
    assert device.write("a=1") == 401
    device.credentials = {}
    assert device.activate() == 200
    with pytest.raises(ServerError, match="'nobody' not found"):
        server.reset_identity("lab", "nobody")


def test_the_whitelist(server):
    server.add_product("closed", whitelist=True)
    device = Device(server, "closed", "02%3A0a")
    assert device.activate() == 404
    server.allow("closed", "02:0a")
    assert server.identities("closed") == [{"identity": "02:0a", "state": "whitelisted"}]
    assert device.activate() == 200
    server.allow("closed", "02:0a")  # once more changes nothing
    assert device.read("inventory")[0] == 204
    server.change_product("closed", whitelist=False)
    assert Device(server, "closed", "other").activate() == 200


@pytest.mark.parametrize("body", ["id=02:00", "id=a b", "id=ä", "id=%zz", "id=", "", "id", "x=1"])
def test_an_identity_is_form_encoded(server, body):
    assert Device(server).call("POST", ACTIVATE, body.encode())[0] == 400


def test_an_identity_s_format(server):
    server.add_product("macs", identity_format="([0-9a-f]{2}:){5}[0-9a-f]{2}")
    assert Device(server, "macs", "board").activate() == 400
    assert Device(server, "macs", "02%3A00%3A00%3A00%3A00%3A01").activate() == 200


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "application/x-pem-file", ""])
def test_forms_only(device, kind):
    for path in (ACTIVATE, ALIAS, RECORD):
        assert device.call("POST", path, "alias=a&1=1", Content_Type=kind)[0] == 415


# Passwords


def test_password_products(server):
    device = Device(server, "words", "02%3A0b")
    status, _, body = device.call("POST", ACTIVATE, f"id=02%3A0b&password={LOGIN}")
    assert (status, body) == (204, b"")
    assert device.call("POST", ACTIVATE, f"id=02%3A0b&password={LOGIN}")[0] == 409

    def login(identity, password):
        pair = base64.b64encode(f"{identity}:{password}".encode()).decode()
        device.credentials = {"Authorization": f"Basic {pair}"}

    login("02:0b", LOGIN)
    assert device.write("a=1") == 204
    login("02:0b", LOGIN + "y")
    assert device.write("a=1") == 401
    login("", LOGIN)
    assert device.write("a=1") == 401
    device.credentials = {"X-Exosite-CIK": LOGIN}
    assert device.write("a=1") == 401

    login("02:0b", LOGIN)
    fresh = "y%3A%26" + LOGIN
    assert device.call("POST", ACTIVATE, f"id=02%3A0b&password={fresh}")[0] == 204
    assert device.write("a=1") == 401
    login("02:0b", "y:&" + LOGIN)
    assert device.write("a=1") == 204


def test_passwords_have_twenty_characters(server):
    device = Device(server, "words", "short")
    assert device.call("POST", ACTIVATE, f"id=short&password={LOGIN[1:]}")[0] == 400
    assert device.call("POST", ACTIVATE, "id=short")[0] == 400
    assert device.call("POST", ACTIVATE, f"id=short&password={LOGIN}")[0] == 204


def test_two_devices_with_one_password(server):
    for identity in ("twin-1", "twin-2"):
        device = Device(server, "words", identity)
        device.call("POST", ACTIVATE, f"id={identity}&password={LOGIN * 2}")
        pair = base64.b64encode(f"{identity}:{LOGIN * 2}".encode()).decode()
        device.credentials = {"Authorization": f"Basic {pair}"}
        assert device.write(f"a={identity}") == 204
    assert server.resources("words", "twin-1") == {"a": "twin-1"}


# Certificates


def test_a_certificate_provisions_itself(server, tmp_path):
    device = with_certificate(server, tmp_path, "02:0c")
    assert device.write("a=1") == 204  # the first request is answered as well
    assert {"identity": "02:0c", "state": "provisioned"} in server.identities("papers")
    assert device.activate() == 415
    assert [event["type"] for event in server.events("papers", "02:0c")] == [
        "provisioned",
        "data_in",
    ]
    another = with_certificate(server, tmp_path, "02:0c")
    assert another.write("a=1") == 401


def test_without_a_certificate_there_is_no_answer(server):
    with pytest.raises((OSError, EOFError)):
        Device(server, "papers").read("a")


def test_a_certificate_on_the_whitelist(server, tmp_path):
    server.change_product("papers", whitelist=True)
    device = with_certificate(server, tmp_path, "02:0d")
    assert device.write("a=1") == 401
    server.allow("papers", "02:0d")
    assert device.write("a=1") == 204
    server.change_product("papers", whitelist=False)


def test_a_new_certificate_for_an_old_one(server, tmp_path):
    pem = {"Content_Type": "application/x-pem-file; charset=utf-8"}
    device = with_certificate(server, tmp_path, "02:0e")
    assert device.write("a=1") == 204
    stranger, _ = server.issue_certificate("02:0f")
    assert device.call("POST", ACTIVATE, stranger, **pem)[0] == 400
    assert device.call("POST", ACTIVATE, "no certificate", **pem)[0] == 400
    assert device.call("POST", ACTIVATE, server.server.storage_ca.pem.read_text(), **pem)[0] == 400
    pair = server.issue_certificate("02:0e")
    status, _, body = device.call("POST", ACTIVATE, pair[0], **pem)
    assert (status, body) == (204, b"")
    assert device.write("a=1") == 401
    assert with_certificate(server, tmp_path, "02:0e", pair).write("a=1") == 204


# Values


def test_writes_and_reads(server, device):
    assert device.read("a", "b") == (204, "")
    assert device.write("a=1&b=x+y%20z&unknown=3") == 204
    assert device.read("b", "unknown", "a", "c") == (200, "b=x+y+z&a=1")
    assert device.read("c", "unknown") == (204, "")
    assert server.resources("lab", device.identity) == {"a": "1", "b": "x y z"}
    assert server.events("lab", device.identity)[-1]["aliases"] == ["a", "b", "unknown"]


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


# Content

WHOLE = bytes(range(256)) * 300


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


def test_a_product_without_files(device):
    status, headers, body = device.call("GET", DOWNLOAD)
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


def test_an_upload_that_is_not_what_it_says(server, device):
    assert device.call("PUT", CONTENT + "x", "data", Content_MD5="AAAA")[0] == 400
    for tags in ("%5B1%5D", "no", "%22x%22"):
        assert device.call("PUT", f"{CONTENT}x?tags={tags}", "data")[0] == 400
    assert device.call("PUT", CONTENT, "data")[0] == 404
    assert device.call("PUT", CONTENT + "x", iter([b"da", b"ta"]))[0] == 400
    assert server.uploads("lab", device.identity) == []


# The operator's side


def test_what_cannot_be_a_product(server):
    wrong = {
        "auth": "none",
        "domain": "127.0.0.1",
        "resources": "a",
        "whitelist": 1,
        "range_status": 204,
        "since": "before",
        "identity_format": "(",
        "colour": "red",
        "port": 70000,
    }
    for field, value in wrong.items():
        with pytest.raises(ServerError, match=field):
            server.add_product("wrong", **{"auth": "token", field: value})
    with pytest.raises(ServerError, match="'lab' already exists"):
        server.add_product("lab")
    with pytest.raises(ServerError, match="name"):
        server.add_product("a b")
    with pytest.raises(ServerError, match="without TLS"):
        server.add_product("wrong", auth="certificate", plain=True)
    with pytest.raises(ServerError, match="cannot listen"):
        server.add_product("wrong", port=server.product("lab")["listens"])
    with pytest.raises(ServerError, match="domain: cannot be changed"):
        server.change_product("lab", domain="elsewhere")
    assert "wrong" not in [found["name"] for found in server.products()]


def test_nothing_is_set_where_nothing_is(server, device):
    with pytest.raises(ServerError, match="product 'none' not found"):
        server.set_resource("none", device.identity, "a", "1")
    with pytest.raises(ServerError, match="identity 'none' not found"):
        server.set_resource("lab", "none", "a", "1")
    with pytest.raises(ServerError, match="resource 'none' not found"):
        server.set_resource("lab", device.identity, "none", "1")
    assert server.resources("lab", "none") == {}


def test_the_operator_s_values_are_no_history(server, device):
    server.set_resource("lab", device.identity, "a", "ü = 1")
    assert device.read("a") == (200, "a=%C3%BC+%3D+1")
    assert server.history("lab", device.identity, "a") == []


def test_requests_and_faults_are_those_of_products_too(server, device):
    server.forget_requests()
    server.faults({"match": "POST /onep:v1/stack/alias", "status": 503, "body": "later"})
    assert [device.write("a=1"), device.write("a=2")] == [503, 204]
    device.call("POST", ACTIVATE, f"id=x&password={LOGIN}")
    first, _, third = server.requests()
    assert (first["host"], first["status"], first["body"]) == ("murano:lab", 503, "a=1")
    assert dict(first["headers"])["X-Exosite-CIK"] == "***"
    assert third["body"] == "id=x&password=***"


def test_without_tls(server):
    server.add_product("open", plain=True)
    device = Device(server, "open")
    assert device.url.startswith("http://localhost:")
    assert device.activate() == 200
    assert call(server, "GET", "/timestamp", url=device.url)[0] == 200
