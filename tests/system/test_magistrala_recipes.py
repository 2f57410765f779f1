"""The curl lines of Magistrala's documentation work against ``instar serve`` as it prints them.

Only what stands in <> is filled in, and the port is the one that was free. The documentation's
two Go programs, which encrypt the external key and decrypt the answer, are `magistrala_keys`
here. View, update and remove are not printed there; they are written in the same way.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from urllib.parse import urlsplit

import pytest

from instar_tools.server.magistrala_keys import decrypt, encrypt

CLIENT = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
CRYPTO_KEY = "v7aT0HGxJxt2gULzr3RHwf4WIf6DusPp"

CREATE = r"""curl -s -S -i -X POST -H "Authorization: Bearer <user_token>" -H "Content-Type: application/json" http://localhost:9013/<domain_id>/clients/configs -d '{
  "external_id": "string",
  "external_key": "string",
  "client_id": "3fa85f64-5717-4562-b3fc-2c963f66afa6",
  "channels": [
    "3fa85f64-5717-4562-b3fc-2c963f66afa6"
  ],
  "content": "string",
  "name": "string",
  "client_cert": "string",
  "client_key": "string",
  "ca_cert": "string"
}'"""  # noqa: E501
BOOTSTRAP = r"""curl -s -S -i -H "Authorization: Client <external_key>" http://localhost:9013/clients/bootstrap/<external_id>"""
STATE = r"""curl -s -S -i -X PUT -H "Authorization: Bearer <user_token>" -H "Content-Type: application/json" http://localhost:9013/<domain-id>/clients/state/<client_id> -d '{"state": 1}'"""  # noqa: E501
SECURE = r"""curl --location 'http://localhost:9013/clients/bootstrap/secure/<external_id>' \
--header 'Accept: application/json' \
--header 'authorization: Client <encyrpted_external_key>' --output -"""
SECURE_TO_FILE = r"""curl --location 'http://localhost:9013/clients/bootstrap/secure/<external_id>' \
--header 'Accept: application/json' \
--header 'authorization: Client <encyrpted_external_key>' --output ~/<desired\>/<path\>/<file_name.txt>"""  # noqa: E501

MANAGE = 'curl -s -S -i -H "Authorization: Bearer <user_token>"'
CONFIG = "http://localhost:9013/<domain_id>/clients/configs/<client_id>"
VIEW = f"{MANAGE} {CONFIG}"
REMOVE = f"{MANAGE} -X DELETE {CONFIG}"
UPDATE = f"""{MANAGE} -X PUT -H "Content-Type: application/json" {CONFIG} -d '{{
  "name": "renamed", "content": "changed"
}}'"""


@pytest.fixture
def run(tmp_path, program):
    """Runs a recipe in a shell, against an ``instar serve`` of its own; gives what it printed."""
    program("curl")
    ready = tmp_path / "ready.json"
    code = "from instar_tools.cli import main; main()"
    ports = ("--port", "--storage-port", "--sntp-port", "--bootstrap-port", "--murano-port")
    words = ["serve", "--data", tmp_path, "--ready-file", ready]
    words += [word for port in ports for word in (port, "0")]
    environment = {**os.environ, "MG_BOOTSTRAP_ENCRYPT_KEY": CRYPTO_KEY, "HOME": str(tmp_path)}
    process = subprocess.Popen(
        [sys.executable, "-c", code, *words], env=environment, stdout=subprocess.DEVNULL
    )
    try:
        while not ready.exists():
            assert process.poll() is None
            time.sleep(0.05)
        found = json.loads(ready.read_text())
        port = str(urlsplit(found["bootstrap"]).port)
        token = (tmp_path / "management-token").read_text()

        def shell(recipe: str, **more: str) -> bytes:
            filled = recipe.replace("localhost:9013", f"localhost:{port}")
            values = {"user_token": token, "domain_id": "lab", "domain-id": "lab", **more}
            values |= {"external_id": "string", "external_key": "string", "client_id": CLIENT}
            for name, text in values.items():
                filled = filled.replace(f"<{name}>", text)
            assert "<" not in filled
            done = subprocess.run(
                ["bash", "-c", filled],
                env=environment,
                capture_output=True,
                timeout=30,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            return done.stdout

        yield shell
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=20)


def parsed(answer: bytes):
    """(status, headers, JSON or "") of what ``curl -i`` printed."""
    head, _, body = answer.decode().partition("\r\n\r\n")
    first, *lines = head.split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    return int(first.split()[1]), headers, json.loads(body) if body else ""


def test_the_recipes_one_after_the_other(run, tmp_path):
    status, headers, body = parsed(run(CREATE))
    assert (status, headers["Location"], body) == (201, f"/clients/configs/{CLIENT}", "")

    status, _, answer = parsed(run(BOOTSTRAP))
    assert status == 200
    names = "client_id client_secret channels content client_cert client_key ca_cert"
    assert list(answer) == names.split()
    assert (answer["client_id"], answer["channels"]) == (CLIENT, [{"id": CLIENT}])

    given = encrypt(CRYPTO_KEY.encode(), b"string").hex()
    printed = run(SECURE, encyrpted_external_key=given)
    assert json.loads(decrypt(CRYPTO_KEY.encode(), printed)) == answer

    (tmp_path / "a" / "b").mkdir(parents=True)
    places = {"desired\\": "a", "path\\": "b", "file_name.txt": "answer"}
    assert run(SECURE_TO_FILE, encyrpted_external_key=given, **places) == b""
    kept = (tmp_path / "a" / "b" / "answer").read_bytes()
    assert json.loads(decrypt(CRYPTO_KEY.encode(), kept)) == answer

    assert parsed(run(VIEW))[2]["state"] == 0
    assert parsed(run(STATE))[::2] == (200, "")
    assert parsed(run(UPDATE))[::2] == (200, "")
    view = parsed(run(VIEW))[2]
    assert (view["state"], view["name"], view["content"]) == (1, "renamed", "changed")
    assert parsed(run(REMOVE))[::2] == (204, "")
    assert parsed(run(BOOTSTRAP))[0] == 404
