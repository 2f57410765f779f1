"""Who a Murano device is: every way to its credentials; the operator's side of products."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import base64
import ssl
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
