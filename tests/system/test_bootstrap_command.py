"""`instar bootstrap` against the development server: what it shows, and how it ends."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
import secrets

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from lab import EXTERNAL_KEY, Lab
from own_certificates import self_signed

from instar_tools.cli import main
from instar_tools.server.testing import DevServer

KEY = "an-external-key-of-this-board"
CRYPTO = "12345678910111213141516171819202"  # the service's default
CHANNELS = [
    {"id": "c1", "name": "measured", "metadata": {"type": "data"}},
    {"id": "c2", "metadata": {"type": 7}},
    "c3",
]
CERT, PRIVATE = self_signed("one")
PEM = CERT.public_bytes(Encoding.PEM).decode()
KEY_PEM = PRIVATE.private_bytes(
    Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()
).decode()
PUBLIC_PEM = (
    PRIVATE.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
)
MENDER = {"mender_url": "https://mender.example.org"}  # the least that a board takes
CONTENT = {
    "instar": {
        "tenant_token": "a-tenant-token-that-is-a-secret",
        **MENDER,
        "ntp_host": "ntp://user-of-settings:pw@example.org",
        "update_poll_interval": 60,
        "artifact_verify_keys": [PUBLIC_PEM],
    },
    "interval": 30,
    "mqtt": {"url": "ssl://user:hunter2@mqtt.example.org", "psk": "a-psk-of-mqtt", "pin": 471108},
}
SECRETS = (KEY, CRYPTO, KEY_PEM.splitlines()[1], "a-tenant-token-that")
SECRETS += ("hunter2", "a-psk-of", "471108", "user-of-settings")


class Desk:
    """The command against one server; no key is in anything that it prints."""

    def __init__(self, server):
        self.server = server
        self.id = f"02:{secrets.token_hex(5)}"
        self.env = {"INSTAR_EXTERNAL_KEY": KEY, "INSTAR_CRYPTO_KEY": CRYPTO, "COLUMNS": "300"}

    def add(self, content=MENDER, **more):
        text = content if isinstance(content, str) else json.dumps(content)
        return self.server.add_config(self.id, KEY, text, **more)

    def run(self, *words, code=0, url=None, answers=None):
        """The result of click's runner."""
        words = ["bootstrap", self.id, *words, "--url", url or self.server.bootstrap_url]
        if words[-1].startswith("http:"):
            words.append("--plain-http")
        done = CliRunner().invoke(main, [str(word) for word in words], answers, self.env)
        assert done.exit_code == code, (done.output, done.exception)
        for secret in SECRETS:
            assert secret not in done.output
        return done

    def json(self, *words, **more):
        return json.loads(self.run(*words, "--json", **more).stdout)


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    """servers(profile): one for all tests; each test has a board of its own."""
    running = {}

    def of(profile):
        if profile not in running:
            folder = tmp_path_factory.mktemp("server")
            running[profile] = DevServer(folder, plain=True, bootstrap_profile=profile)
            running[profile].start()
        return running[profile]

    yield of
    for server in running.values():
        server.stop()


@pytest.fixture
def desk(servers):
    server = servers("clients")
    yield Desk(server)
    server.faults()


# What is shown


def test_all_that_an_answer_can_bring(desk):
    certs = {"client_cert": PEM, "client_key": KEY_PEM, "ca_cert": PEM}
    client = desk.add(CONTENT, channels=CHANNELS, **certs)
    found = desk.json()
    about = {
        "subject": "CN=one",
        "issuer": "CN=one",
        "not_after": "2099-01-01T00:00:00Z",
        "sha256": CERT.fingerprint(CERT.signature_hash_algorithm).hex(),
    }
    assert len(found.pop("digest")) == 64
    assert found.pop("secret").endswith("… (36 characters)")
    (key,) = found.pop("artifact_verify_keys")
    assert key["type"] == "secp256r1" and len(key["sha256"]) == 64
    assert found == {
        "accepted": True,
        "reason": None,
        "client_id": client,
        "channels": [{"id": "c1", "name": "measured", "type": "data"}, {"id": "c2"}, {"id": "c3"}],
        "ca_certificates": [about],
        "client_certificate": about,
        "settings": {
            "tenant_token": "a-te… (31 characters)",
            **MENDER,
            "ntp_host": "ntp://****@example.org",
            "update_poll_interval": 60,
        },
        "application": {
            "interval": 30,
            "mqtt": {
                "url": "string, 35 characters",
                "psk": "string, 13 characters",
                "pin": "number",
            },
        },
    }


