"""Application slots over the air: onto a Pico W, which has nothing else, and onto an ESP32.

Every test ends in what the server believes and what lies on the board, not in what the board said.
"""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from lab import GOOD, ROLLED_BACK, Lab

# What tells one application from another, and gives it a health check.
APP = """
import json

print("@instar", json.dumps({{"event": "app", "version": {version}}}))

async def run(agent):
    agent.inventory["app_version"] = {version}

def healthy():
    return True
"""


def app(version: int, head: str = "") -> str:
    return head + APP.format(version=version)


def pair(kind: str) -> tuple[bytes, bytes]:
    """(private key, public key) in PEM."""
    if kind == "p256":
        key = ec.generate_private_key(ec.SECP256R1())
    else:
        key = rsa.generate_private_key(65537, 2048)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return private, public


@pytest.fixture(scope="module")
def keys():
    return {"p256": pair("p256"), "rsa": pair("rsa")}


@pytest.fixture
def pico(tmp_path, server, keys):
    """A Pico W that takes what one of two keys signed, and runs version 1."""
    lab = Lab(tmp_path, server, board="RPI_PICO_W")
    names = {f"/{name}.pem": public for name, (_, public) in keys.items()}
    lab.flash(
        app=app(1),
        settings={"artifact_verify_keys": sorted(names), "watchdog": 4},
        files=names,
    )
    lab.meet()
    return lab


def versions(lab) -> list[int]:
    return [event["version"] for event in lab.events if event["event"] == "app"]


def inventory(lab) -> dict:
    return lab.server.inventory(lab.device())


@pytest.mark.parametrize("kind", ["p256", "rsa"])
def test_a_signed_application_goes_onto_a_pico_and_runs(pico, keys, kind):
    deployment = pico.deploy(pico.app_artifact("release-2", app(2), key=keys[kind][0]))
    pico.run("success")
    assert pico.server.statuses(deployment) == GOOD
    assert pico.slots() == {"active": "b", "left": None, "watchdog": 0}
    assert versions(pico) == [1, 1, 2]
    pico.meet()
    assert versions(pico) == [1, 1, 2, 2]
    assert inventory(pico)["artifact_name"] == "release-2"
    assert inventory(pico)["rootfs-image.micropython-app.version"] == "release-2"
    assert inventory(pico)["app_version"] == 2
    assert inventory(pico)["slot"] == "b"


def test_the_agent_updates_itself_and_goes_on_updating(pico, keys):
    """Three releases: each is installed by the agent that the one before brought."""
    for number, slot in ((2, "b"), (3, "a"), (4, "b")):
        name = f"release-{number}"
        deployment = pico.deploy(pico.app_artifact(name, app(number), key=keys["p256"][0]))
        pico.run("success")
        assert pico.server.statuses(deployment) == GOOD
        assert pico.slot() == slot
    pico.meet()
    assert versions(pico)[-1] == 4


def fell_back(lab, deployment, statuses=ROLLED_BACK) -> str:
    """Version 1 runs from its slot, and the server was told so, with a log."""
    assert lab.server.statuses(deployment) == statuses
    assert lab.slot() == "a"
    lab.meet()
    assert versions(lab)[-1] == 1
    assert inventory(lab)["artifact_name"] == "release-1"
    return lab.log(deployment)


