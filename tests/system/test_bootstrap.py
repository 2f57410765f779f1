"""A blank board and the development server: from the factory to updates, and what may go wrong.

Every test ends in what the server believes, or in what the board runs on afterwards.
"""

from __future__ import annotations

import json
import socket

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from lab import GOOD, MAGISTRALA_HEAP, Lab

from instar_tools.server.testing import DevServer


@pytest.fixture
def lab(tmp_path, server):
    return Lab(tmp_path, server, heap=MAGISTRALA_HEAP)


# Asks for a new configuration once after each power-on, when it has one.
ASKS = """
import asyncio
import machine

async def run(agent):
    if agent.settings.configured and machine.reset_cause() == machine.PWRON_RESET:
        await asyncio.sleep_ms(200)
        agent.rebootstrap()
    while True:
        await asyncio.sleep_ms(100)
"""
# Publishes its number of starts on this flash, at once.
PUBLISHES = """
import asyncio

async def run(agent):
    count = int((agent.settings.store.get("starts") or b"0").decode()) + 1
    agent.settings.store.put("starts", str(count).encode())
    agent.publish("starts", count)
    while True:
        await asyncio.sleep_ms(100)
"""


def unused_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def states(lab, name="configuration"):
    return [event["state"] for event in lab.events if event["event"] == name]


def requests(server, part):
    return [request for request in server.requests() if part in request["path"]]


def records(server, channel="readings"):
    """Every SenML record that the server has from the channel."""
    return [r for message in server.messages(channel) for r in json.loads(message["body"])]


@pytest.mark.parametrize("board", ["ESP32_GENERIC", "RPI_PICO_W"])
def test_a_blank_board_configures_itself_and_updates(tmp_path, server, board):
    heap = MAGISTRALA_HEAP if board == "ESP32_GENERIC" else None
    lab = Lab(tmp_path, server, board, heap=heap, parts=("magistrala",))
    lab.flash_blank(app=PUBLISHES)
    client = lab.register()
    lab.meet()
    assert states(lab) == ["proven"] and states(lab, "bootstrap") == ["asked", "taken"]
    (request,) = requests(server, "/bootstrap/")
    assert request["path"].startswith("/clients/bootstrap/secure/")
    # The first start was without a configuration: what was measured then arrived, too.
    assert sorted(r["v"] for r in records(server)) == [1, 2]
    assert {message["publisher"] for message in server.messages("readings")} == {client}
    if lab.kind.firmware_slots:
        statuses, update = GOOD, lab.artifact("release-2")
    else:  # no room for a second slot with everything: a file is an update, too
        statuses = [status for status in GOOD if status != "rebooting"]
        update = lab.file_artifact("release-2", "/data", "table.csv", b"1;2\n")
    deployment = lab.deploy(update)
    lab.run("success")
    assert server.statuses(deployment) == statuses
    assert server.inventory(lab.device())["artifact_name"] == "release-2"
    assert len(requests(server, "/bootstrap/")) == 1  # nothing was asked for twice
    assert len(server.devices()) == 1


def test_an_update_that_is_signed_by_a_key_that_came_with_the_configuration(lab):
    """Bootstrap, messages, gzip and P-256 together, in the heap that the board has."""
    lab.flash_blank()
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    lab.register({"artifact_verify_keys": [public.decode()]})
    lab.meet()
    refused = lab.deploy(lab.artifact("release-2"))
    lab.run("failure")
    assert "without a signature" in lab.log(refused)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    deployment = lab.deploy(lab.artifact("release-3", key=pem))
    lab.run("success")
    assert lab.server.statuses(deployment) == GOOD


def test_a_board_that_only_publishes(lab):
    lab.flash_blank(app=PUBLISHES)
    lab.register({"mender_url": None})
    lab.run(lambda event: event["event"] == "idle" and "proven" in states(lab))
    assert [record["v"] for record in records(lab.server)] == [1, 2]
    assert not lab.server.devices() and not lab.errors()


def test_a_new_configuration_is_taken_when_somebody_asks(lab):
    lab.flash_blank(app=ASKS)
    client = lab.register()
    lab.meet()
    lab.server.update_config(client, content=lab.content({"inventory_poll_interval": 9}))
    lab.events.clear()
    lab.run(lambda event: event["event"] == "idle" and "proven" in states(lab))
    configuration = lab.server.inventory(lab.device())["configuration"]
    assert states(lab, "bootstrap") == ["asked", "taken"]
    lab.events.clear()
    lab.run(lambda event: "unchanged" in states(lab, "bootstrap"))
    assert lab.server.inventory(lab.device())["configuration"] == configuration


def test_the_last_good_configuration_is_used_while_the_service_is_away(lab):
    lab.flash_blank(app=ASKS)
    lab.register()
    lab.meet()
    lab.server.faults({"match": "/bootstrap/", "times": None, "status": 503})
    lab.events.clear()
    lab.run(lambda event: states(lab, "bootstrap") and event["event"] == "error")
    deployment = lab.deploy(lab.artifact("release-2"))
    lab.run("success")
    assert lab.server.statuses(deployment) == GOOD