def test_the_table_for_people(desk):
    client = desk.add(CONTENT, channels=CHANNELS, client_cert=PEM, client_key=KEY_PEM)
    output = desk.run("--secure").stdout
    for text in (
        client,
        "… (36 characters)",
        "c1, name measured, type data",
        "CN=one, by CN=one, until 2099-01-01T00:00:00Z, SHA-256 ",
        "settings: update_poll_interval",
        "application: interval",
        "there, not shown",
        "A board would take it.",
    ):
        assert text in output


@pytest.mark.parametrize("secure", [[], ["--secure"]])
@pytest.mark.parametrize(
    "served, profile",
    [
        ("clients", "clients"),
        ("clients", "things"),
        ("mainflux", "mainflux"),
        ("mainflux-0.12", "mainflux"),
        ("profiles", "clients"),
    ],
)
def test_every_family_on_both_routes(servers, served, profile, secure):
    desk = Desk(servers(served))
    client = desk.add({"interval": 30, "instar": MENDER}, channels=["plain"])
    found = desk.json("--profile", profile, *secure)
    assert (found["accepted"], found["client_id"]) == (True, client)
    assert found["application"] == {"interval": 30}
    assert found["channels"] == ([] if served == "profiles" else [{"id": "plain"}])
    (request,) = desk.server.requests()[-1:]
    assert ("/secure/" in request["path"]) == bool(secure)


def test_over_tls(tmp_path):
    with DevServer(tmp_path / "server") as server:
        desk = Desk(server)
        desk.add()
        assert desk.json("--ca", server.ca_bundle, url=server.url)["accepted"]
        other = tmp_path / "other.pem"
        other.write_text(PEM)
        output = desk.run("--ca", other, url=server.url, code=3).stderr
        assert "no verdict: " in output and "certificate refused" in output


def test_keys_are_asked_for(desk):
    desk.add()
    desk.env |= {"INSTAR_EXTERNAL_KEY": None, "INSTAR_CRYPTO_KEY": None}
    done = desk.run("--secure", "--json", answers=f"{KEY}\n{CRYPTO}\n")
    assert "External key" in done.stderr and json.loads(done.stdout)["accepted"]


def test_an_answer_near_the_limit_fits_a_small_board(desk):
    desk.add({"instar": MENDER, "table": ["x" * 1000] * 8}, client_cert=PEM, client_key=KEY_PEM)
    assert len(desk.json("--secure")["application"]["table"]) == 8


@pytest.mark.parametrize("board", ["ESP32_GENERIC", "RPI_PICO_W"])
def test_a_large_answer_that_is_accepted_here_runs_on_a_board(tmp_path, server, board):
    """The heap here stands for a board's, which has its agent in it, too."""
    lab = Lab(tmp_path, server, board, heap=None, parts=("magistrala",))
    lab.flash_blank()
    content = json.loads(lab.content()) | {"table": ["x" * 1000] * 6}
    certs = {"client_cert": PEM, "client_key": KEY_PEM, "ca_cert": server.ca_bundle.read_text()}
    desk = Desk(server)
    desk.id = lab.mac
    desk.env["INSTAR_EXTERNAL_KEY"] = EXTERNAL_KEY
    server.add_config(lab.mac, EXTERNAL_KEY, json.dumps(content), ["readings"], **certs)
    assert desk.json("--secure")["accepted"]
    lab.meet()
    assert [e["state"] for e in lab.events if e["event"] == "configuration"] == ["proven"]


# Refused


def refused(desk, *words):
    """The reason; the same one for machines."""
    text = desk.run(*words, code=1).stderr
    assert text.startswith("Refused: ")
    found = desk.json(*words, code=1)
    assert found["accepted"] is False and found["reason"] in text
    return found["reason"]


