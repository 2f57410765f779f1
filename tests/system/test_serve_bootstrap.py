"""The Bootstrap service's device routes, version by version: statuses, bodies, framing, paths.

The statuses are those that the versions' sources and their running services show; what a
recorded service answered is in test_serve_transcript.py.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import contextlib
import http.client
import json
import socket
from urllib.parse import urlsplit

import pytest
from calls import call

from instar_tools.server.magistrala_keys import crypto_key, decrypt, encrypt
from instar_tools.server.testing import DevServer

JSON, TEXT = "application/json", "text/plain; charset=utf-8"
# profile: (prefix, what stands before the key, id, secret and channels)
VERSIONS = {
    "clients": ("clients", "Client ", ("client_id", "client_secret", "channels")),
    "mainflux": ("things", "Thing ", ("mainflux_id", "mainflux_key", "mainflux_channels")),
    "mainflux-0.12": ("things", "", ("mainflux_id", "mainflux_key", "mainflux_channels")),
    "profiles": ("clients", "Client ", ("id",)),
}


class Service:
    """A server of one version, as a device calls it."""

    def __init__(self, server: DevServer, prefix: str, word: str) -> None:
        self.server, self.word = server, word
        self.base = f"/{prefix}/bootstrap"
        self.key = crypto_key(server.options.bootstrap_key, server.options.bootstrap_profile)

    def send(self, path, key=None, method="GET"):
        headers = {} if key is None else {"Authorization": self.word + key}
        return call(self.server, method, self.base + path, headers, url=self.server.bootstrap_url)

    def secured(self, key="key"):
        return encrypt(self.key, key.encode()).hex()


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    with contextlib.ExitStack() as stack:
        running = {}
        for profile in VERSIONS:
            folder = tmp_path_factory.mktemp(profile)
            server = stack.enter_context(DevServer(folder, bootstrap_profile=profile))
            channel = {"id": "c1", "name": "first", "metadata": {"type": "data"}}
            server.add_config("board", "key", '{"a":1}', [channel, "c2"])
            running[profile] = server
        yield running


@pytest.fixture
def service(servers, request):
    """The service of a profile; "things" is the older half of the profile clients."""
    if request.param == "things":
        return Service(servers["clients"], "things", "Thing ")
    return Service(servers[request.param], *VERSIONS[request.param][:2])


ALL = ("clients", "things", "mainflux", "mainflux-0.12", "profiles")
each = pytest.mark.parametrize("service", ALL, indirect=True)

# what: the statuses in the order of ALL
REFUSED = {
    "no key": (401, 401, 401, 403, 401),
    "no id": (400, 400, 400, 400, 400),
    "unknown id": (404, 404, 404, 404, 404),
    "unknown id, secure": (404, 404, 404, 404, 404),
    "wrong key": (403, 403, 403, 404, 403),
    "secure, wrong key": (403, 403, 403, 404, 403),
    "secure, in clear": (403, 403, 403, 404, 403),
    "secure, odd hex": (403, 403, 403, 404, 403),
    "secure, 15 bytes": (403, 403, 403, 400, 403),
    "secure, 16 bytes": (403, 403, 403, 404, 403),
}


def refuse(service, what):
    sent = {
        "no key": ("/board", None),
        "no id": ("/", "key"),
        "unknown id": ("/nobody", "key"),
        "unknown id, secure": ("/secure/nobody", "garbage"),
        "wrong key": ("/board", "Key"),
        "secure, wrong key": ("/secure/board", service.secured("other")),
        "secure, in clear": ("/secure/board", "key"),
        "secure, odd hex": ("/secure/board", service.secured()[:-1]),
        "secure, 15 bytes": ("/secure/board", "00" * 15),
        "secure, 16 bytes": ("/secure/board", "00" * 16),
    }
    return service.send(*sent[what])


@pytest.mark.parametrize("what", REFUSED)
@each
def test_refusals(service, what, request):
    status, headers, body = refuse(service, what)
    version = ALL.index(request.node.callspec.params["service"])
    assert status == REFUSED[what][version], body
    fields = " ".join(sorted(json.loads(body)))
    assert body.endswith(b"}\n")
    assert fields == ("message", "error message", "error", "error", "message")[version]
    assert headers["Content-Type"] == (JSON, TEXT, TEXT, JSON, JSON)[version]


@each
def test_what_went_wrong_is_said(service):
    said = {what: refuse(service, what)[2].decode() for what in REFUSED}
    assert "missing or invalid bearer entity key" in said["no key"]
    assert "missing entity id" in said["no id"]
    assert "failed to read bootstrap configuration" in said["unknown id"]
    assert "for given external key" in said["wrong key"]
    assert "for given encrypted external key" in said["secure, in clear"]
    assert "for given external key" in said["secure, 15 bytes"]


@each
def test_the_plain_answer(service, request):
    status, headers, body = service.send("/board", "key")
    assert (status, headers["Content-Type"]) == (200, JSON)
    assert int(headers["Content-Length"]) == len(body)
    assert body.endswith(b"}\n")
    answer = json.loads(body)
    names = VERSIONS.get(request.node.callspec.params["service"], (0, 0, ()))[2]
    names = names or ("thing_id", "thing_key", "channels")
    assert list(answer) == [*names, "content"]
    assert answer["content"] == '{"a":1}'
    if len(names) == 3:
        first = {"id": "c1", "name": "first", "metadata": {"type": "data"}}
        assert answer[names[2]] == [first, {"id": "c2"}]


@each
def test_the_secure_answer_is_the_plain_one_encrypted(service, request):
    plain = service.send("/board", "key")[2]
    for hexed in (service.secured(), service.secured().upper()):
        status, headers, body = service.send("/secure/board", hexed)
        assert status == 200
        assert len(body) == 16 + len(plain) - 1
        assert decrypt(service.key, body) + b"\n" == plain
    new = request.node.callspec.params["service"] in ("clients", "profiles")
    assert headers["Content-Type"] == ("application/octet-stream" if new else JSON)


@pytest.mark.parametrize("service", ["clients", "things", "mainflux"], indirect=True)
@pytest.mark.parametrize("scheme", ["", "Bearer ", "client ", "thing ", "Client  x", "CLIENT "])
def test_the_word_before_the_key_is_taken_literally(service, scheme):
    given = {"Authorization": scheme + "key"}
    url = service.server.bootstrap_url
    status = call(service.server, "GET", service.base + "/board", given, url=url)[0]
    assert status == (403 if scheme.startswith(service.word) else 401)


@each
def test_only_get(service):
    for method in ("POST", "PUT", "DELETE", "HEAD"):
        status, _, body = service.send("/board", "key", method)
        assert (status, body) == (405, b"")


@each
def test_paths(service, request):
    raw = request.node.callspec.params["service"] in ("clients", "profiles")
    assert service.send("", "key")[0] == (400 if raw else 404)
    assert service.send("/a/b", "key")[0] == 404
    assert service.send("/secure", "key")[0] == 404  # looked up as an id
    status, headers, _ = service.send("/board/", "key")
    assert status == (404 if raw else 302)
    assert headers["Location"] == (None if raw else service.base + "/board")


@each
def test_escapes_in_the_id(service, request):
    raw = request.node.callspec.params["service"] in ("clients", "profiles")
    for mac in ("02:00:00:00:00:01", "ü 1"):
        if not any(mac == found["external_id"] for found in service.server.configs()):
            service.server.add_config(mac, "key")
    assert service.send("/02:00:00:00:00:01", "key")[0] == 200
    # This router takes a colon only as it is: Go would not have escaped it.
    assert service.send("/02%3A00%3A00%3A00%3A00%3A01", "key")[0] == (404 if raw else 200)
    assert service.send("/%C3%BC%201", "key")[0] == 200
    assert service.send("/%c3%bc%201", "key")[0] == (404 if raw else 200)
    assert service.send("/BOARD", "key")[0] == 404


def test_a_service_of_the_other_name_is_not_there(servers):
    for profile, prefix in (("mainflux", "clients"), ("profiles", "things")):
        server = servers[profile]
        status = call(server, "GET", f"/{prefix}/bootstrap/board", url=server.bootstrap_url)[0]
        assert status == 404


@pytest.mark.parametrize("length, chunked", [(2048, False), (2049, True), (20000, True)])
def test_beyond_2048_bytes_it_comes_in_chunks(servers, length, chunked):
    service = Service(servers["clients"], "clients", "Client ")
    identity = f"large-{length}"
    client = service.server.add_config(identity, "key", "x")
    empty = len(service.send(f"/{identity}", "key")[2]) - 1
    service.server.update_config(client, content="x" * (length - empty))
    status, headers, body = service.send(f"/{identity}", "key")
    assert (status, len(body)) == (200, length)
    assert headers["Transfer-Encoding"] == ("chunked" if chunked else None)
    assert headers["Content-Length"] == (None if chunked else str(length))
    _, headers, body = service.send(f"/secure/{identity}", service.secured())
    assert (headers["Transfer-Encoding"], len(body)) == ("chunked", length + 15)


def test_http_1_0_gets_a_large_answer_until_the_connection_closes(servers):
    server = servers["clients"]
    server.add_config("old", "key", "y" * 3000)
    parts = urlsplit(server.bootstrap_url)
    request = "GET /clients/bootstrap/old HTTP/1.0\r\nAuthorization: Client key\r\n\r\n"
    with socket.create_connection((parts.hostname, parts.port), timeout=20) as s:
        s.sendall(request.encode())
        answer = b"".join(iter(lambda: s.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"length" not in head.lower()
    assert b"chunked" not in head.lower()
    assert json.loads(body)["content"] == "y" * 3000


def test_a_disabled_enrolment_is_an_error_without_a_body(servers):
    server = servers["profiles"]
    client = server.add_config("off", "key", "{}")
    service = Service(server, "clients", "Client ")
    server.connect(client, 0)
    assert service.send("/off", "key")[::2] == (500, b"")
    server.connect(client, 1)
    assert service.send("/off", "key")[0] == 200


def test_an_inactive_client_bootstraps_in_the_other_versions(servers):
    found = servers["clients"].configs()
    assert found[0]["state"] == 0
    assert Service(servers["clients"], "clients", "Client ").send("/board", "key")[0] == 200


def test_certificates_come_last_and_go_escapes_are_used(servers):
    server = servers["clients"]
    certs = {"client_cert": "C", "client_key": "K", "ca_cert": "A"}
    server.add_config("certs", "key", "<&>\u2028ü", **certs)
    body = Service(server, "clients", "Client ").send("/certs", "key")[2].decode()
    assert body.endswith(
        '"channels":null,"content":"\\u003c\\u0026\\u003e\\u2028ü",'
        '"client_cert":"C","client_key":"K","ca_cert":"A"}\n'
    )


def test_a_key_of_a_wrong_length_refuses_every_secure_request(tmp_path):
    with DevServer(tmp_path, bootstrap_key="x" * 50) as server:
        server.add_config("board", "key")
        service = Service(server, "things", "Thing ")
        assert service.send("/board", "key")[0] == 200
        status, _, body = service.send("/secure/board", "00" * 20)
        assert status == 403
        assert json.loads(body)["error"] == "crypto/aes: invalid key size 50"
        assert service.send("/secure/nobody", "00" * 20)[0] == 404


def test_the_same_answers_on_the_api_port(servers):
    server = servers["clients"]
    headers = {"Authorization": "Client key"}
    assert call(server, "GET", "/clients/bootstrap/board", headers)[0] == 200
    assert call(server, "GET", "/clients/bootstrap/nobody", headers)[0] == 404


def test_requests_are_recorded_masked_and_faults_strike(servers):
    server = servers["mainflux-0.12"]
    service = Service(server, "things", "")
    server.forget_requests()
    server.faults({"match": "bootstrap/board", "status": 503})
    assert [service.send("/board", key)[0] for key in ("key", "two words")] == [503, 404]
    recorded = server.requests()
    assert [(r["host"], r["status"]) for r in recorded] == [("bootstrap", 503), ("bootstrap", 404)]
    given = [dict(map(tuple, r["headers"]))["Authorization"] for r in recorded]
    assert given == ["***", "***"]


def test_a_large_answer_can_be_cut(servers):
    server = servers["clients"]
    server.add_config("cut", "key", "z" * 5000)
    server.faults({"match": "bootstrap/cut", "cut": 100})
    with pytest.raises(http.client.IncompleteRead) as cut:
        Service(server, "clients", "Client ").send("/cut", "key")
    assert len(cut.value.partial) == 100
