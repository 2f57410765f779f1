"""``instar product`` and ``instar serve --murano-...`` as a user calls them."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
import re

import pytest
from click.testing import CliRunner
from murano_calls import CONTENT, DOWNLOAD, Device, activated
from test_serve_command import start

from instar_tools.cli import main
from instar_tools.server.testing import DevServer


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with DevServer(tmp_path_factory.mktemp("murano"), murano_port=0) as running:
        yield running


@pytest.fixture
def instar(server):
    def run(*words, code=0, text=False, given=None):
        where = ["--server", server.url, "--data", str(server.options.data)]
        where += [] if text else ["--json"]
        environment = {"COLUMNS": "200"}
        result = CliRunner().invoke(main, ["product", *words, *where], given, environment)
        assert result.exit_code == code, result.output
        return result.output if code or text else json.loads(result.output)

    return run


def test_a_product_from_the_command_line(server, instar):
    words = ["--whitelist", "--resource", "pace", "--quirk", "range_status=206"]
    url = instar("add", "fleet", *words, "--quirk", "dates=unix", "--domain", "fleet.local")["url"]
    assert re.fullmatch(r"https://fleet\.local:\d+", url)
    assert [found["name"] for found in instar("list")] == ["lab", "fleet"]
    shown = instar("show", "fleet")
    assert (shown["range_status"], shown["dates"], shown["resources"]) == (206, "unix", ["pace"])
    assert (shown["whitelist"], shown["identities"]) == (True, [])
    (changed,) = instar("change", "fleet", "--no-whitelist", "--quirk", "close=true")
    assert (changed["whitelist"], changed["close"], changed["dates"]) == (False, True, "unix")
    (defined,) = instar("define", "fleet", "note", "pace")
    assert defined["resources"] == ["pace", "note"]


def test_a_device_s_resources(server, instar):
    assert instar("allow", "lab", "02:01", "02:02")[0] == {
        "identity": "02:01",
        "state": "whitelisted",
    }
    device = activated(server, identity="02%3A01")
    assert device.record("alias=otau_in&1506708552.123=x&-5=y")[0] == 204
    first, second = instar("history", "lab", "02:01", "otau_in")
    assert first == {"time": "1506708552.123000", "value": "x"}
    assert second["value"] == "y"
    assert instar("set", "lab", "02:01", "config_otau", '{"version":"2"}') == {
        "config_otau": '{"version":"2"}'
    }
    instar("set", "lab", "02:01", "inventory", "-", given="from a file\n")
    assert instar("get", "lab", "02:01")["inventory"] == "from a file\n"
    assert instar("get", "lab", "02:01", "otau_in", text=True) == "y\n"
    assert "02:02 has no value" in instar("get", "lab", "02:02", "otau_in", code=1)
    states = {found["identity"]: found["state"] for found in instar("reset", "lab", "02:01")}
    assert states["02:01"] == "whitelisted"
    assert device.write("otau_in=z") == 401


def test_content_and_uploads(server, instar, tmp_path):
    (tmp_path / "fw.bin").write_bytes(b"firmware")
    assert instar("content", "add", "lab", str(tmp_path / "fw.bin")) == {"id": "fw.bin"}
    instar("content", "add", "lab", str(tmp_path / "fw.bin"), "--id", "a/b", "--type", "x/y")
    listed = instar("content", "list", "lab")
    assert [(found["id"], found["type"], found["size"]) for found in listed] == [
        ("a/b", "x/y", 8),
        ("fw.bin", "application/octet-stream", 8),
    ]
    instar("content", "remove", "lab", "a/b")
    device = activated(server, identity="uploader")
    assert device.call("GET", DOWNLOAD)[2] == b"fw.bin"
    for id in ("logs/a.log", "..%2F..%2Fb.log"):
        assert device.call("PUT", CONTENT + id, "line", Content_Type="text/plain")[0] == 204
    found = instar("uploads", "lab", "uploader", "--to", str(tmp_path / "out" / "in"))
    assert {upload["size"] for upload in found} == {4}
    written = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert sorted(path.name for path in written) == ["a.log", "b.log"]
    assert not (tmp_path / "b.log").exists()
    assert [upload["size"] for upload in instar("uploads", "lab", "uploader")] == [4, 4]


def test_tables_are_for_people(server, instar):
    activated(server, identity="seen")
    assert server.product("lab")["url"] in instar("list", text=True)
    assert re.search(r"seen +│ provisioned", instar("allow", "lab", "seen", text=True))


def test_refusals_are_errors_in_words(instar):
    assert "'nix' not found" in instar("show", "nix", code=1)
    assert "lengths: expected one of both, length, chunked, got 'none'" in instar(
        "change", "lab", "--quirk", "lengths=none", code=1
    )
    assert "identity 'nobody' not found" in instar(
        "set", "lab", "nobody", "inventory", "1", code=1
    )
    assert "expected NAME=VALUE" in instar("change", "lab", "--quirk", "close", code=2)
    assert "already exists" in instar("add", "lab", code=1)


def test_serve_has_a_first_product(tmp_path):
    process, ready = start(tmp_path, "--murano-auth", "certificate")
    process.terminate()
    out, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, "")
    assert ready["murano"]["lab"] in out
    (tmp_path / "ready.json").unlink()
    process, again = start(tmp_path, "--murano-domain", "board.local")
    process.terminate()
    process.communicate(timeout=20)
    assert again["murano"]["lab"].startswith("https://board.local:")
    words = ["serve", "--data", str(tmp_path), "--murano-auth", "token"]
    result = CliRunner().invoke(main, words)
    assert (result.exit_code, "auth certificate, not token" in result.output) == (1, True)


def test_a_server_without_tls_serves_murano_without(tmp_path):
    with DevServer(tmp_path, plain=True, murano_port=0) as server:
        assert server.add_product("more").startswith("http://localhost:")
        assert Device(server).activate() == 200
