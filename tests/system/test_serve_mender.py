"""The rules of Mender's device API that the recorded probes do not reach."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import dataclasses
import http.client
import json
import socket
import ssl

import pytest
from calls import ARTIFACT, AUTH, DEPLOYMENTS, INVENTORY, Device, accepted, call, download, offered

from instar_tools.server import answers
from instar_tools.server.client import ServerError
from instar_tools.server.testing import DevServer

NEXT_V2 = "/api/devices/v2/deployments/device/deployments/next"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """The keys are made once; each server has a state of its own."""
    return tmp_path_factory.mktemp("serve")


@pytest.fixture
def server(data):
    for old in data.glob("state.sqlite*"):
        old.unlink()
    with DevServer(data) as running:
        yield running


@pytest.fixture
def device(server):
    server.upload(ARTIFACT)
    return accepted(server)


def test_an_identity_may_be_spelt_another_way(server):
    device = accepted(server)
    respelt = f'{{\n  "mac" :"{device.mac}"}}'
    status, _, _ = call(server, "POST", AUTH, *device.auth_request(respelt))
    assert status == 200
    assert [known["identity_data"] for known in server.devices()] == [{"mac": device.mac}]


def test_a_second_key_is_pending_and_accepting_it_ends_the_first(server):
    first = accepted(server)
    second = Device(server)
    assert second.authenticate() == 401
    assert len(server.device(first.id)["auth_sets"]) == 2
    assert first.next()[0] == 204
    server.decide(first.id, "accepted")
    assert second.authenticate() == 200
    assert first.next() == (401, None)


def test_a_preauthorised_device_gets_its_token_at_once(server):
    device = Device(server)
    pubkey = json.loads(device.auth_request()[1])["pubkey"]
    server.call(
        "POST",
        "/api/management/v2/devauth/devices",
        {"identity_data": {"mac": device.mac}, "pubkey": pubkey},
    )
    assert device.authenticate() == 200


def test_an_expired_token_is_401_without_a_body(data):
    with DevServer(data, token_lifetime=0, accept_all=True) as server:
        device = Device(server, "expired")
        assert device.authenticate() == 200
        assert device.next() == (401, None)


def test_patch_adds_to_the_inventory_and_put_replaces_it(server):
    device = accepted(server)
    one, two = {"name": "a", "value": ["x"]}, {"name": "b", "value": 1.5}
    assert device.call("PUT", INVENTORY, [one]) == (200, None)
    assert device.call("PATCH", INVENTORY, [two]) == (200, None)
    assert server.inventory(device.id) == {"a": ["x"], "b": 1.5}
    assert device.call("PUT", INVENTORY, [two]) == (200, None)
    assert server.inventory(device.id) == {"b": 1.5}


def test_an_inventory_grown_over_100_attributes_is_refused_whole(server):
    device = accepted(server)
    many = [{"name": f"n{i}", "value": "v"} for i in range(100)]
    assert device.call("PATCH", INVENTORY, many)[0] == 200
    assert device.call("PATCH", INVENTORY, [{"name": "more", "value": "v"}])[0] == 400
    assert len(server.inventory(device.id)) == 100


def test_chunked_bodies_are_read(server):
    device = accepted(server)
    host = server.url.removeprefix("https://")
    context = ssl.create_default_context(cafile=server.ca_bundle)
    connection = http.client.HTTPSConnection(host, timeout=20, context=context)
    headers = {"Authorization": f"Bearer {device.token}", "Content-Type": "application/json"}
    body = iter([b'[{"name":"a",', b'"value":"b"}]'])
    connection.request("PUT", INVENTORY, body, headers, encode_chunked=True)
    assert connection.getresponse().status == 200
    connection.close()
    assert server.inventory(device.id) == {"a": "b"}


def test_v2_is_served_when_asked_for(data):
    with DevServer(data, v2=True) as server:
        device = accepted(server, "v2")
        provides = {"artifact_name": "factory", "device_type": "esp32", "other": "1"}
        body = {"device_provides": provides, "update_control_map": True}
        assert device.call("POST", NEXT_V2, body) == (204, None)
        assert device.call("POST", NEXT_V2, {})[0] == 400


def test_a_device_that_changes_in_mid_deployment_has_failed_it(server, device):
    deployment, _ = offered(server, device)
    assert device.report(deployment, "downloading") == 204
    status, body = device.next(name="app-1.0")
    assert (status, body["error"]) == (409, "Device provided conflicting request data")
    assert server.deployment(deployment)["devices"][0]["status"] == "failure"
    assert device.next() == (204, None)


def test_the_same_deployment_is_offered_until_it_is_finished(server, device):
    deployment, url = offered(server, device)
    status, again = device.next()
    assert (status, again["id"]) == (200, deployment)
    assert device.report(deployment, "success") == 204
    assert device.next("app-1.0") == (204, None)
    assert download(server, url)[2] == ARTIFACT.read_bytes()


def test_what_is_installed_already_is_not_offered_unless_forced(server, device):
    deployment = server.deploy("app-1.0", [device.id])
    assert device.next("app-1.0") == (204, None)
    assert server.deployment(deployment)["devices"][0]["status"] == "already-installed"
    assert server.statuses(deployment) == []
    forced = server.deploy("app-1.0", [device.id], force=True)
    assert device.next("app-1.0")[1]["id"] == forced


def test_a_deployment_without_an_artifact_for_this_device_type_is_over(server, device):
    deployment = server.deploy("app-1.0", [device.id])
    assert device.next(device_type="toaster") == (204, None)
    assert server.deployment(deployment)["devices"][0]["status"] == "noartifact"


def test_every_report_is_kept_in_order(server, device):
    deployment, _ = offered(server, device)
    sent = ["downloading", "downloading", "installing", "rebooting", "installing", "success"]
    assert [device.report(deployment, status) for status in sent] == [204] * 6
    assert server.statuses(deployment, device.id) == sent
    assert server.deployment(deployment)["status"] == "finished"


def test_after_an_abort_every_report_is_409(server, device):
    deployment, _ = offered(server, device)
    server.abort(deployment)
    assert [device.report(deployment, s) for s in ("installing", "failure")] == [409, 409]
    assert server.statuses(deployment) == []
    assert device.next() == (204, None)
    with pytest.raises(ServerError) as refused:
        server.abort(deployment)
    assert refused.value.status == 422


def test_a_log_is_replaced_by_the_next(server, device):
    deployment, _ = offered(server, device)
    path = f"{DEPLOYMENTS}/{deployment}/log"
    entry = {"timestamp": "2026-01-02T03:04:05.678+01:00", "level": "error", "message": "bad"}
    for text in ("one", "two"):
        assert device.call("PUT", path, {"messages": [{**entry, "message": text}]})[0] == 204
    assert server.log(deployment, device.id) == [{**entry, "message": "two"}]
    refused = device.call(
        "PUT", path, {"messages": [{**entry, "timestamp": "2026-13-02T03:04:05Z"}]}
    )
    assert refused[0] == 400
    assert device.call("PUT", f"{DEPLOYMENTS}/abc/log", {"messages": [entry]})[0] == 500


@pytest.mark.parametrize(
    "type_, status",
    [
        ("application/json; charset=utf-8", 204),
        ("text/plain", 415),
        ("application/json; charset=latin-1", 415),
    ],
)
def test_content_types(server, device, type_, status):
    headers = {"Authorization": f"Bearer {device.token}", "Content-Type": type_}
    body = json.dumps({"artifact_name": "factory", "device_type": "esp32"})
    assert call(server, "POST", f"{DEPLOYMENTS}/next", headers, body)[0] == status


def test_a_body_over_1_mib_is_413(server):
    headers, body = Device(server).auth_request()
    status, _, answer = call(server, "POST", AUTH, headers, body + " " * (1 << 20))
    assert status == 413
    assert set(json.loads(answer)) == {"error", "request_id"}


@pytest.mark.parametrize(
    "body, status",
    [
        ("[" * 100_000, 400),
        ('[{"name":"a","value":NaN}]', 400),
        ('[{"name":"a","value":' + "9" * 5000 + "}]", 400),
        ('[{"name":"\\ud800","value":"x"}]', 200),
        ('[{"name":{},"value":"x"}]', 400),
        ('["a"]', 400),
        ("null", 400),
    ],
    ids=["deep", "nan", "big", "surrogate", "object", "text", "null"],
)
def test_hostile_json_is_never_a_server_error(server, body, status):
    device = accepted(server)
    headers = {"Authorization": f"Bearer {device.token}", "Content-Type": "application/json"}
    assert call(server, "PUT", INVENTORY, headers, body)[0] == status


def test_hostile_headers_and_paths(server):
    headers, body = Device(server).auth_request()
    headers["X-MEN-Signature"] = "\xff\xfe"
    assert call(server, "POST", AUTH, headers, body)[0] == 401
    assert call(server, "GET", "/api/dev/requests", {"Authorization": "Bearer \xff"})[0] == 401
    url = f"{server.storage_url}/mender-artifact-storage/x?y&X-Amz-Signature=%C3%BC"
    assert download(server, url)[0] == 403
    raw = socket.create_connection(("127.0.0.1", server.server.storage.port), 20)
    context = ssl.create_default_context(cafile=server.ca_bundle)
    with context.wrap_socket(raw, server_hostname="localhost") as connection:
        path = b"/x?y&X-Amz-Signature=\xc3\xbc\xff"
        connection.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert connection.recv(12)[9:] in (b"403", b"400")


def test_certificates_hold_in_strict_clients(server):
    context = ssl.create_default_context(cafile=server.server.ca.pem)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    raw = socket.create_connection(("127.0.0.1", server.server.port), 20)
    with context.wrap_socket(raw, server_hostname="localhost") as connection:
        assert connection.version() in ("TLSv1.2", "TLSv1.3")


def test_an_artifact_in_use_stays(server, device):
    offered(server, device)
    (artifact,) = server.releases()
    path = f"/api/management/v1/deployments/artifacts/{artifact['id']}"
    with pytest.raises(ServerError) as refused:
        server.call("DELETE", path)
    assert refused.value.status == 409
    server.abort(server.deployments()[0]["id"])
    server.call("DELETE", path)
    assert server.releases() == []


def test_a_url_is_for_its_host_and_its_time_only(server, device):
    _, url = offered(server, device)
    assert download(server, url, {"Host": "other.example:1"})[0] == 403
    storage = server.server.storage
    artifact = server.releases()[0]
    late = storage.sign("localhost", artifact)[0].replace("X-Amz-Expires=86400", "X-Amz-Expires=0")
    resource, _, _ = late.partition("&X-Amz-Signature=")
    netloc, _, path = resource.removeprefix("https://").partition("/")
    signed = f"{resource}&X-Amz-Signature={storage._signature(netloc, '/' + path)}"
    status, headers, body = download(server, signed)
    assert (status, headers["Content-Type"]) == (403, "application/xml")
    assert b"<Code>AccessDenied</Code>" in body


def test_a_range_from_the_end(server, device):
    _, url = offered(server, device)
    status, headers, body = download(server, url, {"Range": "bytes=-10"})
    assert (status, body) == (206, ARTIFACT.read_bytes()[-10:])
    assert headers["Content-Range"].startswith("bytes 9206-9215/")


def test_the_two_ports_have_different_cas(server, device):
    _, url = offered(server, device)
    server.ca_bundle = server.server.ca.pem
    with pytest.raises(ssl.SSLCertVerificationError):
        download(server, url)


def test_the_state_survives_a_restart(data, server, device):
    deployment, url = offered(server, device)
    ports = {"port": server.server.port, "storage_port": server.server.storage.port}
    server.stop()
    with DevServer(data, **ports) as again:
        assert device.report(deployment, "success") == 204
        assert again.statuses(deployment) == ["success"]
        assert download(again, url)[0] == 200
    server.start()


def test_a_damaged_artifact_is_refused_and_leaves_nothing(server, tmp_path):
    damaged = bytearray(ARTIFACT.read_bytes())
    damaged[damaged.index(b"release 1")] ^= 1
    (tmp_path / "damaged.mender").write_bytes(damaged)
    before = set(server.server.artifacts.folder.iterdir())
    with pytest.raises(ServerError, match=r"data/0000/main.py: expected sha256") as refused:
        server.upload(tmp_path / "damaged.mender")
    assert refused.value.status == 400
    assert set(server.server.artifacts.folder.iterdir()) == before
    assert server.releases() == []


def test_management_needs_the_token(server):
    for path in ("/api/management/v2/devauth/devices", "/api/dev/requests"):
        assert call(server, "GET", path)[0] == 401
        assert call(server, "GET", path, {"Authorization": "Bearer x"})[0] == 401


def test_the_request_log_shows_no_token(server, device):
    server.forget_requests()
    device.next()
    (entry,) = server.requests()
    assert (entry["method"], entry["path"]) == ("GET", f"{DEPLOYMENTS}/next")
    assert entry["query"] == "artifact_name=factory&device_type=esp32"
    assert (entry["host"], entry["status"]) == ("api", 204)
    assert dict(entry["headers"])["Authorization"] == "Bearer ***"
    assert device.token not in json.dumps(server.requests())


def test_json_is_escaped_as_go_does():
    assert answers.go_json({"u": "a&b<c>"}) == rb'{"u":"a\u0026b\u003cc\u003e"}'


def test_options_are_those_of_the_command_line():
    from instar_tools.serve_cmd import serve
    from instar_tools.server.app import Options

    fields = {field.name for field in dataclasses.fields(Options)}
    offered_there = {parameter.name for parameter in serve.params} - {"ready_file", "hosts"}
    assert offered_there <= fields
