"""A simulated ESP32 against the development server: whole updates, good and bad.

Every test ends in what the server believes and what lies in the flash, not in what the board said.
"""

from __future__ import annotations

import json

import pytest
from lab import GOOD, ROLLED_BACK, SECONDS, Lab, image, sha256

from instar_tools import image_builder
from instar_tools.server.testing import DevServer


def test_an_update_is_installed_proven_and_reported(lab):
    lab.flash()
    lab.meet()
    assert lab.server.inventory(lab.device())["artifact_name"] == "release-1"
    deployment = lab.deploy(lab.artifact("release-2"))
    lab.run("success")
    new = image("release-2")
    assert lab.server.statuses(deployment) == GOOD
    assert lab.slot() == "ota_1" and lab.digest("ota_1", len(new)) == sha256(new)
    inventory = lab.server.inventory(lab.device())
    assert inventory["artifact_name"] == "release-2"
    assert inventory["rootfs-image.version"] == "release-2"
    assert inventory["rootfs-image.checksum"] == sha256(new)
    assert len(lab.server.devices()) == 1  # the identity key is the one from before


def test_updates_go_on_into_the_other_slot(lab):
    lab.flash()
    lab.meet()
    for name, slot in (("release-2", "ota_1"), ("release-3", "ota_0")):
        deployment = lab.deploy(lab.artifact(name, compression="none"))
        lab.run("success")
        assert lab.server.statuses(deployment) == GOOD
        assert lab.slot() == slot
        assert lab.digest(slot, len(image(name))) == sha256(image(name))


def rolls_back(lab, deployment, statuses=ROLLED_BACK):
    """The old image runs, untouched, and the server was told so, with a log."""
    old = image("release-1")
    assert lab.server.statuses(deployment) == statuses
    assert lab.slot() == "ota_0" and lab.digest("ota_0", len(old)) == sha256(old)
    assert lab.server.inventory(lab.device())["artifact_name"] == "release-1"
    return lab.log(deployment)


def test_an_application_that_crashes_at_its_start(lab):
    lab.flash()
    lab.meet()
    bad = image("release-2", head="raise RuntimeError('no sensor')\n")
    deployment = lab.deploy(lab.artifact("release-2", bad))
    lab.run("failure")
    log = rolls_back(lab, deployment)
    assert "RuntimeError: no sensor" in log
    assert "the new software does not run" in log


@pytest.mark.parametrize("module", ["instar/agent.py", "board.py", "start.py"])
def test_firmware_that_does_not_even_start(lab, module):
    lab.flash()
    lab.meet()
    bad = broken("release-2", module)
    deployment = lab.deploy(lab.artifact("release-2", bad))
    lab.run("failure")
    rolls_back(lab, deployment)


def broken(name, module):
    files = image_builder.firmware_files()
    files[module] = b"raise ImportError('half a file')\n"
    return image_builder.build_image(name, image_builder.compiled(files))


def test_an_application_that_leaves_is_no_way_out(lab):
    lab.flash()
    lab.meet()
    bad = image("release-2", head="raise SystemExit\n")
    deployment = lab.deploy(lab.artifact("release-2", bad))
    lab.run("failure")
    assert "SystemExit" in rolls_back(lab, deployment)


def test_an_application_that_hangs_is_ended_by_the_watchdog(lab):
    lab.flash(settings={"watchdog": 3})
    lab.meet()
    bad = image("release-2", head="while True:\n    pass\n")
    deployment = lab.deploy(lab.artifact("release-2", bad))
    lab.run("failure")
    log = rolls_back(lab, deployment)
    assert any(event["event"] == "watchdog" for event in lab.events)
    assert "watchdog" in log


def test_an_application_that_is_not_well_is_not_kept(lab):
    lab.flash(settings={"proof_timeout": 6})
    lab.meet()
    bad = image("release-2", app="async def run(agent):\n    pass\n\ndef healthy():\n    pass\n")
    # The limit is the new software's own setting, which lies on the file system: the same file.
    deployment = lab.deploy(lab.artifact("release-2", bad))
    lab.run("failure")
    statuses = lab.server.statuses(deployment)
    assert statuses[:3] == ROLLED_BACK[:3] and statuses[-1] == "failure"
    assert "success" not in statuses
    log = rolls_back(lab, deployment, statuses)
    assert "not proven within 6 s: the application's health check does not pass" in log


def test_an_image_that_cannot_reach_the_server_is_not_kept(lab):
    lab.flash(settings={"proof_timeout": 4})
    lab.meet()
    deployment = lab.deploy(lab.artifact("release-2"))
    lab.run(lambda event: event["event"] == "state" and event["state"] == "reboot")
    lab.server.faults({"match": "auth_requests", "status": 503, "times": None})
    lab.run(lambda event: event["event"] == "state" and event["state"] == "rollback")
    lab.server.faults()
    lab.run("failure")
    assert lab.server.statuses(deployment)[-1] == "failure"
    rolls_back(lab, deployment, lab.server.statuses(deployment))


@pytest.mark.parametrize("status", ["downloading", "installing", "rebooting"])
def test_an_aborted_deployment_stops_and_says_nothing_more(lab, status):
    lab.flash()
    lab.meet()
    deployment = lab.deploy(lab.artifact("release-2"))
    known = ["downloading", "installing", "rebooting"]
    before = known[: known.index(status)]
    # The next status waits long enough on its way for the operator to come first.
    lab.server.faults({"match": "PUT .*/status", "skip": len(before), "stall": 1})

    def reported(event):
        last = event.get("status") if event["event"] == "report" else None
        if (event["event"] == "deployment" and not before) or (before and last == before[-1]):
            lab.server.abort(deployment)
        return event["event"] == "idle"

    lab.run(reported)
    # An answer of 409 is not a status that the server took.
    assert lab.server.statuses(deployment) == before
    assert lab.slot() == "ota_0"
    lab.meet()
    assert lab.slot() == "ota_0"
    assert lab.server.inventory(lab.device())["artifact_name"] == "release-1"


