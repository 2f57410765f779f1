"""The document's curl lines work as it prints them, and what real clients have sent is answered.

The product's domain is the document's. Where that name leads and whom to trust is in a curlrc;
tokens and the file that is uploaded are filled in. The long poll is printed without three quotes
and a backslash: these are there.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import http.client
import json
import os
import re
import ssl
import subprocess
import time

import pytest
from calls import VECTORS

from instar_tools.server import murano_form
from instar_tools.server.testing import DevServer

DOMAIN = "example.m2.exosite.io"
IDENTITY = "12345678"

ACTIVATE = r"""curl -i 'https://example.m2.exosite.io/provision/activate' \
    -H 'Content-Type: application/x-www-form-urlencoded; charset=utf-8' \
    -d 'id=12345678'"""
LIST = r"""curl -i 'https://example.m2.exosite.io/provision/download' \
    -H 'X-Exosite-CIK: 22596363b3de40b06f981fb85d82312e8c0ed511'"""
INFO = r"""curl -i 'https://example.m2.exosite.io/provision/download?id=splash01.png&info=true' \
    -H 'X-Exosite-CIK: 22596363b3de40b06f981fb85d82312e8c0ed511'"""
DOWNLOAD = r"""curl -i 'https://example.m2.exosite.io/provision/download?id=splash01.png' \
    -H 'X-Exosite-CIK: 22596363b3de40b06f981fb85d82312e8c0ed511'"""
PART = r"""curl -i -r 0-1023 https://example.m2.exosite.io/provision/download?id=splash01.png \
    -H 'X-Exosite-CIK: 22596363b3de40b06f981fb85d82312e8c0ed511'"""
UPLOAD = r"""curl -i -X PUT https://example.m2.exosite.io/onep:v1/content/logs/error.log?tags=%7B%22abc%22%3A123%2C%22xyz%22%3A456%7D \
    -H 'Content-Type: text/plain' \
    -H 'Content-Length: 13' \
    -H 'Content-MD5: 7naXGYTSUTihmayQVTQB3Q==' \
    -H 'X-Exosite-CIK: 0123456789012345678901234567890123456789' \
    -d @error.log"""  # noqa: E501
WRITE = r"""curl -i 'https://example.m2.exosite.io/onep:v1/stack/alias' \
    -H 'X-Exosite-CIK: 22596363b3de40b06f981fb85d82312e8c0ed511' \
    -d 'temperature=63'"""
READ = r"""curl -i 'https://example.m2.exosite.io/onep:v1/stack/alias?thermostat' \
    -H 'X-Exosite-CIK: 22596363b3de40b06f981fb85d82312e8c0ed511' \
    -H 'Accept: application/x-www-form-urlencoded; charset=utf-8'"""
READ_WRITE = r"""curl https://example.m2.exosite.io/onep:v1/stack/alias?thermostat \
    -H 'X-Exosite-CIK: 22596363b3de40b06f981fb85d82312e8c0ed511' \
    -H 'Accept: application/x-www-form-urlencoded; charset=utf-8' \
    -d 'temperature=63'"""
POLL = r"""curl https://example.m2.exosite.io/onep:v1/stack/alias?thermostat \
    -H 'X-Exosite-CIK: 22596363b3de40b06f981fb85d82312e8c0ed511' \
    -H 'Accept: application/x-www-form-urlencoded; charset=utf-8' \
    -H 'Request-Timeout: 30000' \
    -H 'If-Modified-Since: 1408088308'"""
RECORD = r"""curl https://example.m2.exosite.io/onep:v1/stack/record \
    -H 'X-Exosite-CIK: XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX' \
    -H 'Content-Type: application/x-www-form-urlencoded; charset=utf-8' \
    -d 'alias=temperature&1506708552.123=23&1506708551=22&alias=state&1506708552=on&1506708551=off&1506708550.123456=on'"""  # noqa: E501
TIMESTAMP = "curl -i https://example.m2.exosite.io/timestamp"
SPLASH = bytes(range(250)) * 93 + b"\x00" * 177


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with DevServer(tmp_path_factory.mktemp("recipes")) as running:
        resources = ["temperature", "thermostat", "state"]
        running.add_product(domain=DOMAIN, resources=resources, dates="unix", token="hex")
        running.add_content("lab", "splash01.png", SPLASH, "image/png", "Boot splash screen")
        running.add_content("lab", "MANIFEST", b"")
        yield running


@pytest.fixture
def run(server, tmp_path, program):
    """Runs a recipe in a shell; gives (status line, headers, body)."""
    program("curl", "bash")
    port = server.product("lab")["listens"]
    options = [f"connect-to = {DOMAIN}:443:127.0.0.1:{port}", f"cacert = {server.ca_bundle}"]
    (tmp_path / ".curlrc").write_text("\n".join([*options, "silent", "show-error", "include"]))
    (tmp_path / "error.log").write_bytes(b"12345678\n90123\n")  # -d leaves line ends out
    token = ""

    def shell(recipe: str) -> tuple[str, dict[str, str], bytes]:
        nonlocal token
        filled = re.sub(r"(?<=CIK: )\w{40}", token, recipe)
        done = subprocess.run(
            ["bash", "-c", filled],
            env={**os.environ, "HOME": str(tmp_path)},
            cwd=tmp_path,
            capture_output=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        if recipe == ACTIVATE:
            token = body.decode()
        return first, dict(line.split(": ", 1) for line in lines), body

    return shell


def test_the_recipes_one_after_the_other(run, server):
    first, headers, token = run(ACTIVATE)
    assert (first, headers["Content-Length"]) == ("HTTP/1.1 200 OK", "40")
    assert headers["Content-Type"] == "text/plain; charset=utf-8"
    assert (headers["Server"], headers["Connection"]) == ("Murano", "Keep-Alive")
    assert re.fullmatch(rb"[0-9a-f]{40}", token)
    assert run(ACTIVATE.replace("12345678'", "02%3A00'"))[0] == "HTTP/1.1 200 OK"
    server.reset_identity("lab", IDENTITY)
    assert run(ACTIVATE)[0] == "HTTP/1.1 200 OK"

    assert run(LIST)[2].split() == [b"MANIFEST", b"splash01.png"]
    _, headers, info = run(INFO)
    assert re.fullmatch(rb"image/png,23427,\d{10},Boot splash screen", info)
    assert headers["Content-Length"] == "45"  # as in the document
    _, headers, body = run(DOWNLOAD)
    assert (headers["Content-Length"], headers["Transfer-Encoding"]) == ("23427", "chunked")
    assert (headers["Content-Type"], body) == ("image/png", SPLASH)
    first, headers, body = run(PART)
    assert (first, body) == ("HTTP/1.1 200 OK", SPLASH[:1024])
    assert (headers["Content-Length"], headers["Accept-Ranges"]) == ("1024", "bytes")
    assert headers["Content-Range"] == "bytes 0-1023/23427"
    assert run(UPLOAD)[0] == "HTTP/1.1 204 No Content"
    upload = {"id": "logs/error.log", "type": "text/plain", "tags": {"abc": 123, "xyz": 456}}
    assert server.uploads("lab", IDENTITY) == [{**upload, "data": b"1234567890123"}]

    assert run(WRITE)[::2] == ("HTTP/1.1 204 No Content", b"")
    server.set_resource("lab", IDENTITY, "thermostat", "65")
    for recipe in (READ, READ_WRITE, POLL):
        first, headers, body = run(recipe)
        assert (first, body, headers["Content-Length"]) == (
            "HTTP/1.1 200 OK",
            b"thermostat=65",
            "13",
        )
        assert headers["Content-Type"] == "application/x-www-form-urlencoded; charset=utf-8"
    assert abs(int(headers["Last-Modified"]) - time.time()) < 60
    assert run(RECORD)[::2] == ("HTTP/1.1 204 No Content", b"")
    first, _, body = run(RECORD)
    assert (first, body.count(b"=")) == ("HTTP/1.1 409 Conflict", 5)
    assert body.startswith(b"temperature=1506708552.123&temperature=1506708551&state=")
    first, headers, body = run(TIMESTAMP)
    assert (headers["Content-Length"], len(body)) == ("10", 10)


# What real clients sent. They were recorded in front of a stand-in that knew no devices: the
# state that leads to the same answer is made before each, tokens and times are filled in.

ROWS = [
    json.loads(line)
    for line in (VECTORS / "murano-clients" / "requests.jsonl").read_text().splitlines()
]


def send(server, row, filled):
    """The recorded request, header by header: (status, headers, body). filled: other texts for
    some of its headers, and headers that it has not."""
    method, target, _ = row["request"]["line"].split()
    context = ssl.create_default_context(cafile=server.ca_bundle)
    port = server.product("lab")["listens"]
    connection = Named("127.0.0.1", port, context=context, timeout=20)
    connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
    filled = {**filled, "host": DOMAIN}
    for name, text in row["request"]["headers"]:
        connection.putheader(name, filled.pop(name.lower(), text))
    for name, text in filled.items():
        connection.putheader(name, text)
    connection.endheaders(row["request"]["body"].encode())
    answer = connection.getresponse()
    found = answer.status, answer.headers, answer.read().decode()
    connection.close()
    return found


class Named(http.client.HTTPSConnection):
    """Connects to an address, and asks for `DOMAIN` in SNI."""

    def connect(self):
        http.client.HTTPConnection.connect(self)
        self.sock = self._context.wrap_socket(self.sock, server_hostname=DOMAIN)


def rows(start):
    """The recorded requests with this in their line."""
    found = [row for row in ROWS if start in row["request"]["line"]]
    assert found
    return pytest.mark.parametrize("row", found, ids=title)


def title(row):
    return f"{row['client'][:9]} {row['request']['line'][:-9]} {row['response']['status']}"


@rows("/provision/activate")
def test_real_clients_activate(server, row):
    identity = row["request"]["body"].rpartition("=")[2]
    server.allow("lab", identity)
    server.reset_identity("lab", identity)
    if row["response"]["status"] == 409:
        send(server, row, {})
    status, _, body = send(server, row, {})
    assert status == row["response"]["status"]
    assert status == 409 or len(body) == 40


@pytest.fixture(scope="module")
def token(server):
    server.allow("lab", "000001")
    server.reset_identity("lab", "000001")
    activation = next(row for row in ROWS if row["request"]["body"] == "id=000001")
    return send(server, activation, {})[2]


@rows("POST /onep:v1/stack/alias")
def test_real_clients_write(server, token, row):
    good = row["response"]["status"] == 204
    asked = {"x-exosite-cik": token if good else token[::-1]}
    assert send(server, row, asked)[0] == row["response"]["status"]
    if "X-Exosite-CIK".lower() not in {name.lower() for name, _ in row["request"]["headers"]}:
        assert send(server, row, {})[0] == 401  # the stand-in asked nobody who he was


@rows("GET /onep:v1/stack/alias?")
def test_real_clients_read_and_poll(server, token, row):
    wanted, body = row["response"]["status"], row["response"]["body"]
    server.change_product("lab", dates="http", resources=["state", "temp", "temperature"])
    for alias, _, value in (pair.partition("=") for pair in body.split("&") if pair):
        server.set_resource("lab", "000001", alias, value)
    filled = {"x-exosite-cik": token}
    if any(name == "Request-Timeout" for name, _ in row["request"]["headers"]):
        # A value that is there already stands for one that comes while it is waited for.
        now = time.time() + (3600 if wanted == 304 else -5)
        filled["if-modified-since"] = murano_form.http_date(int(now))
        filled["request-timeout"] = "50"
    status, headers, found = send(server, row, filled)
    assert (status, found) == (wanted, body)
    if "Last-Modified" in dict(row["response"]["headers"]):
        assert headers["Last-Modified"].endswith(" GMT")


@rows("GET /timestamp")
def test_real_clients_ask_for_the_time(server, row):
    status, _, body = send(server, row, {})
    assert (status, len(body)) == (200, len(row["response"]["body"]))


def test_all_that_was_recorded_is_sent():
    words = ("/provision/activate", "POST /onep:v1/stack/alias", "GET /onep", "GET /timestamp")
    lines = [row["request"]["line"] for row in ROWS]
    assert all(any(word in line for word in words) for line in lines)
