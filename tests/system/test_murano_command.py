"""`instar murano` against the development server: what it does, shows and keeps to itself."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from instar_tools.cli import main
from instar_tools.murano_options import read_private_key
from instar_tools.murano_trace import Trace
from instar_tools.server.testing import DevServer

RESOURCES = ("temperature", "thermostat")
PASSWORD = "a password of 20 & more"
TOKEN = re.compile(r"\b[A-Za-z0-9]{40}\b")


class Device:
    """The command, as one device of one product. No output has a secret, if not asked for."""

    def __init__(self, server, folder, product):
        self.server, self.product = server, product
        self.url = server.product(product)["url"]
        self.id = f"02:{secrets.token_hex(5)}"
        self.state = folder / "state"
        self.env = {"INSTAR_MURANO_URL": self.url, "INSTAR_MURANO_IDENTITY": self.id}
        self.env |= {"XDG_STATE_HOME": str(folder / "home")}
        self.options = ["--state", self.state, "--ca", server.ca_bundle]

    def run(self, *words, options=(), code=0, stdin=None, secret=False):
        words = ["murano", *self.options, *options, *words]
        done = CliRunner().invoke(main, [str(word) for word in words], stdin, self.env)
        assert done.exit_code == code, (done.output, done.exception)
        assert secret or not TOKEN.search(done.output)
        for text in (PASSWORD, "a%20password", "bm90IHRob3VnaHQ"):
            assert text not in done.output
        return done

    def start(self, *words, **env):
        """The same as a process of its own, which goes on."""
        program = [sys.executable, "-c", "from instar_tools.cli import main; main()", "murano"]
        return subprocess.Popen(
            [*program, *map(str, [*self.options, *words])],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **self.env, **env},
        )

    def json(self, *words, **more):
        lines = self.run(*words, options=["--json"], **more).stdout.splitlines()
        return json.loads(lines[0]) if len(lines) == 1 else [json.loads(line) for line in lines]

    def resources(self):
        return self.server.resources(self.product, self.id)


@pytest.fixture(scope="module")
def products(tmp_path_factory):
    with DevServer(tmp_path_factory.mktemp("server")) as server:
        for auth in ("token", "password", "certificate"):
            server.add_product(auth, auth=auth, resources=RESOURCES)
        server.add_product("closed", auth="token", whitelist=True)
        server.add_content("token", "a/splash 1.png", b"0123456789" * 5000, "image/png", "On, off")
        yield server


@pytest.fixture
def device(products, tmp_path):
    return Device(products, tmp_path, "token")


# Credentials


def test_the_token_is_kept_as_a_board_keeps_it(device):
    shown = device.json("activate")
    assert shown == {"identity": device.id, "state": str(device.state)}
    (record,) = device.state.iterdir()
    assert record.name.startswith("murano-") and record.stat().st_mode & 0o077 == 0
    assert device.state.stat().st_mode & 0o077 == 0
    assert TOKEN.search(record.read_bytes().decode("latin-1"))
    device.server.forget_requests()
    assert device.run("write", "temperature=23.5").stdout == "written\n"
    assert [one["path"] for one in device.server.requests()] == ["/onep:v1/stack/alias"]


def test_the_token_is_shown_when_asked_for(device):
    done = device.run("activate", options=["--show-token"], secret=True)
    (token,) = TOKEN.findall(done.stdout)
    device.env |= {"INSTAR_MURANO_TOKEN": token}
    device.options[1] = device.state.with_name("another")  # where it is not kept
    assert device.json("read", "thermostat") == {}


def test_a_new_token_takes_the_place_of_the_old_one(device):
    device.run("activate")
    (record,) = device.state.iterdir()
    before = record.read_bytes()
    device.run("reprovision")
    assert record.read_bytes() != before
    device.run("write", "temperature=1")
    record.write_bytes(before)
    assert "reset the identity" in device.run("write", "temperature=2", code=1).stderr


def test_without_a_folder_each_identity_has_one_of_its_own(device, tmp_path):
    device.options = device.options[2:]
    device.run("activate")
    domain = device.url.partition("//")[2].replace(":", "%3A")
    (record,) = (
        tmp_path / "home/instar/murano" / domain / device.id.replace(":", "%3A")
    ).iterdir()
    assert record.name.startswith("murano-")


def test_no_identity_leads_out_of_the_folder(device, tmp_path):
    device.options, device.id = device.options[2:], ".."
    device.env["INSTAR_MURANO_IDENTITY"] = ".."
    device.run("activate")
    (record,) = (tmp_path / "home/instar/murano").rglob("murano-*")
    assert record.parent.name == "-"


def test_a_password_from_the_environment(products, tmp_path):
    device = Device(products, tmp_path, "password")
    device.options += ["--auth", "password", "-v"]
    device.env["INSTAR_MURANO_PASSWORD"] = PASSWORD
    done = device.run("write", "thermostat=7")
    assert "&password=a%20… (" in done.stderr
    assert "Authorization: Basic MDI6… (" in done.stderr
    assert device.resources() == {"thermostat": "7"}


def test_a_password_that_the_board_made_and_one_that_is_asked_for(products, tmp_path):
    device = Device(products, tmp_path, "password")
    device.options += ["--auth", "password"]
    device.run("write", "thermostat=8")
    device.run("reprovision")
    assert device.json("read", "thermostat") == {"thermostat": "8"}
    other = Device(products, tmp_path / "other", "password")
    other.options += ["--auth", "password", "--ask"]
    other.run("write", "thermostat=9", stdin=f"{PASSWORD}\n")
    other.options[1] = tmp_path / "third"
    other.run("write", "thermostat=9", stdin="not the password of it\n", code=1)


def certificate_of(device, folder, name):
    """Files of a new certificate and its key."""
    cert, key = folder / f"{name}.crt", folder / f"{name}.key"
    for path, text in zip((cert, key), device.server.issue_certificate(device.id), strict=True):
        path.write_text(text)
    return cert, key


def with_certificate(server, folder):
    device = Device(server, folder, "certificate")
    cert, key = certificate_of(device, folder, "one")
    device.options += ["--auth", "certificate", "--cert", cert, "--key", key]
    return device


def test_a_certificate_and_its_successor(products, tmp_path):
    device = with_certificate(products, tmp_path)
    device.run("write", "thermostat=1")
    cert, key = certificate_of(device, tmp_path, "two")
    device.run("reprovision", "--new-cert", cert, "--new-key", key)
    device.run("write", "thermostat=2")
    assert device.resources() == {"thermostat": "2"}
    device.run("reprovision", code=2)


# Data


def test_values_arrive_as_they_were_written(device):
    text = "a & b=c %é+\n"
    device.run("write", "temperature=-1e3", f"thermostat={text}")
    assert device.resources() == {"temperature": "-1e3", "thermostat": text}
    assert device.json("read", "thermostat", "unknown") == {"thermostat": text}
    done = device.run("read", "thermostat", "unknown")
    assert done.stdout == "thermostat=a & b=c %é+\\n\n"
    assert done.stderr == "unknown: no value, or no such resource\n"
    assert device.json("read-write", "temperature=5", "temperature") == {"temperature": "5"}


def test_records_of_one_and_of_many(device):
    device.run("activate")
    assert device.json("record", "temperature", "5", "--time", "1506708552.123456") == {
        "recorded": 1,
        "conflicts": [],
    }
    rows = 'temperature,1506708551,22\n\nthermostat,1506708550.5,"on, off"\n'
    assert device.json("record", stdin=rows)["recorded"] == 2
    history = device.server.history("token", device.id, "temperature")
    assert history == [[1506708551000000, "22"], [1506708552123456, "5"]]
    (found,) = device.server.history("token", device.id, "thermostat")
    assert found == [1506708550500000, "on, off"]
    done = device.run("record", stdin=rows + "temperature,1506708553,1\n", code=1)
    assert done.stdout == "recorded: 1\n"
    assert "temperature at 1506708551, thermostat at 1506708550.5" in done.stderr


def test_a_thousand_records_go_in_batches(device):
    rows = "".join(f"temperature,{1506708552 + i},{i}\n" for i in range(1000))
    assert device.json("record", stdin=rows) == {"recorded": 1000, "conflicts": []}
    history = device.server.history("token", device.id, "temperature")
    assert [value for _, value in history] == [str(i) for i in range(1000)]
    sent = [one for one in device.server.requests() if one["path"].endswith("/record")]
    assert len(sent) >= 5


def test_what_was_recorded_before_an_error_is_told(device):
    device.run("record", "temperature", "x", "--time", "1506708562")
    rows = "".join(f"temperature,{1506708552 + i},{i}\n" for i in range(500))
    path = "POST /onep:v1/stack/record"
    device.server.faults({"match": path, "skip": 2, "status": 503})
    done = device.run("record", stdin=rows, code=3)
    assert done.stdout == "recorded: 399\n"
    conflict, error = done.stderr.splitlines()
    assert "temperature at 1506708562" in conflict and "503" in error
    device.server.faults({"match": path, "status": 503})
    shown = device.run("record", stdin=rows, code=3, options=["--json"]).stdout
    assert json.loads(shown) == {"recorded": 0, "conflicts": []}


@pytest.mark.parametrize("rows", ["temperature,now,1\n", "temperature,1\n", "t,1e30,1\n", 'a,"'])
def test_a_bad_csv_is_told_before_anything_is_sent(device, rows):
    device.server.forget_requests()
    device.run("record", stdin="temperature,1506708552,1\n" + rows, code=2)
    assert device.server.requests() == []


def test_the_time_needs_nothing(device):
    del device.env["INSTAR_MURANO_IDENTITY"]
    device.server.forget_requests()
    assert device.json("timestamp")["timestamp"] > 1_700_000_000
    (request,) = device.server.requests()
    assert not {"x-exosite-cik", "authorization"} & {
        name.lower() for name, _ in request["headers"]
    }


# Waiting


def test_waiting_for_a_value(device):
    device.run("write", "thermostat=1")
    (stamp, _), *_ = device.server.history("token", device.id, "thermostat")
    found = device.json("wait", "thermostat", "--since", stamp // 10**6 - 1)
    assert (found["alias"], found["value"]) == ("thermostat", "1") and found["modified"]
    done = device.run("wait", "temperature", "--seconds", "1")
    assert (done.stdout, done.stderr) == ("", "no new value within 1 s\n")
    assert "defines none" in device.run("wait", "unknown", "--seconds", "1", code=1).stderr


def test_values_come_out_as_they_come_in_over_an_outage(device):
    device.run("write", "thermostat=1")
    following = device.start("--json", "wait", "thermostat", "--follow")
    with following:
        try:
            assert json.loads(following.stdout.readline())["value"] == "1"
            device.server.faults({"match": "GET /onep:v1/stack/alias", "status": 500})
            for value in ("2", "3"):
                device.server.set_resource("token", device.id, "thermostat", value)
                found = json.loads(following.stdout.readline())
                assert found == {"alias": "thermostat", "value": value}
        finally:
            following.send_signal(signal.SIGINT)
        complaints = following.stderr.read()
    assert following.returncode == 0
    assert b"500" in complaints and b"; the next try in " in complaints


@pytest.mark.parametrize("empty", ["absent", "sent"])
def test_a_value_that_is_emptied_and_written_again_comes_again(products, tmp_path, empty):
    product = f"empty-{empty}"
    products.add_product(product, auth="token", resources=RESOURCES, empty=empty)
    device = Device(products, tmp_path, product)
    device.run("write", "thermostat=5")
    ((stamp, _),) = products.history(product, device.id, "thermostat")
    products.forget_requests()
    with device.start("--json", "wait", "thermostat", "--follow") as following:
        try:
            assert json.loads(following.stdout.readline())["value"] == "5"
            products.set_resource(product, device.id, "thermostat", "")
            if empty == "sent":
                assert json.loads(following.stdout.readline())["value"] == ""
            while empty == "absent" and 204 not in [one["status"] for one in products.requests()]:
                time.sleep(0.02)
            while time.time() < stamp // 10**6 + 1:  # else it could be the first one still
                time.sleep(0.02)
            products.set_resource(product, device.id, "thermostat", "5")
            assert json.loads(following.stdout.readline())["value"] == "5"
        finally:
            following.send_signal(signal.SIGINT)
    assert following.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_whatever_ends_it_no_board_goes_on_and_no_key_is_left(products, tmp_path, number):
    device, scratch = with_certificate(products, tmp_path), tmp_path / "scratch"
    scratch.mkdir()
    key = read_private_key(tmp_path / "one.key")
    device.run("write", "thermostat=1")
    with device.start("wait", "thermostat", "--follow", TMPDIR=str(scratch)) as following:
        assert following.stdout.readline() == b"1\n"
        (board,) = Path(f"/proc/{following.pid}/task/{following.pid}/children").read_text().split()
        files = [path.read_bytes() for path in scratch.rglob("*") if path.is_file()]
        following.send_signal(number)
    assert following.returncode == (-9 if number == signal.SIGKILL else 128 + number)
    assert files and not any(key in data for data in files)
    assert number == signal.SIGKILL or not list(scratch.iterdir())
    end = time.monotonic() + 30
    while runs(board) and time.monotonic() < end:
        time.sleep(0.02)
    assert not runs(board)


def runs(pid):
    try:  # of one that has ended, and that nobody has asked about, it is empty
        return Path(f"/proc/{pid}/cmdline").read_bytes() != b""
    except (FileNotFoundError, ProcessLookupError):
        return False


# Content


def test_what_there_is(device):
    assert device.json("content", "list") == ["a/splash 1.png"]
    assert device.run("content", "list").stdout == "a/splash 1.png\n"
    about = device.json("content", "info", "a/splash 1.png")
    assert about.pop("updated").isdigit()
    assert about == {
        "id": "a/splash 1.png",
        "type": "image/png",
        "size": 50000,
        "description": "On, off",
    }
    device.run("content", "info", "unknown", code=1)


@pytest.mark.parametrize(
    "span, expected",
    [
        (None, slice(None)),
        ("0-9", slice(10)),
        ("49990-", slice(49990, None)),
        ("-7", slice(-7, None)),
    ],
)
def test_a_download(device, tmp_path, span, expected):
    path, data = tmp_path / "splash.png", b"0123456789" * 5000
    words = ["--range", span] if span else []
    found = device.json("content", "get", "a/splash 1.png", "-o", path, *words)
    assert path.read_bytes() == data[expected]
    assert found["bytes"] == len(data[expected])
    assert found["sha256"] == hashlib.sha256(data[expected]).hexdigest()
    assert (
        device.run("content", "get", "a/splash 1.png", "-o", "-", *words).stdout_bytes
        == data[expected]
    )


def test_a_download_that_fails_leaves_the_old_file(device, tmp_path):
    path = tmp_path / "unknown.png"
    path.write_bytes(b"old")
    device.run("content", "get", "unknown.png", "-o", path, code=1)
    assert path.read_bytes() == b"old"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["state", "unknown.png"]


def test_an_upload(device, tmp_path):
    path = tmp_path / "error.log"
    path.write_bytes(bytes(range(256)) * 300)
    tags = ["--tag", "abc=123", "--tag", "name=x y"]
    words = ["content", "put", "logs/error.log", path, "--type", "text/plain", *tags]
    assert "* 76800 bytes in all\n" in device.run(*words, options=["-v"]).stderr
    (found,) = device.server.uploads("token", device.id)
    assert (found["id"], found["type"]) == ("logs/error.log", "text/plain")
    assert found["tags"] == {"abc": 123, "name": "x y"}
    assert found["data"] == path.read_bytes()


# What is shown of requests and answers


def test_requests_and_answers_are_shown_without_secrets(device):
    shown = device.run("write", "thermostat=a b", options=["-v"]).stderr.splitlines()
    activation = shown.index("> POST /provision/activate HTTP/1.1")
    assert shown[0].startswith("* connecting to localhost, port ")
    assert f"> id={device.id.replace(':', '%3A')}" in shown
    assert "< (40 bytes that are secret)" in shown[activation:]
    assert any(re.fullmatch(r"> X-Exosite-CIK: .{4}… \(40 characters\)", line) for line in shown)
    assert "> thermostat=a%20b" in shown and "< HTTP/1.1 204 No Content" in shown
    assert shown[-1] == "* closed"


def trace(*taken, secrets=()):
    shown = []
    one = Trace(secrets, shown.append)
    for what, value in taken:
        one.take(what, value.encode().hex() if isinstance(value, str) else value)
    return shown


def test_no_trace_of_a_secret():
    token = "97eWgtm9Et5VxwuJT8NiOK7w27Ly2GS092oSxgpW"
    basic = "MTIzOnNlY3JldCBvZiAyMCBsZXR0ZXJz"  # 123:secret of 20 letters
    shown = trace(
        ("request", f"GET /a?b HTTP/1.1\r\nX-Exosite-CIK: {token}\r\n\r\n"),
        ("head", "HTTP/1.1 500 No"),
        ("body", f"you sent {token} and a-known-one\n\x1b[2J"),
        ("request", f"GET / HTTP/1.1\r\nAuthorization: Basic {basic}\r\n\r\n"),
        ("body", f"{basic} is secret of 20 letters"),
        ("request", "POST /provision/activate HTTP/1.1\r\n\r\n"),
        ("sent", "id=1&password=x%20of%20twenty%20letters"),
        ("head", "HTTP/1.1 204 OK"),
        ("rest", 5000),
        secrets=["a-known-one"],
    )
    text = "\n".join(shown)
    for secret in (token, "known-one", basic, "of 20 letters", "twenty", "\x1b"):
        assert secret not in text
    assert "> Authorization: Basic MTIz… (32 characters)" in shown
    assert shown[3:6] == ["< HTTP/1.1 500 No", "< you sent **** and ****", "< \\x1b[2J"]
    assert shown[-1] == "* 5000 bytes in all"


# How it ends


def test_who_is_not_whitelisted_is_told_what_to_do(products, tmp_path):
    device = Device(products, tmp_path, "closed")
    assert "whitelist" in device.run("activate", code=1).stderr
    products.allow("closed", device.id)
    device.run("activate")


def test_nobody_answers(device):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    device.env["INSTAR_MURANO_URL"] = f"https://localhost:{port}"
    assert "Error: no answer: localhost:" in device.run("timestamp", code=3).stderr


def test_a_certificate_that_is_not_trusted(device, tmp_path):
    other, _ = device.server.issue_certificate("other")
    (tmp_path / "other.pem").write_text(other)
    device.options[3] = tmp_path / "other.pem"
    assert "certificate refused" in device.run("timestamp", code=3).stderr


@pytest.mark.parametrize(
    "words, expected",
    [
        (["write", "temperature"], "expected ALIAS=VALUE"),
        (["read-write", "temperature=1"], "one ALIAS to read"),
        (["record", "temperature"], "expected ALIAS VALUE"),
        (["record", "temperature", "1", "--time", "soon"], "expected seconds since 1970"),
        (["record", "temperature", "1", "--time", "1.1234567"], "up to six decimals"),
        (["wait", "temperature", "--seconds", "301"], "1<=x<=300"),
        (["wait", "temperature", "--follow", "--since", "1"], "not with --since"),
        (["content", "get", "x", "--range", "5-1"], "no less than the first"),
        (["content", "get", "x", "-o", "/nowhere/x"], "expected a file in a folder"),
        (["--auth", "certificate", "activate"], "needs --cert and --key"),
        (["--url", "http://localhost:1", "timestamp"], "plain http"),
        (["--url", "ftp://localhost:1", "timestamp"], "expected an http(s) URL"),
        (["--url", "", "timestamp"], "expected --url"),
        (["--identity", "", "activate"], "expected --identity"),
        (["write", "temperature=\udcff"], "expected text in UTF-8"),
    ],
)
def test_wrong_usage(device, words, expected):
    device.server.forget_requests()
    assert expected in device.run(*words, code=2).stderr
    assert device.server.requests() == []


def test_an_https_url_needs_a_ca(device):
    del device.options[2:4]
    assert "needs --ca" in device.run("timestamp", code=2).stderr


def test_a_value_that_is_too_large_is_not_sent(device):
    device.run("activate")
    device.server.forget_requests()
    assert "65536" in device.run("write", "thermostat=" + "x" * 65537, code=1).stderr
    assert device.server.requests() == []
    device.run("write", "thermostat=" + "x" * 65536)
    assert len(device.json("read", "thermostat")["thermostat"]) == 65536
