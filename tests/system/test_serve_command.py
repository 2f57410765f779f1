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
from instar_tools.server import magistrala_keys
from instar_tools.server.client import Client
from instar_tools.server.testing import DevServer

PORTS = ("--port", "--storage-port", "--sntp-port", "--bootstrap-port", "--murano-port")
ANY_PORTS = [word for port in PORTS for word in (port, "0")]


def start(data, *more):
    ready = data / "ready.json"
    code = "from instar_tools.cli import main; main()"
    words = ["serve", "--data", data, *ANY_PORTS, *more, "--ready-file", ready]
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


def test_it_shows_its_magistrala_ports(tmp_path):
    process, ready = start(tmp_path, "--mutual-port", "0")
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=20)
    assert ready["bootstrap"].startswith("http://localhost:")
    assert ready["mutual"].startswith("https://localhost:")
    assert ready["bootstrap"] in out
    assert ready["mutual"] in out


def test_without_the_port_for_certificates(tmp_path):
    with DevServer(tmp_path, mutual_port=None) as server:
        assert "mutual" not in server.server.ready()


@pytest.mark.parametrize(
    "variables, profile, key",
    [
        ({"MG": "a", "SMQ": "b", "MF": "c"}, "clients", "a"),
        ({"SMQ": "b", "MF": "c"}, "profiles", "b"),
        ({"MG": "a", "SMQ": "b", "MF": "c"}, "mainflux", "c"),
        ({"MG": "a"}, "mainflux-0.12", None),
        ({"MG": "", "MF": "c"}, "clients", None),
    ],
)
def test_the_crypto_key_is_the_one_that_the_real_service_reads(variables, profile, key):
    environment = {f"{name}_BOOTSTRAP_ENCRYPT_KEY": text for name, text in variables.items()}
    assert magistrala_keys.from_environment(profile, environment) == key


def test_a_default_key_has_another_length_in_mainflux():
    default = "12345678910111213141516171819202"
    assert magistrala_keys.crypto_key(None, "clients") == default.encode()
    assert magistrala_keys.crypto_key(None, "mainflux") == bytes.fromhex(default)
    assert magistrala_keys.crypto_key("any", "clients") == b"any"


@pytest.mark.parametrize("key", ["v7aT0HGxJxt2gULzr3RHwf4WIf6DusPp", "00" * 15, ""])
def test_mainflux_does_not_start_with_a_key_that_aes_refuses(tmp_path, monkeypatch, key):
    with pytest.raises(ValueError, match="expected 32, 48 or 64 hexadecimal digits"):
        magistrala_keys.crypto_key(key, "mainflux")
    if key:
        monkeypatch.setenv("MF_BOOTSTRAP_ENCRYPT_KEY", key)
        words = ["serve", "--data", str(tmp_path), *ANY_PORTS, "--bootstrap-profile", "mainflux"]
        result = CliRunner().invoke(main, words)
        assert result.exit_code == 1
        assert "expected 32, 48 or 64 hexadecimal digits" in result.output
        assert key not in result.output


def test_options_that_do_not_fit(tmp_path):
    words = ["serve", "--data", str(tmp_path), *ANY_PORTS, "--plain", "--mutual-port", "0"]
    result = CliRunner().invoke(main, words)
    assert (result.exit_code, "without TLS" in result.output) == (1, True)
