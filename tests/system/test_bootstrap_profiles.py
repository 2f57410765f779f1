"""The board's Bootstrap client against the development server: every profile, plain and secure."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from pathlib import Path

import pytest

from instar_tools.paths import LIB, micropython
from instar_tools.server.testing import DevServer

ID, KEY, CRYPTO_KEY = "02:00:00:aa:bb:01", "key-001", "12345678910111213141516171819202"
CHANNELS = [{"id": "c1", "name": "first", "metadata": {"type": "data"}}, "c2"]
CONTENT = {"update_poll_interval": 60, "x": "<é☃>"}

# The server's profile, and the board's that goes with it.
PAIRS = (
    ("clients", "clients"),
    ("clients", "things"),
    ("mainflux", "mainflux"),
    ("mainflux-0.12", "mainflux"),
    ("profiles", "clients"),
)
each = pytest.mark.parametrize(("served", "profile"), PAIRS)


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    with contextlib.ExitStack() as stack:
        running = {}
        for name in {served for served, _ in PAIRS}:
            server = DevServer(tmp_path_factory.mktemp(name), bootstrap_profile=name)
            stack.enter_context(server)
            server.add_config(ID, KEY, json.dumps(CONTENT), CHANNELS)
            server.add_config("ü 1", "schlüssel", json.dumps({"x": "x" * 9000}))
            running[name] = server
        yield running


def ask(server, profile, *boards):
    """What each board gets; its settings are the factory's, and these."""
    factory = {
        "bootstrap_url": server.bootstrap_url,
        "bootstrap_plain_http": True,
        "bootstrap_profile": profile,
        "external_id": ID,
        "external_key": KEY,
        "http_timeout": 10,
    }
    done = subprocess.run(
        [micropython(), Path(__file__).with_name("bootstrap_client.py")],
        input=json.dumps([{**factory, **values} for values in boards]),
        env={**os.environ, "MICROPYPATH": f"{LIB}:.frozen"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


@each
def test_a_configuration_comes_the_same_on_both_routes(servers, served, profile):
    server = servers[served]
    plain, secure = ask(server, profile, {}, {"crypto_key": CRYPTO_KEY})
    assert plain == secure, secure
    answer = plain["answer"]
    assert answer["content"] == CONTENT
    assert answer["client_id"] and len(answer["digest"]) == 64
    if served == "profiles":
        assert (answer["secret"], answer["channels"]) == ("", [])
    else:
        assert answer["secret"]
        first = {"id": "c1", "name": "first", "type": "data"}
        assert answer["channels"][0] == first and answer["channels"][1]["id"] == "c2"


@each
def test_what_is_refused_has_its_reason(servers, served, profile):
    secure = {"crypto_key": CRYPTO_KEY}
    wrong_key, unknown, wrong_crypto, both = ask(
        servers[served],
        profile,
        {"external_key": "key-002"},
        {"external_id": "nobody", **secure},
        {"crypto_key": CRYPTO_KEY[::-1]},
        {"external_key": "key-002", **secure},
    )
    # Mainflux 0.12 says 404 to a wrong key too.
    status = "404" if served == "mainflux-0.12" else "403"
    for result in (wrong_key, wrong_crypto, both):
        assert result["error"] == "Unauthorised" and f"got {status}" in result["message"], result
        assert "key" in result["message"].partition(";")[2]
    assert unknown["error"] == "Unauthorised" and "got 404" in unknown["message"]
    for result in (wrong_key, unknown, wrong_crypto, both):
        assert "key-00" not in result["message"]


@each
def test_other_alphabets_and_large_answers(servers, served, profile):
    board = {"external_id": "ü 1", "external_key": "schlüssel"}
    secure, plain = ask(servers[served], profile, {**board, "crypto_key": CRYPTO_KEY}, board)
    assert secure["answer"]["content"] == {"x": "x" * 9000}
    assert plain["error"] == "BadRequest" and "secure route" in plain["message"]


def test_the_profile_of_another_version_says_what_to_check(servers):
    for served, profile in (("mainflux", "clients"), ("profiles", "things")):
        (result,) = ask(servers[served], profile, {})
        assert result["error"] == "Unauthorised"
        assert "got 404" in result["message"] and "bootstrap_profile" in result["message"]
