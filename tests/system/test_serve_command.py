"""``instar serve`` and the management commands as processes and as a user calls them."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
import signal
import stat
import subprocess
import sys
import time

import pytest
from calls import ARTIFACT, DEPLOYMENTS, Device, accepted
from click.testing import CliRunner

from instar_tools.cli import main
from instar_tools.server.client import Client
from instar_tools.server.testing import DevServer

ANY_PORTS = ["--port", "0", "--storage-port", "0", "--sntp-port", "0", "--bootstrap-port", "0"]


def start(data):
    ready = data / "ready.json"
    code = "from instar_tools.cli import main; main()"
    words = ["serve", "--data", data, *ANY_PORTS, "--ready-file", ready]
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        [sys.executable, "-c", code, *words], stdout=pipe, stderr=pipe, text=True
    )
    while not ready.exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    return process, json.loads(ready.read_text())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_it_is_and_stops_when_told(tmp_path, number):
    process, ready = start(tmp_path)
    try:
        with open(ready["management_token_file"]) as file:
            client = Client(ready["api"], file.read(), ready["ca"])
        assert client.devices() == []
    finally:
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, "")
    for text in (ready["api"], ready["storage"], f"{ready['sntp_port']}/udp"):
        assert text in out
    assert (tmp_path / "management-token").read_text() not in out


def test_secrets_are_readable_by_their_owner_only(tmp_path):
    with DevServer(tmp_path):
        pass
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    secrets = (
        "ca-key.pem",
        "storage-ca-key.pem",
        "jwt-key.pem",
        "management-token",
        "storage-key",
    )
    assert {modes[name] for name in secrets} == {0o600}


def test_a_second_server_on_the_port_is_told_so(tmp_path):
    with DevServer(tmp_path / "one") as server:
        result = CliRunner().invoke(
            main, ["serve", "--data", str(tmp_path / "two"), "--port", str(server.server.port)]
        )
    assert result.exit_code == 1
    assert "cannot listen" in result.output


def test_without_tls(tmp_path):
    with DevServer(tmp_path, plain=True) as server:
        assert server.url.startswith("http://")
        assert server.devices() == []


@pytest.fixture
def server(tmp_path):
    with DevServer(tmp_path) as running:
        yield running


@pytest.fixture
def instar(server):
    def run(*words, code=0):
        where = ["--server", server.url, "--data", str(server.options.data), "--json"]
        result = CliRunner().invoke(main, [*words, *where])
        assert result.exit_code == code, result.output
        return json.loads(result.output) if code == 0 else result.output

    return run


def test_a_deployment_from_the_command_line(server, instar):
    device = Device(server)
    assert device.authenticate() == 401
    (pending,) = instar("device", "list", "--status", "pending")
    instar("device", "accept", pending["id"])
    assert device.authenticate() == 200
    assert instar("device", "show", pending["id"])["status"] == "accepted"
    instar("release", "upload", str(ARTIFACT))
    assert [release["name"] for release in instar("release", "list")] == ["app-1.0"]
    created = instar("deployment", "create", "--artifact", "app-1.0", "--all")["id"]
    assert device.next()[1]["id"] == created
    device.report(created, "failure")
    entry = {"timestamp": "2026-01-02T03:04:05Z", "level": "error", "message": "no room"}
    device.call("PUT", f"{DEPLOYMENTS}/{created}/log", {"messages": [entry]})
    assert instar("deployment", "log", created) == [entry]
    shown = instar("deployment", "show", created)
    assert [found["status"] for found in shown["devices"]] == ["failure"]
    assert [found["status"] for found in shown["history"]] == ["failure"]


def test_abort_reject_and_decommission(server, instar):
    server.upload(ARTIFACT)
    device = accepted(server)
    created = instar("deployment", "create", "--artifact", "app-1.0", "--device", device.id)["id"]
    device.next()
    instar("deployment", "abort", created)
    assert device.report(created, "installing") == 409
    assert [found["status"] for found in instar("deployment", "list")] == ["finished"]
    instar("device", "reject", device.id)
    assert device.next() == (401, None)
    instar("device", "decommission", device.id)
    assert instar("device", "list") == []


def test_refusals_are_errors(server, instar):
    assert "device not found" in instar("device", "reject", "nobody", code=1)
    assert "No artifact for the deployment: 'x'" in instar(
        "deployment", "create", "--artifact", "x", "--device", "y", code=1
    )


def test_tables_are_for_people(server):
    accepted(server, "02:00:00:00:00:99")
    where = ["--server", server.url, "--data", str(server.options.data)]
    result = CliRunner().invoke(main, ["device", "list", *where], env={"COLUMNS": "200"})
    assert '{"mac": "02:00:00:00:00:99"}' in result.output
