"""The real mender-client (Debian's, 3.4) updates from ``instar serve``.

What it sends is compared with what was recorded of it against another server
(tests/vectors/mender-client-*.jsonl): the same calls in the same order, polls that brought nothing
aside. It looks for its files in /usr/share/mender and /etc/mender, so it runs in a mount namespace
of its own where these are the test's folders; that needs ``unshare`` but not root.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import pytest

from instar_tools.server.testing import DevServer

VECTORS = Path(__file__).parents[1] / "vectors"
ARTIFACT = VECTORS / "app-1.0.mender"
PATIENCE = 30  # seconds for one step, on a busy machine
IN_NAMESPACE = """
mount --bind "$1/share" /usr/share/mender && mount --bind "$1/etc" /etc/mender || exit 1
exec mender --config "$1/etc/mender.conf" --data "$1/data" --no-syslog daemon
"""
MODULE = """#!/bin/sh
[ "$1" = SupportsRollback ] && echo Yes
[ "$1" = ArtifactInstall ] || exit 0
{install}
"""


@pytest.fixture
def server(tmp_path):
    with DevServer(tmp_path / "server", v2=True) as running:
        running.upload(ARTIFACT)
        yield running


@pytest.fixture
def client(tmp_path, server, program):
    """``client(install)`` starts a mender-client whose update module runs that line of shell."""
    program("mender", "unshare")
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode:
        pytest.skip("not allowed here: unshare --map-root-user --mount")
    running = []

    def start(install: str) -> subprocess.Popen:
        _prepare(tmp_path / "device", server, install)
        words = ["unshare", "-rm", "sh", "-c", IN_NAMESPACE, "sh", tmp_path / "device"]
        with open(tmp_path / "client.log", "w") as log:
            running.append(subprocess.Popen(words, stdout=log, stderr=log))
        return running[0]

    yield start
    for process in running:
        process.terminate()
        process.wait(20)


def _prepare(root: Path, server: DevServer, install: str) -> None:
    for folder in ("share/identity", "share/inventory", "share/modules/v3", "etc", "data"):
        (root / folder).mkdir(parents=True)
    _script(
        root / "share/identity/mender-device-identity", "#!/bin/sh\necho mac=02:00:00:aa:bb:01\n"
    )
    _script(root / "share/modules/v3/single-file", MODULE.format(install=install))
    (root / "etc/artifact_info").write_text("artifact_name=factory-0\n")
    (root / "etc/device_type").write_text("device_type=esp32\n")
    config = {
        "ServerURL": server.url,
        "ServerCertificate": str(server.ca_bundle),
        "TenantToken": "TENANT.TOKEN.sig",
        "UpdatePollIntervalSeconds": 1,
        "InventoryPollIntervalSeconds": 600,
        "RetryPollIntervalSeconds": 1,
        "DeviceTypeFile": str(root / "etc/device_type"),
        "DBus": {"Enabled": False},
    }
    (root / "etc/mender.conf").write_text(json.dumps(config))


def _script(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def wait_for(server, process, line, since=0):
    """Until the server has given an answer that `calls` shows as ``line``, ``since`` that many
    calls. Returns how many there were with it."""
    deadline = time.monotonic() + PATIENCE
    while line not in (seen := calls(server.requests(), everything=True)[since:]):
        assert process.poll() is None, "mender-client ended early"
        assert time.monotonic() < deadline, f"expected {line!r}, got {seen}"
        time.sleep(0.1)
    return since + seen.index(line) + 1


def calls(entries, everything=False):
    """Each call in a few words; without polls for nothing and refused authentications."""
    lines = [_words(entry) for entry in entries if entry["status"]]
    return [line for line in lines if everything or line not in ("next 204", "auth 401")]


def _words(entry):
    path, status = entry["path"].partition("?")[0], entry["status"]
    names = {"auth_requests": "auth", "attributes": "inventory", "next": "next", "log": "log"}
    if path.endswith("/status"):
        return f"{json.loads(entry['body'])['status']} {status}"
    return f"{names.get(path.rpartition('/')[2], 'download')} {status}"


def recorded(name):
    with open(VECTORS / f"mender-client-{name}.jsonl") as lines:
        return [json.loads(line) for line in lines]


def deploy(server, process):
    """Accept the device, wait until it found nothing to do, then give it something."""
    wait_for(server, process, "auth 401")
    (device,) = server.accept_all()
    wait_for(server, process, "next 204")
    return device, server.deploy("app-1.0", [device])


@pytest.mark.interop
def test_it_completes_a_deployment(server, client, tmp_path):
    process = client(f'cp "$2/files/main.py" "{tmp_path}/installed.py"')
    device, deployment = deploy(server, process)
    reported = wait_for(server, process, "success 204")
    asked = wait_for(server, process, "inventory 200", reported)
    wait_for(server, process, "next 204", asked)
    assert (tmp_path / "installed.py").read_text() == 'print("release 1")\n'
    assert calls(server.requests()) == calls(recorded("a_basic_success"))
    check_headers(server.requests(), recorded("a_basic_success"))
    assert server.deployment(deployment)["devices"][0]["status"] == "success"
    assert server.inventory(device)["artifact_name"] == "app-1.0"


@pytest.mark.interop
def test_it_reports_a_failure_with_its_log(server, client):
    process = client("echo no room >&2; exit 7")
    device, deployment = deploy(server, process)
    reported = wait_for(server, process, "log 204")
    wait_for(server, process, "inventory 200", reported)
    assert calls(server.requests()) == calls(recorded("b_failing_install"))
    assert server.deployment(deployment)["devices"][0]["status"] == "failure"
    assert any("no room" in entry["message"] for entry in server.log(deployment, device))
    assert server.inventory(device)["artifact_name"] == "factory-0"


def check_headers(entries, expected):
    """The same headers at each kind of call; no token to the object store."""

    def kinds(found, names):
        return {_words(entry): sorted(names(entry)) for entry in found}

    ours = kinds(entries, lambda entry: [name.lower() for name, _ in entry["headers"]])
    theirs = kinds(expected, lambda entry: [name.lower() for name in entry["header_names"]])
    assert ours == theirs
    assert "authorization" not in ours["download 200"]
