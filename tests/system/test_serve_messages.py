"""Publishing over HTTP, as Magistrala's adapter takes it."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import base64
import json

import pytest
from calls import call

from instar_tools.server import magistrala_state
from instar_tools.server.state import Database
from instar_tools.server.testing import DevServer

SENML = "application/senml+json"
RECORDS = '[{"bn":"board:","n":"t","u":"Cel","v":23.1}]'


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with DevServer(tmp_path_factory.mktemp("messages")) as running:
        running.client = running.add_config("board", "key", channels=["data", "other"])
        running.connect(running.client)
        (config,) = running.configs()
        running.secret = config["client_secret"]
        yield running


def publish(server, path="/m/lab/c/data", given=None, body=RECORDS, kind=SENML, method="POST"):
    """The status. given: Authorization; None: that of the client."""
    given = f"Client {server.secret}" if given is None else given
    headers = {"Content-Type": kind, "Authorization": given}
    headers = {name: text for name, text in headers.items() if text}
    status, _, content = call(server, method, path, headers, body, url=server.bootstrap_url)
    assert content == b"" or status == 404
    return status


def basic(user, secret):
    return "Basic " + base64.b64encode(f"{user}:{secret}".encode()).decode()


@pytest.mark.parametrize("way", ["", "/http"])
@pytest.mark.parametrize("path", ["/m/lab/c/data", "/channels/data/messages"])
def test_what_came_is_kept(server, way, path):
    before = len(server.messages())
    assert publish(server, way + path) == 202
    assert publish(server, way + path + "/room/1") == 202
    found = server.messages("data")[before:]
    assert [message["subtopic"] for message in found] == ["", "room.1"]
    assert found[0] == {
        "domain": "lab",
        "channel": "data",
        "subtopic": "",
        "publisher": server.client,
        "content_type": SENML,
        "body": RECORDS,
    }
    assert server.messages("other") == []


def test_credentials(server):
    new, old = "/m/lab/c/data", "/channels/data/messages"
    right, wrong = basic(server.client, server.secret), basic("somebody", server.secret)
    assert publish(server, new, right) == publish(server, old, right) == 202
    assert (publish(server, new, wrong), publish(server, old, wrong)) == (401, 202)
    assert publish(server, new, server.secret) == publish(server, old, server.secret) == 202
    thing = f"Thing {server.secret}"
    assert (publish(server, new, thing), publish(server, old, thing)) == (401, 202)
    for given in ("Client wrong", "Basic ???", f"client {server.secret}", b"Client \xff"):
        assert publish(server, new, given) == publish(server, old, given) == 401
    assert publish(server, new, "") == publish(server, old, "") == 400


def test_where_a_client_may_publish(server):
    assert publish(server, "/m/lab/c/other") == 202
    assert publish(server, "/m/lab/c/none") == 401
    assert publish(server, "/m/elsewhere/c/data") == 401
    server.connect(server.client, 0)
    try:
        assert publish(server) == 401
    finally:
        server.connect(server.client)
    assert publish(server) == 202


def test_the_content_type_exactly(server):
    for kind in ("application/json", "application/senml+cbor"):
        assert publish(server, kind=kind, body="x") == 202
    for kind in ("", "text/plain", f"{SENML}; charset=utf-8", "application/senml+xml"):
        assert publish(server, kind=kind) == 415


@pytest.mark.parametrize("body", ["{}", "[1]", "[", '"x"', "[[]]", "[" * 100000, b"\xff"])
def test_senml_is_a_list_of_objects(server, body):
    assert publish(server, body=body) == 400


def test_an_empty_message_goes_nowhere(server):
    before = server.messages()
    assert publish(server, body="") == 202
    assert server.messages() == before


@pytest.mark.parametrize("subtopic", ["/a*", "/a%20b", "/>", "/a+", "/%23", "/a//b", "/a/"])
def test_characters_that_no_subtopic_has(server, subtopic):
    assert publish(server, "/m/lab/c/data" + subtopic) == 400
    assert publish(server, "/channels/data/messages" + subtopic) == 400


def test_other_methods_and_paths(server):
    assert publish(server, method="PUT") == 500
    assert publish(server, "/m/lab/data") == 404
    assert publish(server, "/channels/data/messagesx") == 404


def test_mainflux_has_other_statuses(tmp_path):
    with DevServer(tmp_path, bootstrap_profile="mainflux") as server:
        client = server.add_config("board", "key", channels=["data"])
        server.secret = server.configs()[0]["mainflux_key"]
        path, given = "/channels/data/messages", f"Thing {server.secret}"
        assert publish(server, path, given) == 403
        server.connect(client)
        assert publish(server, path, given) == 202
        assert publish(server, path, given, kind=f"{SENML}; charset=utf-8") == 202
        assert publish(server, path, given, kind="application/json") == 415
        assert publish(server, path, "Thing wrong") == 403
        assert publish(server, "/m/lab/c/data", given) == 404
        assert [message["domain"] for message in server.messages()] == ["", ""]


def test_the_newest_stay_and_a_restart_changes_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(magistrala_state, "KEPT", 3)
    with DevServer(tmp_path) as server:
        client = server.add_config("board", "key", channels=["data"])
        server.connect(client)
        server.secret = server.configs()[0]["client_secret"]
        for number in range(5):
            assert publish(server, body=json.dumps([{"n": str(number)}])) == 202
        kept = [message["body"] for message in server.messages()]
    assert kept == [f'[{{"n": "{number}"}}]' for number in (2, 3, 4)]
    with DevServer(tmp_path) as server:
        assert [message["body"] for message in server.messages()] == kept


@pytest.fixture
def messages(tmp_path):
    """What is kept, without a server; asked counts the rows that it read."""
    db = Database(tmp_path / "messages.sqlite")
    db.asked = 0

    def counted(*words):
        rows = Database.all(db, *words)
        db.asked += len(rows)
        return rows

    db.all = counted
    yield magistrala_state.Messages(db)
    db.close()


def add(messages, body, channel="data"):
    messages.add({"id": "c", "domain": "lab"}, channel, "", SENML, body)


def test_only_the_messages_asked_for_are_read(messages):
    for channel in ("data", "other", "other"):
        add(messages, b"x", channel)
    assert len(messages.list("data")) == messages.db.asked == 1
    assert len(messages.list()) == 3
    assert messages.list("none") == []


def test_bytes_are_limited_too(messages, monkeypatch):
    monkeypatch.setattr(magistrala_state, "KEPT_BYTES", 100)
    for number in range(4):
        add(messages, b"%d" % number * 50)
    assert [message["body"][0] for message in messages.list()] == ["2", "3"]
    add(messages, b"y" * 60)
    assert [message["body"][0] for message in messages.list()] == ["y"]
    add(messages, b"z" * 101)  # never none at all
    assert [message["body"][0] for message in messages.list()] == ["z"]


def test_device_calls_are_recorded_and_disturbed(server):
    server.forget_requests()
    server.faults({"match": "/m/lab", "status": 503, "headers": {"Retry-After": "3"}})
    headers = {"Content-Type": SENML, "Authorization": f"Client {server.secret}"}
    status, found, _ = call(server, "POST", "/m/lab/c/data", headers, RECORDS)
    assert (status, found["Retry-After"]) == (503, "3")
    assert call(server, "POST", "/m/lab/c/data", headers, RECORDS)[0] == 202
    recorded = server.requests()
    assert [(r["host"], r["body"], r["status"]) for r in recorded] == [
        ("api", RECORDS, 503),
        ("api", RECORDS, 202),
    ]
    assert server.secret not in json.dumps(recorded)
