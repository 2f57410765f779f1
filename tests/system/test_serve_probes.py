"""The server answers 93 recorded requests as the real Mender services did.

tests/vectors/mender-server-probes.jsonl holds requests and the answers of the open-source
deviceauth, inventory and deployments services; ids and tokens are placeholders. They are replayed
in order: status, content type, shape and error text agree, but for what DIFFERENCES lists.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
from pathlib import Path

import pytest
from calls import ARTIFACT, VECTORS, call

from instar_tools.server.testing import DevServer

PROBES = [json.loads(line) for line in (VECTORS / "mender-server-probes.jsonl").open()]
TOKENS = {"auth accepted rsa3072", "auth accepted ecp256", "auth accepted ed25519"}

# case: what differs on purpose. docs/mender.md shows this table.
DIFFERENCES = {
    "auth garbage pubkey": "Error text: Go's ASN.1 decoder words it in its own way.",
    "log 2MB": "413 and not 204: the services of 2023 had no limit, today's refuse over 1 MiB.",
}


class Replay:
    """Sends the probes one after the other, doing in between what the operator did."""

    def __init__(self, server: DevServer) -> None:
        self.server = server
        self.values = {"{management}": server.server.token}
        self.devices: dict[str, str] = {}
        self.deployed = 0

    def run(self) -> list[tuple]:
        return [self._one(probe) for probe in PROBES]

    def _one(self, probe: dict) -> tuple:
        self._operator(probe["case"])
        headers = {name: self._fill(text) for name, text in probe["headers"].items()}
        path, body = self._fill(probe["path"]), self._body(probe["body"])
        url = self.server.storage_url if probe["path"].startswith("{storage") else None
        found = call(self.server, probe["method"], path, headers, body, url=url)
        self._learn(probe["case"], found[2].decode(errors="replace"))
        return found

    def _fill(self, text: str) -> str:
        for name, value in self.values.items():
            text = text.replace(name, value)
        return text

    def _body(self, text: str) -> str:
        if text == "{log of 2 MB}":
            entry = {
                "timestamp": "2026-11-21T19:00:00Z",
                "level": "info",
                "message": "x" * 2142000,
            }
            return json.dumps({"messages": [entry]})
        if text == "{attribute of 20000 characters}":
            return json.dumps([{"name": "big", "value": "v" * 20000}])
        return text

    def _operator(self, case: str) -> None:
        """What was done on the management side before this probe."""
        if case == "auth accepted rsa3072":
            for device in self.server.devices("pending"):
                self.devices[device["identity_data"].get("mac", "")] = device["id"]
            for kind in ("rsa3072", "ecp256", "ed25519"):
                self.server.decide(self.devices[f"{kind}-1135"], "accepted")
            self.server.upload(ARTIFACT)
        elif case in ("status before next", "next same artifact name (POST)", "next dep3"):
            self.deployed += 1
            target = [self.devices["rsa3072-1135"]]
            self.values[f"{{deployment {self.deployed}}}"] = self.server.deploy("app-1.0", target)
        elif case == "next after decommission":
            self.server.decommission(self.devices["rsa3072-1135"])
        elif case == "next after reject":
            self.server.decide(self.devices["ecp256-1135"], "rejected")

    def _learn(self, case: str, body: str) -> None:
        if case in TOKENS:
            name = case.rsplit(maxsplit=1)[-1]
            self.values[f"{{token {name}}}"] = body
            self.values[f"{{token {name} altered}}"] = body[:-4] + "AAAA"
        elif case == "next GET deployment":
            path = "/" + json.loads(body)["artifact"]["source"]["uri"].split("/", 3)[3]
            self.values["{storage}"] = path
            self.values["{storage altered}"] = path[:-1] + ("0" if path[-1] != "0" else "1")


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    with DevServer(tmp_path_factory.mktemp("probes")) as server:
        return Replay(server).run()


def shape(body: str):
    """The keys of JSON objects, all the way down; text and lists as their types."""
    try:
        value = json.loads(body)
    except ValueError:
        return "jwt" if body.count(".") == 2 and " " not in body else body[:38]
    return keys(value)


def keys(value):
    if isinstance(value, dict):
        return {name: keys(inner) for name, inner in value.items()}
    return type(value).__name__


@pytest.mark.parametrize(
    "number", range(len(PROBES)), ids=lambda n: f"{n}-{PROBES[n]['case'][:30]}"
)
def test_answers_as_the_real_services_do(answers, number):
    probe, (status, headers, body) = PROBES[number], answers[number]
    if probe["case"] == "log 2MB":
        assert status == 413
        return
    assert status == probe["status"], body
    assert headers["Content-Type"] == probe["answer_headers"]["Content-Type"]
    assert headers["Accept-Ranges"] == probe["answer_headers"].get("Accept-Ranges")
    text = body.decode(errors="replace")
    if probe["answer"] == "{artifact}":
        assert body in ARTIFACT.read_bytes()
        check_range(probe, headers, body)
    elif probe["answer"] == "{jwt}":
        assert shape(text) == "jwt"
        assert 900 < len(text) < 1200
    else:
        assert shape(text) == shape(probe["answer"])
    if '"error"' in text and probe["case"] not in DIFFERENCES:
        assert json.loads(text)["error"] == json.loads(probe["answer"])["error"]


def check_range(probe, headers, body):
    total = ARTIFACT.stat().st_size
    if wanted := probe["headers"].get("Range"):
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        first, last = int(first), int(last or total - 1)
        assert headers["Content-Range"] == f"bytes {first}-{last}/{total}"
        assert len(body) == last - first + 1
    else:
        assert len(body) == total


def test_there_are_93_probes():
    assert len(PROBES) == 93


def test_the_documentation_shows_every_difference():
    text = (Path(__file__).parents[2] / "docs" / "mender.md").read_text()
    for case, reason in DIFFERENCES.items():
        assert f"| {case} | {reason} |" in text
