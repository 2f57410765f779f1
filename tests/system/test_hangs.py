"""What hangs is ended: by the watchdog, or by a limit of its own; and the old software goes on.

Real processes and a real watchdog, which cannot be less than three seconds.
"""

from __future__ import annotations

import pytest
from lab import Lab, image

from instar_tools import image_builder
from instar_tools.artifact_writer import Content, write_artifact
from instar_tools.server.testing import DevServer

SETTINGS = {"watchdog": 3, "allow_plain_http": True}

# For want of patience: to its host, the agent's last sign of progress grows old by a minute each
# second. So what makes none is ended after two seconds and not after two minutes.
APP = """
import asyncio

async def run(agent):
    while True:
        await asyncio.sleep(1)
        agent._beat -= 60000
"""

# A payload type that puts words into a file, and hangs in one state, as its Artifact asks.
PAYLOADS = """
import asyncio, os
from instar.installers.base import Installer

class Words(Installer):
    supports_rollback = True

    def begin(self, header):
        with open("/how", "w") as file:
            file.write(header.meta_data["how"])

    def download(self, name, size):
        return open("/words.new", "wb")

    async def _hang(self, state):
        with open("/how") as file:
            where, how = file.read().split(" ")
        if where != state:
            return
        with open("/how", "w") as file:
            file.write("once done")
        while how == "blocks":
            pass
        await asyncio.Event().wait()

    async def install(self):
        os.rename("/words.new", "/words")
        await self._hang("install")

    async def commit(self):
        raise ValueError("these words are not kept")

    async def rollback(self):
        await self._hang("rollback")
        if "words" in os.listdir("/"):
            os.remove("/words")

INSTALLERS = {"words": Words}
"""


@pytest.fixture
def lab(tmp_path):
    with DevServer(tmp_path / "server", plain=True) as server:
        yield Lab(tmp_path, server, heap="2M")


def with_words() -> bytes:
    files = image_builder.firmware_files()
    files["payloads.py"] = PAYLOADS.encode()
    files["app.py"] = APP.encode()
    return image_builder.build_image("release-1", image_builder.compiled(files))


def words(lab: Lab, how: str):
    path = lab.folder / "words.mender"
    write_artifact(
        path,
        artifact_name="words",
        device_types=["esp32"],
        payload_type="words",
        files=[Content("words.txt", b"hello")],
        meta_data={"how": how},
    )
    return path


def ends(lab: Lab) -> list[str]:
    """How the boots ended that ended by themselves."""
    return [e["event"] for e in lab.events if e["event"] in ("watchdog", "reset", "panic")]


@pytest.mark.parametrize("state, how", [("install", "blocks"), ("rollback", "awaits")])
def test_an_installer_that_hangs_is_ended_by_the_watchdog(lab, state, how):
    lab.flash(with_words(), settings=SETTINGS)
    lab.meet()
    deployment = lab.deploy(words(lab, f"{state} {how}"))
    lab.run("failure")
    told = ["downloading", "installing", "failure"]
    if state == "rollback":
        told.insert(1, "installing")  # the proof, which it passed before its commit failed
    assert lab.server.statuses(deployment) == told
    assert ends(lab) == ["watchdog"]
    assert f"started in {state}: watchdog" in lab.log(deployment)
    with pytest.raises(FileNotFoundError):
        lab.read("/words")
    lab.meet()
    assert lab.server.inventory(lab.device())["artifact_name"] == "release-1"


def test_an_application_that_blocks_the_loop_on_trial_is_not_kept(lab):
    lab.flash(settings=SETTINGS)
    lab.meet()
    source = "async def run(agent):\n    pass\n\ndef healthy():\n    while True:\n        pass\n"
    deployment = lab.deploy(lab.artifact("release-2", image("release-2", app=source)))
    lab.run("failure")
    told = ["downloading", "installing", "rebooting", "installing", "failure"]
    assert lab.server.statuses(deployment) == told
    assert ends(lab) == ["reset", "watchdog"]
    assert "started in commit: watchdog" in lab.log(deployment)
    assert lab.slot() == "ota_0"
    assert lab.server.inventory(lab.device())["artifact_name"] == "release-1"


def test_a_server_that_falls_silent_is_no_case_for_the_watchdog(lab):
    """It takes the request, and says nothing for ever: of the Artifact, then to the report."""
    lab.flash(settings={**SETTINGS, "http_timeout": 2})
    lab.meet()
    lab.server.faults(
        {"match": "GET /mender-artifact-storage", "stall": 3600, "times": None},
        {"match": "PUT .*/status", "skip": 1, "stall": 3600},
    )
    deployment = lab.deploy(lab.artifact("release-2"))
    lab.run("failure")
    assert lab.server.statuses(deployment) == ["downloading", "failure"]
    assert "timeout after 2 s waiting for the answer" in lab.log(deployment)
    assert ends(lab) == [] and lab.slot() == "ota_0"


def test_a_server_that_is_silent_on_trial_is_no_proof(lab):
    lab.flash(settings={**SETTINGS, "http_timeout": 1, "proof_timeout": 3})
    lab.meet()
    deployment = lab.deploy(lab.artifact("release-2"))

    def silent(event):
        if event.get("state") == "reboot":
            lab.server.faults({"match": ".", "stall": 3600, "times": None})
        elif event.get("state") == "rollback":
            lab.server.faults()
        return event["event"] == "idle"

    lab.run(silent)
    assert lab.server.statuses(deployment)[-1] == "failure"
    assert "success" not in lab.server.statuses(deployment)
    assert "not proven within 3 s" in lab.log(deployment)
    assert ends(lab) == ["reset", "reset"] and lab.slot() == "ota_0"