BROKEN = {
    "raises": "raise RuntimeError('no sensor')\n",
    "leaves": "raise SystemExit\n",
    "no syntax": None,
    "hangs": "while True:\n    pass\n",
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_application_falls_back(pico, keys, how):
    if BROKEN[how] is None:
        artifact = altered(pico, keys, {"app.mpy": b"M\x06 this is no bytecode"})
    else:
        artifact = pico.app_artifact("release-2", app(2, BROKEN[how]), key=keys["p256"][0])
    deployment = pico.deploy(artifact)
    pico.run("failure")
    log = fell_back(pico, deployment)
    assert {
        "raises": "RuntimeError: no sensor",
        "leaves": "SystemExit",
        "no syntax": "mpy",
        "hangs": "watchdog",
    }[how] in log


def altered(lab, keys, files):
    """An Artifact of the sample slot with some of its files replaced (None: left out)."""
    from instar_tools import slot_builder
    from instar_tools.artifact_writer import Content

    content = slot_builder.slot_files(lab.kind.name, lab._app_folder("altered", app(2))) | files
    content = {name: data for name, data in content.items() if data is not None}
    payload = Content(slot_builder.UPDATE_TAR, slot_builder.update_tar(content))
    return lab._write(
        "release-2",
        {"payload_type": "micropython-app", "files": [payload], "key": keys["p256"][0]},
    )


@pytest.mark.parametrize("module", ["instar/agent.mpy", "start.mpy", "board.mpy"])
def test_an_agent_that_does_not_start_falls_back(pico, keys, module):
    """Nobody of the new slot is there to act: the guard and the count of boots do it."""
    deployment = pico.deploy(altered(pico, keys, {module: b"M\x06 this is no bytecode"}))
    pico.run("failure")
    fell_back(pico, deployment)
    assert set(versions(pico)) == {1}


def test_an_agent_that_hangs_before_it_can_start_a_watchdog_falls_back(pico, keys):
    hang = {"start.py": b"while True:\n    pass\n", "start.mpy": None}
    deployment = pico.deploy(altered(pico, keys, hang))
    pico.run("failure", seconds=120)
    fell_back(pico, deployment)
    assert any(event["event"] == "watchdog" for event in pico.events)


def test_a_slot_without_the_agent_is_refused_before_it_is_started(pico, keys):
    deployment = pico.deploy(altered(pico, keys, {"start.mpy": None}))
    pico.run("failure")
    log = fell_back(pico, deployment, ["downloading", "failure"])
    assert "the slot lacks ['start']" in log
    assert pico.slots() is None


def test_what_nobody_known_signed_is_refused(pico, keys):
    stranger, _ = pair("p256")
    for name, key, why in (
        ("release-2", None, "expected a signed Artifact, got one without a signature"),
        ("release-3", stranger, "expected a signature of this manifest by one of 2 key(s)"),
    ):
        deployment = pico.deploy(pico.app_artifact(name, app(2), key=key))
        pico.run("failure")
        log = fell_back(pico, deployment, ["downloading", "failure"])
        assert why in log
        assert pico.slots() is None


@pytest.mark.parametrize("how", ["before", "torn", "ragged", "after"])
def test_power_cuts_on_the_way_leave_one_whole_slot(pico, keys, how):
    """Up to three cuts in one update: early and late in the download, and, where the update is not
    over by then, once more."""
    deployment = pico.deploy(pico.app_artifact("release-2", app(2), key=keys["p256"][0]))
    start = pico.board.ops
    for step in (20, 150, 300):
        pico.board.power_cut_at = (start + step, how)
        met = pico.board.run(until="cut", seconds=60).met
        assert met or step == 300, f"no cut at {start + step}: {pico.said()}"
    pico.run("idle")
    statuses = pico.server.statuses(deployment)
    final = statuses[-1]
    assert statuses.count("success") + statuses.count("failure") == 1
    name, slot = ("release-2", "b") if final == "success" else ("release-1", "a")
    assert pico.slot() == slot
    assert inventory(pico)["artifact_name"] == name
    pico.meet()
    assert versions(pico)[-1] == int(name[-1])


def test_an_application_slot_on_an_esp32(lab):
    """Its firmware holds the agent: the slot brings the application alone."""
    lab.flash()
    lab.meet()
    deployment = lab.deploy(lab.app_artifact("app-2", app(2)))
    lab.run("success")
    assert lab.server.statuses(deployment) == GOOD
    assert lab.app_slot() == "a" and versions(lab) == [2]
    deployment = lab.deploy(lab.app_artifact("app-3", app(3, "raise ValueError('bad')\n")))
    lab.run("failure")
    assert lab.server.statuses(deployment) == ROLLED_BACK
    assert lab.app_slot() == "a" and versions(lab)[-1] == 2
    assert inventory(lab)["artifact_name"] == "app-2"
    assert lab.slot() == "ota_0"


def test_an_application_cannot_bring_modules_of_an_esp32s_firmware(lab):
    from instar_tools import slot_builder
    from instar_tools.artifact_writer import Content

    lab.flash()
    lab.meet()
    files = {"app.py": app(2).encode(), "instar/agent.py": b"evil = True\n"}
    payload = Content("update.tar", slot_builder.update_tar(files))
    artifact = lab._write("app-2", {"payload_type": "micropython-app", "files": [payload]})
    deployment = lab.deploy(artifact)
    lab.run("failure")
    assert lab.server.statuses(deployment) == ["downloading", "failure"]
    assert "would hide modules of the firmware: ['instar']" in lab.log(deployment)
    assert lab.slots() is None


@pytest.mark.parametrize("kind", ["p256", "rsa"])
def test_a_signed_firmware_in_the_heap_of_an_esp32(lab, keys, kind):
    private, public = keys[kind]
    lab.flash(settings={"artifact_verify_keys": ["/key.pem"]}, files={"/key.pem": public})
    lab.meet()
    stranger, _ = pair(kind)
    deployment = lab.deploy(lab.artifact("release-2", key=stranger))
    lab.run("failure")
    assert lab.server.statuses(deployment) == ["downloading", "failure"]
    assert "expected a signature of this manifest by one of 1 key(s)" in lab.log(deployment)
    deployment = lab.deploy(lab.artifact("release-3", key=private))
    lab.run("success")
    assert lab.server.statuses(deployment) == GOOD
    assert lab.slot() == "ota_1"


def test_what_a_cut_download_left_is_gone_after_the_next_start(pico, keys):
    """Nobody offers it again, and nothing else would ever free the flash that it takes."""
    deployment = pico.deploy(pico.app_artifact("release-2", app(2), key=keys["p256"][0]))
    pico.board.power_cut_at = (pico.board.ops + 100, "before")
    assert pico.board.run(until="cut", seconds=60).met
    assert pico.read("/b.part/app.mpy")
    pico.server.abort(deployment)
    pico.meet()
    with pytest.raises(FileNotFoundError):
        pico.read("/b.part/app.mpy")
    assert pico.slot() == "a" and versions(pico)[-1] == 1
