"""The server answers as a real Bootstrap service did, byte for byte.

tests/vectors/magistrala/mainflux-bootstrap.jsonl holds what the service answered; its
configurations are put where the server keeps its own, then every row is sent again.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import base64
import json

import pytest
from calls import VECTORS, call

from instar_tools.server.magistrala_keys import decrypt
from instar_tools.server.magistrala_state import Configs
from instar_tools.server.state import Database
from instar_tools.server.testing import DevServer

ROWS = [
    json.loads(line)
    for line in (VECTORS / "magistrala" / "mainflux-bootstrap.jsonl").read_text().splitlines()
]
CRYPTO_KEY = b"12345678910111213141516171819202"
# external id, key, content, certificates, channels: as the answers show them.
FULL = {
    "external_id": "02:00:00:aa:bb:01",
    "external_key": "key-001",
    "content": '{"mender":{"server":"https://localhost:18443"},"interval":60}',
    "client_cert": "-----BEGIN CERTIFICATE-----\nAAA\n-----END CERTIFICATE-----",
    "client_key": "KEY",
    "ca_cert": "CA",
}
MINIMAL = {"external_id": "minimal", "external_key": "key-002"}
UNICODE = {
    "external_id": "ünï/dev 3",
    "external_key": "schlüssel <&>",
    "content": 'naïve ☃ <tag> & "quote"',
}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("transcript")
    database = Database(folder / "state.sqlite")
    configs = Configs(database)
    configs.add_channel("", "ch-1", "chan one", {"type": "control", "n": 1})
    configs.add_channel("", "ch-2", "chan two", {})
    for number, fields in enumerate((FULL, MINIMAL, UNICODE)):
        fields = {**fields, "id": f"c7d8f3a2-0000-4000-8000-00000000000{number + 1}"}
        channels = ["ch-1", "ch-2"] if number == 0 else []
        config = configs.add("", fields, channels, False)
        configs.change(config, secret=f"5384fb1c-d0ae-4cbe-be52-c54223150fe{number}")
    database.close()
    with DevServer(folder) as running:
        yield running


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["case"])
def test_every_row(server, row):
    status, headers, body = call(
        server, "GET", row["path"], row["req_headers"], url=server.bootstrap_url
    )
    assert status == row["status"], body
    recorded = dict(row["res_headers"])
    for name in ("Content-Type", "Content-Length", "Location"):
        assert headers[name] == recorded.get(name), name
    if "body_b64" in row:
        assert body != base64.b64decode(row["body_b64"])  # another IV
        assert decrypt(CRYPTO_KEY, body).decode() == row["decrypted"]
    else:
        assert body.decode() == row["body"]


def test_the_recorded_secure_answers_are_what_the_key_makes_of_them():
    secure = [row for row in ROWS if "body_b64" in row]
    assert len(secure) == 4
    for row in secure:
        assert decrypt(CRYPTO_KEY, base64.b64decode(row["body_b64"])).decode() == row["decrypted"]


def test_the_bytes_of_a_mainflux_service():
    body = (VECTORS / "magistrala" / "mainflux-0.13-secure-response.bin").read_bytes()
    answer = json.loads(decrypt(bytes.fromhex(CRYPTO_KEY.decode()), body))
    assert list(answer)[:3] == ["mainflux_id", "mainflux_key", "mainflux_channels"]