def test_refused_by_the_service(desk):
    assert "got 404" in refused(desk)
    desk.add()
    assert refused(desk, "--profile", "mainflux", "--secure")
    desk.env["INSTAR_EXTERNAL_KEY"] = "another-key-than-that-of-the-board"
    assert "got 403" in refused(desk) and "external_key" in refused(desk, "--secure")


def test_another_crypto_key(desk):
    desk.add()
    desk.env["INSTAR_CRYPTO_KEY"] = "another-crypto-key-of-32-letters"
    assert "crypto_key" in refused(desk, "--secure")
    desk.env["INSTAR_CRYPTO_KEY"] = "too short"
    reason = refused(desk, "--secure")
    assert "got 9" in reason and "too short" not in reason


def test_refused_by_the_boards_checks(desk):
    desk.add({"update_poll_interval": "often"}, channels=["plain"])
    assert "update_poll_interval: expected 1 to 31536000 seconds, got 'often'" in refused(desk)
    found = desk.json(code=1)
    assert found["channels"] == [{"id": "plain"}] and found["settings"] == {}
    assert "plain" in desk.run(code=1).stdout


@pytest.mark.parametrize(
    "content, certs, message",
    [
        ("interval = 30", {}, "expected a JSON object"),
        ({"no_such": 1}, {}, "unknown name 'no_such'"),
        ({"instar": {"mender_url": "http://x"}}, {}, "mender_url is plain http"),
        ({"instar": {"bootstrap_url": "https://x"}}, {}, "bootstrap_url"),
        ({"instar": {"ca": ["/.instar/identity-key"]}}, {}, "expected PEM or base64 of DER"),
        ({"instar": {"magistrala_url": f"https://x/{KEY}?"}}, {}, "got 'https://x/****?'"),
        ('{"instar": {"mender_url": "https://x"}, "x": 1e999}', {}, "JSON"),
        ("", {"client_cert": PEM}, "client_key"),
        ("", {"ca_cert": KEY_PEM}, "ca_cert"),
    ],
)
def test_what_a_board_does_not_take(desk, content, certs, message):
    desk.add(content, **certs)
    assert message in refused(desk)


def test_a_factory_setting_counts(desk):
    desk.add({"instar": {"mender_url": "http://x"}})
    assert desk.json("--set", "allow_plain_http=true")["accepted"]


def test_what_came_does_not_steer_the_terminal(desk):
    content = {"instar": MENDER | {"device_type": "\x85lamp"}, "\x1b[2J": 1, f"my {KEY}": 2}
    desk.add(content)
    output = desk.run().stdout
    assert "\x1b" not in output and "application: \\x1b[2J" in output and "my ****" in output
    assert "\\x85lamp" in output


# No verdict


def test_nobody_is_there(desk):
    done = desk.run(url="http://localhost:1", code=3)
    assert done.stdout == "" and "no verdict: localhost:1: " in done.stderr
    assert "no verdict: " in desk.run("--json", url="http://no-such-host.invalid", code=3).stderr


@pytest.mark.parametrize(
    "fault", [{"status": 500}, {"status": 429}, {"drop": "before"}, {"status": 200, "body": "<p>"}]
)
def test_the_service_is_in_trouble(desk, fault):
    desk.add()
    desk.server.faults({"match": "/bootstrap/", "times": None, **fault})
    done = desk.run(code=3)
    assert done.stdout == "" and "Error: no verdict: " in done.stderr


# Wrong usage


@pytest.mark.parametrize(
    "words, url, message",
    [
        ([], "https://localhost:9", "an https URL needs --ca"),
        (["--set", "watchdog=1"], None, "watchdog: expected 0 (off), or 3 to 3600 seconds"),
        (["--set", "no_such_thing=1"], None, "unknown name 'no_such_thing'"),
        (["--profile", "x"], None, "'x' is not one of"),
    ],
)
def test_wrong_usage(desk, words, url, message):
    assert message in desk.run(*words, url=url, code=2).stderr


def test_the_keys_of_a_service_that_sends_them_back(desk):
    body = json.dumps({"message": f"no such key: {KEY}"})
    desk.server.faults({"match": "/bootstrap/", "times": None, "status": 403, "body": body})
    assert "got 403" in refused(desk)
