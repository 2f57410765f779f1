"""Mender's tutorial for third-party clients, with openssl and curl, against ``instar serve``.

The script beside this file holds the tutorial's commands; docs/mender.md lists where the tutorial
itself is out of date.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from instar_tools.server.testing import DevServer

SCRIPT = Path(__file__).with_name("seed_walkthrough.sh")
STATUSES = ["downloading", "installing", "rebooting", "success", "failure", "already-installed"]
OPERATOR = """#!/bin/sh
instar() {{ {python} -c 'from instar_tools.cli import main; main()' "$@" {where} >&2; }}
case "$1" in
    accept) instar device accept --all ;;
    deploy) instar release upload "$2" && instar deployment create --artifact "$3" --all ;;
esac
"""


@pytest.fixture
def server(tmp_path):
    with DevServer(tmp_path / "server") as running:
        yield running


@pytest.fixture
def results(server, tmp_path, program):
    """name: value, of what the walk-through printed."""
    program("bash", "openssl", "curl", "jq", "mender-artifact")
    operator, work = tmp_path / "operator", tmp_path / "work"
    where = f"--server {server.url} --data {server.options.data}"
    operator.write_text(OPERATOR.format(python=sys.executable, where=where))
    operator.chmod(0o755)
    work.mkdir()
    environment = {
        **os.environ,
        "MENDER_SERVER_URL": server.url,
        "CURL_CA_BUNDLE": str(server.ca_bundle),
        "OPERATOR": str(operator),
    }
    done = subprocess.run(
        ["bash", SCRIPT], cwd=work, env=environment, capture_output=True, text=True, check=True
    )
    return dict(line.split(" ", 1) for line in done.stdout.splitlines())


@pytest.mark.interop
def test_the_tutorial_as_printed(results, server):
    assert results == {
        "pending": "dev auth: unauthorized",
        "pending-code": "401",
        "jwt": "3",
        "inventory": "200",
        "next-none": "204",
        "next": '["release-v2",["curl-client"]]',
        "downloaded": "same",
        **dict.fromkeys(STATUSES, "204"),
        "substate": "204",
        "log": "204",
    }
    (device,) = server.devices()
    (deployment,) = server.deployments()
    assert device["identity_data"] == {"mac": "00:11:22:33:44:55"}
    assert server.inventory(device["id"])["device_type"] == "curl-client"
    assert server.statuses(deployment["id"]) == [*STATUSES, "installing"]
    assert server.deployment_history(deployment["id"])[-1]["substate"] == "writing 40%"
    assert [entry["message"] for entry in server.log(deployment["id"], device["id"])] == ["done"]