def test_a_service_that_is_not_ready_yet(lab):
    """404 until an operator comes, 503, a connection that ends in the answer: then it works."""
    lab.flash_blank()
    lab.run(lambda event: "404" in event.get("message", ""))
    lab.server.faults({"match": "/bootstrap/", "status": 503}, {"match": "/bootstrap/", "cut": 40})
    lab.register()
    lab.meet()
    assert states(lab) == ["proven"]
    assert len(lab.server.devices()) == 1


def test_a_request_that_is_wrong_is_not_repeated(lab):
    lab.flash_blank()
    lab.server.faults({"match": "/bootstrap/", "times": None, "status": 400})
    lab.run(lambda event: event.get("state") == "stopped")
    lab.board.run(seconds=3)
    assert len(requests(lab.server, "/bootstrap/")) == 2  # once after each start


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"mender_url": "http://localhost:1"}, "plain http"),
        ({"watchdog": "no"}, "watchdog"),
        ({"external_key": "another"}, "external_key"),
        ({"ca": ["/.instar/identity-key"]}, "ca"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_content_that_is_refused_changes_nothing(lab, content, words):
    lab.flash_blank(app=ASKS)
    client = lab.register()
    lab.meet()
    lab.server.update_config(client, content=lab.content(content))
    lab.events.clear()
    lab.run(lambda event: event["event"] == "error")
    assert "bootstrap: " in lab.errors()[0] and words in lab.errors()[0]
    lab.events.clear()
    lab.run("idle")
    assert not states(lab) and lab.said()[0].startswith("boot ota_0 PWRON")


def test_mutual_tls_with_what_the_board_was_given(lab):
    lab.flash_blank()
    certificate, key = lab.server.issue_certificate("board-1")
    lab.register({"mender_url": lab.server.mutual_url}, client_cert=certificate, client_key=key)
    lab.meet()
    deployment = lab.deploy(lab.artifact("release-2"))
    lab.run("success")
    assert lab.server.statuses(deployment) == GOOD


def test_a_configuration_that_does_not_work_is_dropped_for_the_one_before(lab):
    lab.flash_blank({"configuration_timeout": 3}, app=ASKS)
    client = lab.register()
    lab.meet()
    nobody = f"https://localhost:{unused_port()}"
    lab.server.update_config(client, content=lab.content({"mender_url": nobody}))
    lab.events.clear()
    lab.run(lambda event: event["event"] == "inventory" and "dropped" in states(lab))
    assert states(lab, "bootstrap") == ["asked", "taken"] and states(lab) == ["dropped"]
    why = lab.server.inventory(lab.device())["configuration_problem"]
    assert "nothing worked within 3 s" in why
    deployment = lab.deploy(lab.artifact("release-2"))
    lab.run("success")
    assert lab.server.statuses(deployment) == GOOD


def test_a_first_configuration_that_does_not_work_is_asked_for_again(lab):
    """Wrong Wi-Fi, wrong server: the factory's settings come back, and with them the service."""
    lab.flash_blank({"configuration_timeout": 2})
    client = lab.register({"mender_url": f"https://localhost:{unused_port()}"})
    lab.run(lambda event: event.get("state") == "dropped")
    lab.server.update_config(client, content=lab.content())
    lab.meet()
    assert states(lab)[-1] == "proven"


def test_a_server_that_refuses_the_board_makes_it_ask_for_another(tmp_path, lab):
    lab.flash_blank({"bootstrap_after_refusals": 2})
    client = lab.register()
    lab.meet()
    with DevServer(tmp_path / "second", accept_all=True) as second:
        content = lab.content({"mender_url": second.url})
        lab.server.update_config(client, content=content)
        ca = second.ca_bundle.read_text() + lab.server.ca_bundle.read_text()
        lab.server.update_certs(client, ca_cert=ca)
        lab.server.decide(lab.device(), "rejected")
        lab.events.clear()
        lab.server.accept_all = lambda: None  # the operator is not going to
        lab.run(lambda event: event["event"] == "idle" and "proven" in states(lab))
        assert len(second.devices("accepted")) == 1


def test_what_was_published_survives_an_outage_and_a_restart(lab):
    lab.flash_blank({"outbox_save_interval": 1}, app=PUBLISHES)
    lab.register()
    lab.meet()
    before = len(records(lab.server))
    lab.server.faults({"match": "/m/lab/", "times": None, "status": 503})
    for _ in range(2):
        lab.run(lambda event: "publish: " in event.get("message", ""))
        lab.board.run(seconds=3)
    assert len(records(lab.server)) == before
    lab.server.faults()
    lab.run(lambda event: event["event"] == "published")
    values = [record["v"] for record in records(lab.server)[before:]]
    assert values == sorted(values) and len(values) >= 3


@pytest.mark.parametrize("cut", range(1, 29, 4))
def test_a_power_cut_while_the_configuration_is_stored(tmp_path, server, cut):
    lab = Lab(tmp_path, server, heap=MAGISTRALA_HEAP)
    lab.flash_blank()
    lab.register()
    lab.board.power_cut_at = (cut, "torn")
    lab.meet()
    assert [event["op"] for event in lab.events if event["event"] == "cut"] == [cut]
    assert states(lab)[-1] == "proven"
    assert len(server.devices()) == 1
