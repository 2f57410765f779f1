"""Whatever is wrong ends in a clear error; the running slot and the settings stay as they were.

Where there is a deployment, the server is told of the failure, with a log that names the cause.
"""

from __future__ import annotations

import datetime as dt
import json

import pytest
from lab import Lab, image, sha256

from instar_tools.server.testing import DevServer


def retries(lab):
    """Run until the board has said what is wrong and waits for its next try."""
    lab.run("retry")
    old = image("release-1")
    assert lab.slot() == "ota_0" and lab.digest("ota_0", len(old)) == sha256(old)
    return "\n".join(lab.errors())


# ---- the server cannot be trusted, reached, or understood


def test_wrong_ca(lab):
    lab.flash(settings={"ca": ["/storage-ca.der"]})
    assert "not signed by" in retries(lab) or "not correctly signed" in retries(lab)
    assert lab.server.devices() == []


def test_no_ca(lab):
    lab.flash(settings={"ca": []})
    assert "expected a CA certificate in the settings, got none" in retries(lab)
    assert lab.server.devices() == []


def test_wrong_host_name(tmp_path):
    with DevServer(tmp_path / "server", names=["elsewhere.example"]) as server:
        lab = Lab(tmp_path, server)
        lab.flash()
        assert "host name" in retries(lab)
        assert server.devices() == []


@pytest.mark.parametrize(
    ("first", "last", "text"), [(-30, -1, "expired"), (1, 30, "future")], ids=["expired", "future"]
)
def test_a_certificate_outside_its_dates(tmp_path, first, last, text):
    now = dt.datetime.now(dt.timezone.utc)
    validity = now + dt.timedelta(days=first), now + dt.timedelta(days=last)
    with DevServer(tmp_path / "server", validity=validity) as server:
        lab = Lab(tmp_path, server)
        lab.flash()
        said = retries(lab)
        assert text in said
        assert f"{now:%Y-%m-%d}" in said  # what the board's clock reads
        assert server.devices() == []


def test_a_clock_at_2000_and_no_time_server(lab):
    lab.flash(settings={"ntp_port": 9})
    said = retries(lab)
    assert "SNTP" in said
    # The floor is the best that is left; the certificates are younger than that.
    assert "2026-11-01" in said
    assert lab.server.devices() == []


def test_a_clock_at_2000_is_set_by_sntp(lab):
    lab.flash()
    lab.run("idle")
    assert lab.errors() == []


def test_refused_connection(lab):
    lab.flash(settings={"mender_url": "https://127.0.0.1:9"})
    assert "127.0.0.1:9" in retries(lab)


@pytest.mark.parametrize(
    ("path", "body", "text"),
    [
        ("auth_requests", "<html>Log in to the hotel's Wi-Fi</html>", "40 bytes of text/html"),
        ("auth_requests", "", "token"),
        ("deployments/next", "<html>", "JSON"),
        ("deployments/next", '{"id": "d"}', "artifact"),
        ("deployments/next", "[]", "expected {id, artifact: {source: {uri}}}, got '[]'"),
    ],
)
def test_answers_that_are_none(lab, path, body, text):
    lab.flash()
    lab.meet()
    headers = {"Content-Type": "text/html"}  # as a captive portal says to everything
    lab.server.faults({"match": path, "status": 200, "body": body, "headers": headers})
    assert text in retries(lab)
    lab.events.clear()
    lab.run("idle")  # the next poll works
    assert lab.errors() == []


def test_a_busy_server_is_given_the_time_it_asks_for(lab):
    lab.flash()
    lab.meet()
    fault = {"match": "deployments/next", "status": 429, "headers": {"Retry-After": "2"}}
    lab.server.faults(fault)
    lab.run("retry")
    assert [e["seconds"] for e in lab.events if e["event"] == "retry"][-1] == 2


# ---- the Artifact is not for this board, or is none


def fails(lab, deployment, text, statuses=("downloading", "failure")):
    lab.run("failure")
    assert lab.server.statuses(deployment) == list(statuses)
    assert text in lab.log(deployment)
    old = image("release-1")
    assert lab.slot() == "ota_0" and lab.digest("ota_0", len(old)) == sha256(old)
    assert lab.server.inventory(lab.device())["artifact_name"] == "release-1"
    assert json.loads(lab.read("/instar.json")) == lab.settings


def stored(lab):
    """The Artifact's file on the server, for tests that change it after the upload."""
    (path,) = (lab.server.options.data / "artifacts").glob("*")
    return path


def test_an_artifact_for_another_device_type(lab):
    lab.flash()
    lab.meet()
    deployment = lab.deploy(lab.artifact("release-2"))
    other = lab.artifact("release-2", device_types=["raspberrypi4"])
    stored(lab).write_bytes(other.read_bytes())
    fails(lab, deployment, "Artifact is for device types ['raspberrypi4'], this board is 'esp32'")


def test_a_truncated_artifact(lab):
    lab.flash()
    lab.meet()
    deployment = lab.deploy(lab.artifact("release-2"))
    path = stored(lab)
    path.write_bytes(path.read_bytes()[:-3000])
    fails(lab, deployment, "Artifact")


def test_an_altered_artifact(lab):
    lab.flash()
    lab.meet()
    deployment = lab.deploy(lab.artifact("release-2", compression="none"))
    path = stored(lab)
    data = bytearray(path.read_bytes())
    data[-20000] ^= 1
    path.write_bytes(bytes(data))
    fails(lab, deployment, "data/0000/release-2.bin: expected SHA-256")


def test_an_image_larger_than_the_slot(lab):
    lab.flash()
    lab.meet()
    deployment = lab.deploy(lab.artifact("release-2", bytes(0x180001)))
    fails(lab, deployment, "1572865 bytes do not fit slot ota_1 of 1572864")


def test_a_payload_that_is_no_image(lab):
    lab.flash()
    lab.meet()
    before = lab.digest("ota_1")
    deployment = lab.deploy(lab.artifact("release-2", b"not an image" * 1000))
    fails(lab, deployment, "the payload is no ESP32 image: starts with 0x6e, expected 0xe9")
    assert lab.digest("ota_1") == before


def test_an_image_that_the_boot_loader_would_refuse(lab):
    lab.flash()
    lab.meet()
    bad = bytearray(image("release-2"))
    bad[5000] ^= 1
    deployment = lab.deploy(lab.artifact("release-2", bytes(bad)))
    statuses = ("downloading", "installing", "failure")
    fails(lab, deployment, "the boot loader refuses the image", statuses)


def test_a_payload_type_that_the_board_has_no_installer_for(lab):
    lab.flash()
    lab.meet()
    deployment = lab.deploy(lab.artifact("release-2", payload_type="docker"))
    fails(
        lab,
        deployment,
        "no installer for payload type 'docker': this board has"
        " ['directory', 'micropython-app', 'rootfs-image', 'single-file']",
    )


def test_a_download_that_never_ends_well(lab):
    lab.flash()
    lab.meet()
    deployment = lab.deploy(lab.artifact("release-2"))
    lab.server.faults({"match": "GET /mender-artifact-storage", "cut": 2000, "times": None})
    fails(lab, deployment, "download at byte")


def test_a_storage_host_that_cannot_be_trusted(lab):
    lab.flash(settings={"ca": ["/api-ca.der"]})
    lab.meet()
    deployment = lab.deploy(lab.artifact("release-2"))
    fails(lab, deployment, "signed")