def test_a_link_that_breaks_is_taken_up_where_it_broke(lab):
    lab.flash(settings={"download_tries": 5})
    lab.meet()
    lab.server.faults(
        {"match": "GET /mender-artifact-storage", "cut": 5000},
        {"match": "GET /mender-artifact-storage", "cut": 20000},
    )
    deployment = lab.deploy(lab.artifact("release-2"))
    lab.run("success")
    assert lab.server.statuses(deployment) == GOOD
    gets = [r for r in lab.server.requests() if "mender-artifact-storage" in r["path"]]
    ranges = [dict(r["headers"]).get("Range") for r in gets]
    assert len(ranges) == 3 and ranges[0] is None
    first, second = (int(r.removeprefix("bytes=").removesuffix("-")) for r in ranges[1:])
    assert 0 < first <= 5000 < second <= 25000
    assert all("Authorization" not in dict(r["headers"]) for r in gets)


def test_a_token_that_ends_is_renewed_without_a_word(tmp_path):
    with DevServer(tmp_path / "server", token_lifetime=1) as server:
        lab = Lab(tmp_path, server)
        lab.flash(settings={"update_poll_interval": 2})
        lab.meet()
        deployment = lab.deploy(lab.artifact("release-2"))
        lab.run("success")
        assert server.statuses(deployment) == GOOD


def test_power_cuts_on_the_way_end_in_the_truth(lab):
    """A few places; the sweep over all of them is a suite of its own."""
    lab.flash(settings={"update_poll_interval": 1})
    lab.meet()
    deployment = lab.deploy(lab.artifact("release-2"))
    start = lab.board.ops
    for step, how in ((40, "torn"), (90, "before"), (150, "after")):
        lab.board.power_cut_at = (start + step, how)
        assert lab.board.run(until="cut", seconds=SECONDS).met
    lab.run(lambda event: event["event"] == "idle")
    statuses = lab.server.statuses(deployment)
    final = statuses[-1]
    assert final in ("success", "failure")
    assert statuses.count("success") + statuses.count("failure") == 1
    name, slot = ("release-2", "ota_1") if final == "success" else ("release-1", "ota_0")
    assert lab.slot() == slot
    assert lab.digest(slot, len(image(name))) == sha256(image(name))
    assert lab.server.inventory(lab.device())["artifact_name"] == name


def test_an_idle_board_writes_nothing(lab):
    lab.flash()
    lab.meet()
    polls = []

    def third(event):
        if event["event"] == "idle":
            polls.append(lab.board.ops)
        return len(polls) == 3

    lab.run(third)
    assert polls[0] == polls[1] == polls[2]


def test_stale_code_on_the_file_system_is_not_what_runs(lab):
    planted = b"raise RuntimeError('stale code runs')\n"
    lab.flash(
        files={
            "/errors.py": planted,
            "/app.py": planted,
            "/board.py": planted,
            "/lib/instar/__init__.py": planted,
            "/lib/instar/agent.py": planted,
            "/instar/__init__.py": planted,
            "/asyncio.py": planted,
        }
    )
    lab.meet()
    assert not any("stale" in line for line in lab.console + lab.errors())
    assert lab.server.inventory(lab.device())["artifact_name"] == "release-1"


def test_the_users_tasks_go_on_during_a_download(lab):
    app = """
import asyncio, json

ticks = 0

async def run(agent):
    tell = agent.on_event
    seen = []
    def told(event):
        tell(event)
        if event["event"] == "progress":
            seen.append(ticks)
        elif event["event"] == "state" and event["state"] == "install":
            print("@instar", json.dumps({"event": "ticks", "first": seen[0], "last": seen[-1]}))
    agent.on_event = told
    global ticks
    while True:
        ticks += 1
        await asyncio.sleep_ms(10)
"""
    lab.flash(image("release-1", app=app))
    lab.meet()
    # Incompressible ballast makes the download long enough to see the ticker go round in it.
    import random

    ballast = random.Random(1).randbytes(700_000)
    new = image_with("release-2", {"ballast.bin": ballast})
    lab.deploy(lab.artifact("release-2", new))
    lab.run("success")
    (ticks,) = [event for event in lab.events if event["event"] == "ticks"]
    assert ticks["last"] - ticks["first"] >= 5, ticks


def image_with(name, files):
    parts = {**image_builder.firmware_files(), **files}
    return image_builder.build_image(name, image_builder.compiled(parts))


def test_the_board_runs_on_the_settings_it_has(lab):
    lab.flash(settings={"update_poll_interval": "often"})
    assert not lab.board.run(until="idle", boots=2, seconds=SECONDS).met
    text = "\n".join(lab.console)
    assert "update_poll_interval: expected 1 to 31536000 seconds, got 'often'" in text
    assert json.dumps(lab.server.devices()) == "[]"


def test_a_heap_of_68_kw_is_enough_where_nothing_is_compressed(tmp_path, server):
    lab = Lab(tmp_path, server, heap="68wk")
    lab.flash()
    lab.meet()
    deployment = lab.deploy(lab.artifact("release-2", compression="none"))
    lab.run("success")
    assert lab.server.statuses(deployment) == GOOD
    (heap,) = {event["size"] for event in lab.events if event["event"] == "heap"}
    assert heap == 136 << 10
