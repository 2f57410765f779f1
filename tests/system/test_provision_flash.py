"""`instar provision --flash`: the settings come to a board's file system, all else stays there.

And the line that it prints registers the board at a service.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
import os
import shutil
import subprocess

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.serialization import Encoding
from lab import MAGISTRALA_HEAP, Lab
from own_certificates import self_signed

from instar_tools.cli import main
from instar_tools.server.testing import DevServer
from instar_tools.simulated.board_kinds import KINDS
from instar_tools.simulated.flash_builder import write_flash

KEY = "an-external-key-of-this-board"
URL = "https://boot.example.org:9013"
FILES = {"/boot.py": b"print(1)\n", "/data/notes.txt": b"mine" * 2000}
# Where a board's file system begins in its flash.
STARTS = {"ESP32_GENERIC": 0x310000, "RPI_PICO_W": (2048 - 848) << 10}


class Bench:
    """A flash file with some files in it, and the command for it."""

    def __init__(self, folder, board):
        self.lab = Lab(folder, None, board)
        self.flash = self.lab.path
        write_flash(self.flash, kind=KINDS[board], files=FILES, seed=1)
        self.ca = folder / "ca.pem"
        self.ca.write_bytes(self_signed("one")[0].public_bytes(Encoding.PEM))

    def provision(self, *words, code=0, key=KEY):
        words = ["provision", "--flash", self.flash, "--url", URL, "--ca", self.ca, *words]
        env = {"INSTAR_EXTERNAL_KEY": key}
        done = CliRunner().invoke(main, [str(word) for word in words], env=env)
        assert done.exit_code == code, (done.output, done.exception)
        assert key not in done.output
        return done.output

    def settings(self):
        return json.loads(self.lab.read("/instar.json"))


@pytest.fixture(params=list(KINDS))
def bench(tmp_path, request):
    return Bench(tmp_path, request.param)


def test_only_the_settings_are_new(bench):
    before = bench.flash.read_bytes()
    output = bench.provision("--device-type", "lamp")
    assert bench.settings() == {
        "bootstrap_url": URL,
        "bootstrap_profile": "clients",
        "ca": ["/bootstrap-ca-1.der"],
        "device_type": "lamp",
        "external_key": KEY,
    }
    expected = self_signed("one")[0].public_bytes(Encoding.DER)
    assert bench.lab.read("/bootstrap-ca-1.der") == expected
    for path, data in FILES.items():
        assert bench.lab.read(path) == data
    # The rest of the chip, too: MAC address, name, partition table, slots.
    after = bench.flash.read_bytes()
    start = STARTS[bench.lab.kind.name]
    assert len(after) == len(before) and after[:start] == before[:start]
    assert f'external_id: "{before[:6].hex(":")}"' in output
    assert {path.name for path in bench.flash.parent.iterdir()} == {"board.flash", "ca.pem"}


def test_what_is_refused_changes_no_byte(bench):
    before = bench.flash.read_bytes()
    assert "the board would refuse" in bench.provision("--set", "watchdog=1", code=1)
    assert bench.flash.read_bytes() == before
    bench.provision()
    before = bench.flash.read_bytes()
    output = bench.provision(code=1, key="another-key-than-before")
    assert "/instar.json; --force replaces them" in output
    assert bench.flash.read_bytes() == before


def test_force_replaces_the_settings_alone(bench):
    bench.provision("--external-id", "lamp-7")
    output = bench.provision("--force", key="another-key-than-before")
    assert bench.settings()["external_key"] == "another-key-than-before"
    assert "external_id" not in bench.settings() and "lamp-7" not in output
    assert bench.lab.read("/data/notes.txt") == FILES["/data/notes.txt"]


def test_files_that_are_on_the_board_count(tmp_path):
    bench = Bench(tmp_path, "ESP32_GENERIC")
    words = ["--set", 'artifact_verify_keys=["/data/notes.txt"]']
    assert "the board would refuse" in bench.provision(*words, code=1)
    words = ["--set", 'artifact_verify_keys=["/data/none.pem"]']
    assert "/data/none.pem is missing" in bench.provision(*words, code=1)


def test_a_file_that_is_no_boards(tmp_path):
    bench = Bench(tmp_path, "ESP32_GENERIC")
    bench.flash.write_bytes(b"hello")
    assert "expected the flash of one of ESP32_GENERIC" in bench.provision(code=1)
    assert bench.flash.read_bytes() == b"hello"


def test_a_file_system_that_does_not_mount(tmp_path):
    bench = Bench(tmp_path, "ESP32_GENERIC")
    damaged = bytearray(bench.flash.read_bytes())
    damaged[STARTS["ESP32_GENERIC"] :] = bytes(1 << 16)
    bench.flash.write_bytes(damaged)
    assert "could not be made" in bench.provision(code=3)
    assert bench.flash.read_bytes() == damaged


RECORDS = ("config", "config-dropped", "config-new", "config-new.new", "config-starts")


def test_force_removes_what_an_earlier_use_has_left(bench):
    there = {f"/.instar/{name}": b"any" for name in (*RECORDS, "identity-key")}
    made = ["/bootstrap-ca-9.der", "/verify-key-1", "/verify-key-2"]
    there |= dict.fromkeys(made, b"any")
    kind = KINDS[bench.lab.kind.name]
    write_flash(bench.flash, kind=kind, files=FILES | there, seed=1)
    before = bench.flash.read_bytes()
    output = " ".join(bench.provision(code=1).split())
    assert "there already: /.instar/config, /.instar/config-dropped, " in output
    assert "the board would refuse" in bench.provision("--force", "--set", "watchdog=1", code=1)
    assert bench.flash.read_bytes() == before
    output = bench.provision("--force", "--set", "ignore_scripts=true")
    assert "The old configuration was removed: the board fetches another." in output
    assert f"Removed, of an earlier use: {', '.join(made)}\n" in output
    assert "keeps its configuration" not in output
    for path in there.keys() - {"/.instar/identity-key"}:
        with pytest.raises(FileNotFoundError):
            bench.lab.read(path)
    assert bench.lab.read("/.instar/identity-key") == b"any"
    output = bench.provision("--force")
    assert "removed" not in output and "Removed" not in output


def test_a_configured_board_that_is_provisioned_again_asks_as_who_it_is_now(tmp_path, server):
    lab = Lab(tmp_path, server, heap=MAGISTRALA_HEAP)
    lab.flash_blank()
    lab.register()
    lab.meet()
    words = ["provision", "--flash", lab.path, "--url", server.bootstrap_url, "--plain-http"]
    words += ["--external-id", "lamp-7", "--wifi-ssid", "lab", "--force"]
    words += ["--ntp-host", "127.0.0.1", "--ntp-port", server.sntp_port]
    env = {"INSTAR_EXTERNAL_KEY": KEY, "INSTAR_WIFI_PASSWORD": ""}
    done = CliRunner().invoke(main, [str(word) for word in words], env=env)
    assert done.exit_code == 0 and "The old configuration was removed" in done.output
    server.add_config("lamp-7", KEY, content=lab.content())
    server.forget_requests()
    lab.run(lambda event: event.get("state") == "taken")
    assert server.requests()[0]["path"] == "/clients/bootstrap/lamp-7"


PROGRAMS = ("curl", "jq")


def recorded(folder):
    """A folder with programs that note their arguments and then do as the real ones."""
    shims = folder / "shims"
    shims.mkdir()
    for name in PROGRAMS:
        shim = shims / name
        shim.write_text(
            f"#!/bin/sh\nprintf '%s\\n' \"$@\" > {folder / name}.arguments\n"
            f'exec {shutil.which(name)} "$@"\n'
        )
        shim.chmod(0o755)
    return shims


@pytest.mark.parametrize(
    "served, profile", [("clients", "clients"), ("clients", "things"), ("mainflux", "mainflux")]
)
def test_the_line_for_curl_registers_the_board(tmp_path, program, served, profile):
    program("curl")
    program("jq")
    key = """it's "a\\b" \\t \\u0041 $HOME `x` %s"""
    env = {"INSTAR_EXTERNAL_KEY": key}
    with DevServer(tmp_path / "server", plain=True, bootstrap_profile=served) as server:
        service = ["--profile", profile, "--url", server.bootstrap_url, "--plain-http"]
        words = ["provision", "--folder", str(tmp_path / "board"), "--external-id", "lamp-7"]
        output = CliRunner().invoke(main, [*words, *service], env=env).output
        (line,) = [line for line in output.splitlines() if line.startswith("jq ")]
        line = line.replace("<user_token>", server.server.token)
        line = line.replace("<domain_id>", "lab").replace("<channel_id>", "c1")
        line = line.replace("<mender_url>", "https://mender.example.org")
        said = subprocess.run(
            ["sh", "-c", line],
            env={**os.environ, **env, "PATH": f"{recorded(tmp_path)}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=True,
        )
        assert said.stdout.startswith("HTTP/1.1 201 ")
        for name in PROGRAMS:  # the key is in no program's arguments, which everybody can see
            arguments = (tmp_path / f"{name}.arguments").read_text()
            assert arguments and "u0041" not in arguments
        done = CliRunner().invoke(main, ["bootstrap", "lamp-7", *service, "--json"], env=env)
        assert done.exit_code == 0, done.output
        assert json.loads(done.output)["channels"] == [{"id": "c1"}]
