"""`instar provision --port`: factory settings onto a simulated board, over its serial port; and a
board that was deployed and provisioned so works."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
import re

import pytest
from cable import Cable
from click.testing import CliRunner
from cryptography.hazmat.primitives.serialization import Encoding
from lab import STORE_HEADER
from own_certificates import self_signed

from instar_tools import key_cmd
from instar_tools.cli import main
from instar_tools.key_cmd import private_pem, public_pem

BOTH = ["ESP32_GENERIC", "RPI_PICO_W"]
MENDER = ("--mender-url", "https://mender.example.org")
TENANT = "a-tenant-token-of-some-length"
WIFI = "correct horse battery"
ENV = {"INSTAR_TENANT_TOKEN": TENANT, "INSTAR_WIFI_PASSWORD": WIFI}
HEAP = "198wk"  # an ESP32 whose slot holds instar has its code in the heap, too
KEY = "/.instar/identity-key"


@pytest.fixture
def cable(tmp_path):
    made = Cable(tmp_path, "ESP32_GENERIC")
    made.ca = tmp_path / "ca.pem"
    made.ca.write_bytes(self_signed("one")[0].public_bytes(Encoding.PEM))
    yield made
    for secret in (TENANT, WIFI):
        assert secret not in made.said


def provision(cable, *words, **more):
    return cable.command("provision", "--ca", cable.ca, *words, **more)


def test_settings_and_a_key_for_a_new_board(cable):
    with cable.plugged():
        words = (*MENDER, "--tenant-token", "--wifi-ssid", "lab", "--identity-key", "host")
        said = provision(cable, *words, env=ENV)
        assert "-----BEGIN PUBLIC KEY-----" in said and "/ca-1.der: CN=one" in said
        mac = cable.path.read_bytes()[:6].hex(":")
        assert f"accept it at https://mender.example.org, where it asks as {mac}" in said
        with cable.link() as link:
            settings = json.loads(link.read("/instar.json"))
            key = link.read(KEY)
            assert link.read("/ca-1.der") == self_signed("one")[0].public_bytes(Encoding.DER)
            link.reset()
        assert settings == {
            "mender_url": "https://mender.example.org",
            "ca": ["/ca-1.der"],
            "tenant_token": TENANT,
            "wifi_ssid": "lab",
            "wifi_password": WIFI,
            "device_type": "esp32",
        }
        # Nothing of the secrets is shown, but for that they are there.
        assert re.search("tenant_token +│ set ", said) and re.search("wifi_password +│ set ", said)
        assert TENANT[:4] not in said and f"({len(WIFI)} ch" not in said
        # The same again changes nothing, and shows the same key; other settings need --force.
        before = cable.tree()
        again = provision(cable, *words, env=ENV)
        assert "There is an identity key already, which stays" in again
        assert public_of(again) == public_of(said) and cable.tree() == before
        other = ("--mender-url", "https://other.example.org")
        assert "there already: /instar.json; --force" in provision(cable, *other, code=1)
        again = provision(cable, *other, "--force", "--identity-key", "host")
        assert public_of(again) == public_of(said)
        with cable.link() as link:
            assert json.loads(link.read("/instar.json"))["mender_url"] == other[1]
            assert link.read(KEY) == key


def test_what_the_board_would_refuse_is_not_written(cable):
    with cable.plugged():
        said = provision(cable, *MENDER, "--set", "watchdog=1", "--identity-key", "host", code=1)
        assert "the board would refuse this: " in said and "watchdog: expected 0" in said
        assert {"instar.json", ".instar/"}.isdisjoint(cable.tree())


def test_a_key_from_a_file(cable, tmp_path):
    key = key_cmd.generate("p256")
    (tmp_path / "key.pem").write_bytes(private_pem(key))
    (tmp_path / "none.pem").write_text("-----BEGIN EC PRIVATE KEY-----\nhidden\n")
    with cable.plugged():
        said = provision(cable, *MENDER, "--identity-key", tmp_path / "none.pem", code=2)
        assert "expected a private key in PEM" in said and "hidden" not in said
        said = provision(cable, *MENDER, "--identity-key", tmp_path / "key.pem")
        assert public_pem(key).decode() in said
        with cable.link() as link:
            number = key.private_numbers().private_value.to_bytes(32, "big")
            assert number in link.read(KEY)[STORE_HEADER:]
            link.reset()
        # The very same key is done already; another one would be another device.
        said = provision(cable, *MENDER, "--identity-key", tmp_path / "key.pem")
        assert "an identity key already, which stays" in said
        assert public_pem(key).decode() in said
        (tmp_path / "key.pem").write_bytes(private_pem(key_cmd.generate("p256")))
        said = provision(cable, *MENDER, "--identity-key", tmp_path / "key.pem", code=1)
        assert f"there is an identity key already: {KEY}; it stays, because with" in said
    # So it is where the flash file is written to.
    for choice, code in ("host", 0), (tmp_path / "key.pem", 1):
        words = ["--flash", cable.path, "--force", "--ca", cable.ca, *MENDER]
        words = ["provision", *words, "--identity-key", choice]
        done = CliRunner().invoke(main, [str(word) for word in words])
        assert done.exit_code == code, done.output
        assert (public_pem(key).decode() in done.output) is (code == 0)


def public_of(said):
    """The public key in what was printed."""
    return said[said.index("-----BEGIN PUBLIC") : said.index("-----END PUBLIC")].strip()


def test_a_key_that_a_board_without_instar_cannot_make(cable):
    with cable.plugged():
        said = provision(cable, *MENDER, "--identity-key", "board", code=1)
        assert "found none; run instar deploy first" in said
        assert "instar.json" not in cable.tree()


def test_a_board_whose_power_fails_between_two_files(cable):
    blank = cable.path.read_bytes()
    with cable.plugged(trace=True) as board:
        provision(cable, *MENDER, "--identity-key", "host")
        end = sum(event["event"] == "op" for event in board.events)
        expected = cable.tree()
    cable.path.write_bytes(blank)
    # The last operation names the settings: the key and the CA have their names already.
    with cable.plugged(power_cut_at=(end, "before")):
        said = provision(cable, *MENDER, "--identity-key", "host", code=1)
        assert "run this again" in said
        assert {KEY[1:], "ca-1.der"} < set(cable.tree())
        assert "instar.json" not in cable.tree()
        assert "already, which stays" in provision(cable, *MENDER, "--identity-key", "host")
        tree = cable.tree()
        assert expected.keys() == tree.keys()
        assert expected["instar.json"] == tree["instar.json"]


@pytest.mark.parametrize(
    "words, message",
    [
        ((), "expected --url, --mender-url or --murano-url"),
        (("--mender-url", "http://x"), "expected https:// URLs, or --plain-http"),
        ((*MENDER, "--secure"), "expected --url, a Bootstrap service's"),
        ((*MENDER, "--folder", "x"), "expected --folder DIR or --flash FILE or --port PORT"),
        ((*MENDER, "--identity-key", "/nonexist"), "expected host, board, or a file in PEM"),
        ((*MENDER, "--tenant-token"), "INSTAR_TENANT_TOKEN is empty"),
        ((*MENDER, "--set", 'murano_token="x"'), "expected by INSTAR_MURANO_TOKEN"),
    ],
)
def test_wrong_usage(cable, words, message):
    cable.board = type("NoBoard", (), {"port": "/dev/nonexist"})
    said = provision(cable, *words, code=2, env={"INSTAR_TENANT_TOKEN": ""})
    assert message in " ".join(said.split())


@pytest.mark.parametrize("kind", BOTH)
def test_a_board_from_the_bag_works(tmp_path, server, kind):
    """Deployed, and provisioned with a key that the board makes; then it gets another application,
    and the server is told so."""
    cable = Cable(tmp_path, kind)
    pem = server.ca_bundle
    words = ["--ca", pem, "--mender-url", server.url, "--artifact-name", "release-1"]
    words += ["--wifi-ssid", "lab", "--identity-key", "board", "--set", "update_poll_interval=1"]
    words += ["--ntp-host", "127.0.0.1", "--ntp-port", server.sntp_port]
    words += ["--set", "retry_interval=1", "--set", "retry_interval_max=1"]
    with cable.plugged(heap=HEAP, on_event=lambda event: _accept(server, event)) as board:
        cable.deploy()
        said = cable.command("provision", *words, env={"INSTAR_WIFI_PASSWORD": ""})
        board.wait("idle")
        (device,) = server.devices()
        public = device["auth_sets"][0]["pubkey"].strip()
        assert public in said
        assert artifact_name(server) == "release-1"
        # The board made the key, and shows its public half as often as somebody asks.
        said = cable.command("provision", *words, env={"INSTAR_WIFI_PASSWORD": ""})
        assert "already, which stays" in said and public in said
        said = cable.deploy("--app", cable.app("new"), "--artifact-name", "release-2")
        assert "slot /b: 1 files to send" in said
        board.wait("idle")
        assert artifact_name(server) == "release-2"
        (same,) = server.devices()
        assert same["id"] == device["id"]


def artifact_name(server):
    """What the server was told runs."""
    (device,) = server.devices()
    return server.inventory(device["id"])["artifact_name"]


def _accept(server, event):
    if event["event"] == "pending":
        server.accept_all()
