"""The Bootstrap service's configuration routes, the listeners, and what survives a restart."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
import ssl
from urllib.parse import quote

import pytest
from calls import accepted, call

from instar_tools.server.client import ServerError
from instar_tools.server.testing import DevServer

CONFIG = {"external_id": "board", "external_key": "key", "channels": ["c1"]}


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with DevServer(tmp_path_factory.mktemp("clients")) as running:
        yield running


@pytest.fixture
def server(shared):
    """The server without configurations."""
    for domain in ("lab", ""):
        for config in shared.configs(domain):
            name = "client_id" if domain else "thing_id"
            base = f"/{domain}/clients" if domain else "/things"
            shared.call("DELETE", f"{base}/configs/{config[name]}")
    return shared


def ask(server, method, path, value=None, **headers):
    """(status, headers, JSON or text) on the plain port, with the management token."""
    sent = {"Authorization": f"Bearer {server.server.token}"}
    if value is not None:
        sent["Content-Type"] = "application/json"
    sent.update({name.replace("_", "-"): text for name, text in headers.items()})
    body = value if isinstance(value, str) else json.dumps(value) if value is not None else ""
    status, found, content = call(server, method, path, sent, body, url=server.bootstrap_url)
    is_json = content and "json" in (found["Content-Type"] or "")
    return status, found, json.loads(content) if is_json else content.decode()


# The base of each version's routes, and its names
BASES = [
    ("/lab/clients", "client_id", "client_secret", "Location: /clients/configs/"),
    ("/lab/things", "thing_id", "thing_key", "Location: /things/configs/"),
    ("/things", "thing_id", "thing_key", "Location: /things/configs/"),
]
each = pytest.mark.parametrize("base, id_name, secret_name, where", BASES)


@each
def test_the_life_of_a_configuration(server, base, id_name, secret_name, where):
    body = {**CONFIG, "name": "Board", "content": "{}", "client_cert": "C", id_name: "client-1"}
    status, headers, text = ask(server, "POST", f"{base}/configs", body)
    assert (status, text) == (201, "")
    assert f"Location: {headers['Location']}" == where + "client-1"
    status, _, view = ask(server, "GET", f"{base}/configs/client-1")
    assert status == 200
    assert len(view.pop(secret_name)) == 36
    assert view == {
        id_name: "client-1",
        "channels": [{"id": "c1"}],
        "external_id": "board",
        "external_key": "key",
        "content": "{}",
        "name": "Board",
        "state": 0,
    }
    change = {"name": "New", "content": '{"a":1}'}
    assert ask(server, "PUT", f"{base}/configs/client-1", change)[::2] == (200, "")
    assert ask(server, "PUT", f"{base}/state/client-1", {"state": 1})[::2] == (200, "")
    more = {"channels": ["c2", "c1"]}
    assert ask(server, "PUT", f"{base}/configs/connections/client-1", more)[::2] == (200, "")
    view = ask(server, "GET", f"{base}/configs/client-1")[2]
    assert (view["name"], view["content"], view["state"]) == ("New", '{"a":1}', 1)
    assert [channel["id"] for channel in view["channels"]] == ["c2", "c1"]
    certs = {"ca_cert": "A", "client_cert": "B", "client_key": "K"}
    found = ask(server, "PATCH", f"{base}/configs/certs/client-1", certs)[::2]
    assert found == (200, {id_name: "client-1", **certs})
    assert ask(server, "DELETE", f"{base}/configs/client-1")[::2] == (204, "")
    assert ask(server, "GET", f"{base}/configs/client-1")[0] == 404
    assert ask(server, "DELETE", f"{base}/configs/client-1")[0] == 204


@each
def test_a_client_is_made_where_none_is_named(server, base, id_name, secret_name, where):
    location = ask(server, "POST", f"{base}/configs", CONFIG)[1]["Location"]
    assert len(location.rpartition("/")[2]) == 36


WRONG = {
    "no external id": ({"external_id": ""}, 400),
    "no external key": ({"external_key": ""}, 401),
    "no channels": ({"channels": []}, 400),
    "an empty channel": ({"channels": ["c1", ""]}, 400),
    "channels of numbers": ({"channels": [1]}, 400),
    "a text for channels": ({"channels": "c1"}, 400),
    "content that is no text": ({"content": {}}, 400),
    "a number for a name": ({"name": 0}, 400),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_refused(server, case):
    change, expected = WRONG[case]
    status, headers, body = ask(server, "POST", "/lab/clients/configs", {**CONFIG, **change})
    assert (status, list(body)) == (expected, ["message"])
    assert headers["Content-Type"] == "application/json"
    assert server.configs() == []


@pytest.mark.parametrize("base, status", [("/lab/clients", 422), ("/things", 409)])
def test_an_external_id_is_there_once(server, base, status):
    assert ask(server, "POST", f"{base}/configs", CONFIG)[0] == 201
    assert ask(server, "POST", f"{base}/configs", CONFIG)[0] == status


@pytest.mark.parametrize(
    "method, path",
    [
        ("POST", "/lab/clients/configs"),
        ("PUT", "/lab/clients/configs/x"),
        ("PATCH", "/lab/clients/configs/certs/x"),
        ("PUT", "/lab/clients/configs/connections/x"),
        ("PUT", "/lab/clients/state/x"),
    ],
)
def test_every_change_wants_a_json_object_of_a_config_that_is_there(server, method, path):
    assert ask(server, method, path, "{}", Content_Type="text/plain")[0] == 415
    assert ask(server, method, path, "{")[0] == 400
    assert ask(server, method, path, "[]")[0] == 400
    if method != "POST":
        assert ask(server, method, path, {"state": 1})[0] == 404


@pytest.mark.parametrize("state", [2, -1, "1", True, None, 1.0])
def test_a_state_is_0_or_1(server, state):
    client = server.add_config("board", "key")
    assert ask(server, "PUT", f"/lab/clients/state/{client}", {"state": state})[0] == 400


def test_the_management_token_is_wanted(server):
    for path in ("/lab/clients/configs", "/things/configs", "/lab/channels"):
        for header in ("", "Bearer wrong", f"Basic {server.server.token}"):
            assert ask(server, "GET", path, Authorization=header)[0] == 401
            assert ask(server, "POST", path, CONFIG, Authorization=header)[0] == 401
    assert server.configs() == []


def test_lists_have_pages_and_filters(server):
    clients = [server.add_config(f"board-{n}", "key", domain="lab") for n in range(12)]
    server.update_config(clients[3], name="Kitchen")
    server.connect(clients[4])

    def listed(query):
        status, _, found = ask(server, "GET", f"/lab/clients/configs{query}")
        return (status, found["total"], [c["external_id"] for c in found["configs"]])

    assert listed("") == (200, 12, [f"board-{n}" for n in range(10)])
    assert listed("?offset=10&limit=100") == (200, 12, ["board-10", "board-11"])
    assert listed("?name=kITCH") == (200, 1, ["board-3"])
    assert listed("?external_id=board-1") == (200, 1, ["board-1"])
    assert listed(f"?client_id={clients[2]}") == (200, 1, ["board-2"])
    assert listed("?state=1") == (200, 1, ["board-4"])
    assert listed("?offset=18446744073709551615") == (200, 12, [])


@pytest.mark.parametrize("text", ["-1", "x", "", "1.0", "٣", "18446744073709551616", "9" * 5000])
@pytest.mark.parametrize("name", ["offset", "limit"])
def test_what_is_no_number_of_a_page(server, name, text):
    found = ask(server, "GET", f"/lab/clients/configs?{name}={quote(text)}")
    assert (found[0], found[2]) == (400, {"message": "invalid query parameters"})


@pytest.mark.parametrize("limit", [0, 101])
def test_a_limit_of_pages(server, limit):
    assert ask(server, "GET", f"/lab/clients/configs?limit={limit}")[0] == 400


def test_a_domain_sees_its_own(server):
    client = server.add_config("board", "key", domain="one")
    assert server.configs("lab") == []
    with pytest.raises(ServerError) as refused:
        server.update_config(client, name="x", domain="lab")
    assert refused.value.status == 404
    server.call("DELETE", f"/lab/clients/configs/{client}")
    assert [config["client_id"] for config in server.configs("one")] == [client]
    server.call("DELETE", f"/one/clients/configs/{client}")


def test_channels_have_names_and_metadata(server):
    named = {"id": "c9", "name": "data", "metadata": {"type": "data"}}
    status, headers, _ = ask(server, "POST", "/lab/channels", named)
    assert (status, headers["Location"]) == (201, "/channels/c9")
    client = server.add_config("board", "key", channels=["c9"])
    (config,) = server.configs()
    assert (config["client_id"], config["channels"]) == (client, [named])
    assert named in ask(server, "GET", "/lab/channels")[2]["channels"]
    assert ask(server, "POST", "/lab/channels", {"metadata": "x"})[0] == 400


def test_profiles_has_routes_of_its_own(tmp_path):
    with DevServer(tmp_path, bootstrap_profile="profiles") as server:
        client = server.add_config("board", "key", "{}")
        path = f"/lab/clients/configs/{client}"
        shown = {"id": client, "external_id": "board", "status": "enabled", "content": "{}"}
        assert ask(server, "GET", path)[2] == shown
        assert ask(server, "PATCH", path, {"name": "New"})[0] == 200
        assert ask(server, "POST", f"{path}/disable")[2]["status"] == "disabled"
        assert server.configs() == [{**shown, "status": "disabled", "name": "New"}]
        assert ask(server, "PUT", path, {})[0] == 405
        assert ask(server, "PUT", f"/lab/clients/state/{client}", {"state": 1})[0] == 404
        path = f"/lab/clients/configs/connections/{client}"
        assert ask(server, "PUT", path, {"channels": []})[0] == 404
        assert ask(server, "POST", "/lab/clients/configs", CONFIG)[0] == 409


def test_health_and_what_is_nowhere(server):
    status, headers, body = ask(server, "GET", "/health")
    assert (status, headers["Content-Type"], body["status"]) == (
        200,
        "application/health+json",
        "pass",
    )
    assert ask(server, "GET", "/nowhere")[::2] == (404, "404 page not found\n")
    assert ask(server, "DELETE", "/health")[::2] == (405, "")


def test_management_calls_are_neither_recorded_nor_disturbed(server):
    server.forget_requests()
    server.faults({"match": ".", "status": 500, "times": None})
    assert ask(server, "POST", "/lab/clients/configs", CONFIG)[0] == 201
    assert len(server.configs()) == 1
    assert call(server, "GET", "/clients/bootstrap/x", url=server.bootstrap_url)[0] == 500
    server.faults()
    assert [request["path"] for request in server.requests()] == ["/clients/bootstrap/x"]


def test_the_port_for_boards_with_a_certificate(server, tmp_path):
    server.add_config("board", "key")
    anybody = ssl.create_default_context(cafile=server.ca_bundle)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        call(server, "GET", "/health", url=server.mutual_url, context=anybody)
    certificate, key = server.issue_certificate("board 1")
    (tmp_path / "both.pem").write_text(key + certificate)
    board = ssl.create_default_context(cafile=server.ca_bundle)
    board.load_cert_chain(tmp_path / "both.pem")
    headers = {"Authorization": "Client key"}

    def get(path):
        return call(server, "GET", path, headers, url=server.mutual_url, context=board)[0]

    assert get("/clients/bootstrap/board") == 200
    headers = {"Authorization": f"Bearer {accepted(server).token}"}
    query = "artifact_name=a&device_type=b"
    assert get(f"/api/devices/v1/deployments/device/deployments/next?{query}") == 204
    assert get("/lab/clients/configs") == 404
    assert server.requests()[-1]["host"] == "mutual"


@pytest.mark.parametrize("name", ["", "x" * 65, 1, None])
def test_a_certificate_wants_a_name(server, name):
    with pytest.raises(ServerError) as refused:
        server.issue_certificate(name)
    assert refused.value.status == 400


def test_all_of_it_survives_a_restart(tmp_path):
    with DevServer(tmp_path) as server:
        client = server.add_config("board", "key", "{}", ["c1"], ca_cert="A")
        server.connect(client)
        before = server.configs()
    with DevServer(tmp_path) as server:
        assert server.configs() == before
        headers = {"Authorization": "Client key"}
        body = call(server, "GET", "/clients/bootstrap/board", headers)[2]
        assert json.loads(body)["ca_cert"] == "A"
