"""`instar provision --folder`: what it writes, what it refuses, and what it never shows."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import binascii
import json
import os
import re
import stat
import struct

import click
import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
)
from own_certificates import self_signed

from instar_tools.board_code import BOARD
from instar_tools.cli import main
from instar_tools.identity_key import public_half
from instar_tools.key_cmd import generate, private_pem, public_pem

KEY = "an-external-key-of-this-board"
CRYPTO = "12345678910111213141516171819202"
URL = "https://boot.example.org:9013"


class Desk:
    """The command, in an environment of its own; and everything that it ever printed."""

    def __init__(self, folder):
        self.root = folder
        self.folder = folder / "board"
        self.ca = folder / "ca.pem"
        self.ca.write_bytes(self_signed("one")[0].public_bytes(Encoding.PEM))
        self.env = {"INSTAR_EXTERNAL_KEY": KEY, "INSTAR_CRYPTO_KEY": CRYPTO}
        self.said = ""

    def provision(self, *words, code=0, answers=None):
        """Exit code as expected. Returns the output."""
        words = ["provision", "--folder", self.folder, *words]
        env = {"INSTAR_WIFI_PASSWORD": None, **self.env}
        done = CliRunner().invoke(main, [str(word) for word in words], answers, env)
        assert done.exit_code == code, (done.output, done.exception)
        self.said += done.output
        return done.output

    def https(self, *words, **more):
        return self.provision("--url", URL, "--ca", self.ca, *words, **more)

    def plain(self, *words, **more):
        return self.provision("--url", "http://localhost:9013", "--plain-http", *words, **more)

    def settings(self):
        return json.loads((self.folder / "instar.json").read_text())

    def files(self):
        return sorted(os.listdir(self.folder)) if self.folder.exists() else None


@pytest.fixture
def desk(tmp_path):
    """Nothing that it prints holds a key."""
    made = Desk(tmp_path)
    yield made
    for secret in (KEY, CRYPTO):
        assert secret not in made.said


def test_the_least_that_a_board_needs(desk):
    output = desk.https()
    assert desk.settings() == {
        "bootstrap_url": URL,
        "bootstrap_profile": "clients",
        "ca": ["/bootstrap-ca-1.der"],
        "external_key": KEY,
    }
    der = (desk.folder / "bootstrap-ca-1.der").read_bytes()
    assert der == self_signed("one")[0].public_bytes(Encoding.DER)
    assert stat.S_IMODE((desk.folder / "instar.json").stat().st_mode) == 0o600
    assert "external_key" in output and "an-e" not in output and "29 char" not in output
    assert "/bootstrap-ca-1.der: CN=one, until 2099-01-01" in output
    assert "<MAC address of the board" in output and "env.INSTAR_EXTERNAL_KEY" in output


def test_every_option_becomes_its_setting(desk):
    desk.env["INSTAR_WIFI_PASSWORD"] = "correct horse battery"
    (desk.root / "verify.pem").write_bytes(
        self_signed("one")[1]
        .public_key()
        .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    words = ["--secure", "--profile", "things", "--external-id", "24:0a:c4:01:02:03"]
    words += ["--device-type", "esp32", "--artifact-name", "factory-1", "--wifi-ssid", "Büro"]
    words += ["--ntp-host", "time.example.org", "--ntp-port", "1123", "--set", "watchdog=30"]
    words += ["--verify-key", desk.root / "verify.pem", "--set", 'tenant_token="tenant of mine"']
    output = desk.plain(*words)
    assert desk.settings() == {
        "bootstrap_url": "http://localhost:9013",
        "bootstrap_profile": "things",
        "bootstrap_plain_http": True,
        "external_id": "24:0a:c4:01:02:03",
        "external_key": KEY,
        "crypto_key": CRYPTO,
        "device_type": "esp32",
        "artifact_name": "factory-1",
        "wifi_ssid": "Büro",
        "wifi_password": "correct horse battery",
        "ntp_host": "time.example.org",
        "ntp_port": 1123,
        "watchdog": 30,
        "artifact_verify_keys": ["/verify-key-1"],
        "tenant_token": "tenant of mine",
    }
    assert desk.files() == ["instar.json", "verify-key-1"]
    for secret in ("correct horse battery", "tenant of mine"):
        assert secret not in output
    assert "24:0a:c4:01:02:03" in output and "/things/configs" in output


def test_several_cas_of_both_forms(desk):
    bundle = b"".join(self_signed(n)[0].public_bytes(Encoding.PEM) for n in ("one", "two"))
    desk.ca.write_bytes(bundle)
    der = desk.root / "three.der"
    der.write_bytes(self_signed("three")[0].public_bytes(Encoding.DER))
    desk.https("--ca", der)
    paths = [f"bootstrap-ca-{number}.der" for number in (1, 2, 3)]
    assert desk.settings()["ca"] == [f"/{path}" for path in paths]
    for path, name in zip(paths, ("one", "two", "three"), strict=True):
        expected = self_signed(name)[0].public_bytes(Encoding.DER)
        assert (desk.folder / path).read_bytes() == expected


def test_a_generated_key_is_shown_once(desk):
    del desk.env["INSTAR_EXTERNAL_KEY"]
    output = desk.https("--generate-key")
    key = desk.settings()["external_key"]
    assert len(key) >= 32 and output.count(key) == 1
    desk.https("--generate-key", "--force")
    assert desk.settings()["external_key"] != key


def test_keys_are_asked_for_and_not_shown(desk):
    desk.env = {"INSTAR_EXTERNAL_KEY": None, "INSTAR_CRYPTO_KEY": None}
    words = ["--secure", "--wifi-ssid", "lab"]
    output = desk.plain(*words, answers=f"{KEY}\n{CRYPTO}\n\n")
    assert "External key" in output and "Crypto key" in output
    found = desk.settings()
    assert (found["external_key"], found["crypto_key"]) == (KEY, CRYPTO)
    assert found["wifi_password"] == ""


def test_without_secure_the_crypto_key_is_not_used(desk):
    assert "Warning: without --secure" in desk.plain()
    assert "crypto_key" not in desk.settings()


def test_an_identity_with_a_mac_is_the_external_id(desk):
    output = desk.https("--set", 'identity={"mac": "02:00:00:00:00:07"}')
    assert 'external_id: "02:00:00:00:00:07"' in output


# What is refused writes nothing


@pytest.mark.parametrize(
    "words, message",
    [
        (["--url", "http://localhost:9013"], "expected an https:// URL, or --plain-http"),
        (["--url", URL], "an https URL needs --ca"),
        (["--url", ""], "--url is empty"),
        ([], "expected --url, --mender-url or --murano-url"),
        (["--url", URL, "--flash", __file__], "expected --folder DIR or --flash FILE"),
        (["--url", URL, "--ca", __file__], "expected a certificate, PEM or DER"),
        (["--url", URL, "--set", "watchdog"], "expected NAME=JSON"),
        (["--url", URL, "--set", "device_type=esp32"], "for a string, device_type='\"text\"'"),
        (["--url", URL, "--set", f'crypto_key="{CRYPTO}"'], "expected by --secure"),
        (["--url", URL, "--set", f'external_key="{KEY}"'], "expected by INSTAR_EXTERNAL_KEY"),
        (
            [
                "--url",
                "http://x",
                "--plain-http",
                "--device-type",
                "a",
                "--set",
                'device_type="b"',
            ],
            "device_type is given twice",
        ),
        (["--url", URL, "--profile", "other"], "'other' is not one of"),
        (["--url", URL, "--generate-key"], "--generate-key or INSTAR_EXTERNAL_KEY"),
    ],
)
def test_wrong_usage(desk, words, message):
    assert message in " ".join(desk.provision(*words, code=2).split())
    assert desk.files() is None


@pytest.mark.parametrize(
    "words, message",
    [
        (["--set", "watchdog=1"], "watchdog: expected 0 (off), or 3 to 3600 seconds, got 1"),
        (["--set", "no_such_thing=1"], "unknown name 'no_such_thing'"),
        (["--set", "tenant_token=12345678901"], "tenant_token: expected a string, got another"),
        (["--set", 'mender_url="http://x"'], "mender_url is plain http"),
        (["--set", 'artifact_verify_keys=["/none.pem"]'], "/none.pem is missing"),
        (["--set", f'wide="{"w" * 9000}"'], "at most 8192 bytes expected"),
        (["--set", 'identity={"serial": "7"}'], "external_id"),
        (["--external-id", "a/b"], "external_id"),
        (["--external-id", ".."], "external_id"),
        (["--url", "ftp://x"], "bootstrap_url: expected an http(s) URL"),
        (["--url", "http://u:hidden@x", "--plain-http"], "bootstrap_url: expected"),
    ],
)
def test_what_the_board_would_refuse(desk, words, message):
    output = desk.https(*words, code=1)
    assert "the board would refuse this: " in output and message in output
    assert desk.files() is None
    assert "12345678901" not in output and "hidden" not in output


@pytest.mark.parametrize(
    "profile, key, message",
    [
        ("clients", "short", "got 5"),
        ("clients", "k" * 24, "got 24"),  # AES-192, which cryptolib has not
        ("mainflux", "not hexadecimal at all!", "hex"),
        ("mainflux", "00" * 15, "15"),
    ],
)
def test_a_crypto_key_that_the_board_cannot_use(desk, profile, key, message):
    desk.env["INSTAR_CRYPTO_KEY"] = key
    output = desk.plain("--secure", "--profile", profile, code=1)
    assert "crypto_key" in output and message in output and key not in output
    assert desk.files() is None


@pytest.mark.parametrize("variable", ["INSTAR_EXTERNAL_KEY", "INSTAR_CRYPTO_KEY"])
def test_an_empty_key_and_none_at_all(desk, variable):
    desk.env[variable] = ""
    assert f"{variable} is empty" in desk.plain("--secure", code=2)
    desk.env[variable] = None
    output = desk.plain("--secure", code=2, answers="")
    assert f"expected {variable} in the environment" in output
    assert desk.files() is None


def test_a_key_that_no_header_can_carry(desk):
    desk.env["INSTAR_EXTERNAL_KEY"] = f"{KEY}\r\nHost: other"
    assert "external_key: expected" in desk.https(code=1)
    assert desk.files() is None


def test_a_certificate_that_the_boards_tls_does_not_take(desk, monkeypatch):
    key = self_signed("one")[1].public_key()
    (desk.root / "key.der").write_bytes(
        key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    )
    # As a client certificate it reaches the board unread, from the folder.
    desk.folder.mkdir()
    for name in ("cert.der", "key.der"):
        (desk.folder / name).write_bytes((desk.root / "key.der").read_bytes())
    words = ["--set", 'client_cert="/cert.der"', "--set", 'client_key="/key.der"']
    assert "TLS: expected certificates and key in DER" in desk.https(*words, code=1)
    assert desk.files() == ["cert.der", "key.der"]


def test_what_is_there_stays_without_force(desk):
    desk.https()
    before = (desk.folder / "instar.json").read_bytes()
    desk.env["INSTAR_EXTERNAL_KEY"] = "another-key-than-before"
    output = "".join(desk.plain(code=1).split())
    assert "instar.json;--forcereplacesthem" in output
    assert (desk.folder / "instar.json").read_bytes() == before
    (desk.folder / "notes.txt").write_text("mine")
    desk.plain("--force")
    assert desk.settings()["external_key"] == "another-key-than-before"
    assert (desk.folder / "notes.txt").read_text() == "mine"


def test_force_removes_what_is_not_written_now(desk):
    bundle = b"".join(self_signed(n)[0].public_bytes(Encoding.PEM) for n in ("one", "two"))
    pem = self_signed("one")[1].public_key()
    pem = pem.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for name, data in (("two.pem", bundle), ("verify.pem", pem)):
        (desk.root / name).write_bytes(data)
    keys = ["--verify-key", desk.root / "verify.pem"] * 2
    desk.plain("--ca", desk.root / "two.pem", *keys)
    (desk.folder / "bootstrap-ca-2.der.old").write_text("mine")
    both = ["bootstrap-ca-1.der", "bootstrap-ca-2.der", "verify-key-1", "verify-key-2"]
    assert desk.files() == sorted([*both, "bootstrap-ca-2.der.old", "instar.json"])
    # Refused: all stays. A file that is spoken of stays, too.
    before = desk.files()
    desk.https("--force", "--set", "watchdog=1", code=1)
    assert desk.files() == before
    output = desk.https("--force", "--set", 'artifact_verify_keys=["/verify-key-2"]')
    stay = ["bootstrap-ca-1.der", "bootstrap-ca-2.der.old", "instar.json"]
    assert desk.files() == [*stay, "verify-key-2"]
    assert "Removed, of an earlier use: /bootstrap-ca-2.der, /verify-key-1\n" in output
    assert "Removed" in desk.plain("--force")
    assert desk.files() == ["bootstrap-ca-2.der.old", "instar.json"]
    assert "Removed" not in desk.plain("--force")


def test_an_identity_key_stays(desk):
    output = desk.plain("--identity-key", "host")
    public = output[output.index("-----BEGIN PUBLIC") :].partition("-----END PUBLIC")[0]
    record = desk.folder / ".instar" / "identity-key"
    before = record.read_bytes()
    (desk.root / "own.pem").write_bytes(private_pem(load_der_private_key(before[12:], None)))
    for choice in "host", desk.root / "own.pem":
        output = desk.plain("--force", "--identity-key", choice)
        assert "There is an identity key already, which stays" in output and public in output
    (desk.root / "other.pem").write_bytes(private_pem(generate("p256")))
    words = ("--force", "--identity-key", desk.root / "other.pem")
    assert "it stays, because with another key" in desk.plain(*words, code=1)
    assert record.read_bytes() == before


@pytest.mark.parametrize(
    "kind", ["p256", "rsa"], ids=["without its public half, as a board writes it", "rsa"]
)
def test_the_public_half_of_a_record(kind):
    key = generate(kind)
    der = key.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    if kind == "p256":
        number = key.private_numbers().private_value.to_bytes(32, "big")
        der = bytes.fromhex("30310201010420") + number
        der += bytes.fromhex("a00a06082a8648ce3d030107")
    record = struct.pack("<4sII", b"iST1", len(der), binascii.crc32(der)) + der
    assert public_half(record) == public_pem(key).decode()
    for damaged in record[:-1], record[:20] + b"?" + record[21:], b"", record[:12]:
        with pytest.raises(click.ClickException, match="identity-key is damaged: "):
            public_half(damaged)
    other = struct.pack("<4sII", b"iST1", 3, binascii.crc32(b"key")) + b"key"
    with pytest.raises(click.ClickException, match="expected a P-256 or RSA key"):
        public_half(other)


def test_the_configuration_names_mender_where_the_factory_does_not(desk):
    assert 'mender_url: "<mender_url>"' in desk.plain()
    for name in ("mender_url", "magistrala_url"):
        output = desk.plain("--force", "--set", f'{name}="https://x"')
        assert "<mender_url>" not in output and "channels:" in output


def test_a_folder_changes_no_configuration_and_says_so(desk):
    sentence = "A board that was configured before keeps its configuration until /.instar/config*"
    assert sentence in desk.plain()


def test_force_does_not_help_what_is_refused(desk):
    desk.https()
    before = (desk.folder / "instar.json").read_bytes()
    desk.https("--force", "--set", "watchdog=1", code=1)
    assert (desk.folder / "instar.json").read_bytes() == before


def test_of_the_boards_code_only_public_names_are_used():
    for program in BOARD.glob("*.py"):
        private = re.findall(r"\b(?!self\b)\w+\._(?!_)\w+", program.read_text())
        assert private == [], program


def test_without_micropython_there_is_no_verdict(desk, monkeypatch):
    monkeypatch.setenv("MICROPYTHON", "/nonexist")
    assert "the check could not be made" in desk.https(code=3)
    assert desk.files() is None


def test_a_folder_that_cannot_be_made(desk):
    desk.folder.parent.joinpath("board").write_text("a file")
    assert "is a file" in desk.https(code=2)
