"""A download that the power ended goes on where it was; one whose URL expired gets another.

Only firmware images that are not compressed are taken up after a restart: see docs/mender.md.
"""

from __future__ import annotations

import json
import random

import pytest
from lab import GOOD, MURANO_HEAP, SECONDS, Lab, image, sha256
from test_app_updates import pair
from test_update import image_with

STORAGE = "mender-artifact-storage"
CHECKPOINT = 128 << 10
SECTOR = 4096
SLOT = 0x190000  # of ota_1
RECORD = "/.instar/download"


@pytest.fixture(scope="module")
def new():
    ballast = random.Random(7).randbytes(300_000)
    return image_with("release-2", {"ballast.bin": ballast})


def begun(lab, new, cuts=(200,)):
    """A board whose download was cut after so many flash operations, each time."""
    lab.flash()
    lab.meet()
    deployment = lab.deploy(lab.artifact("release-2", new, compression="none"))
    for count in cuts:
        cut(lab, count)
    return deployment


def cut(lab, count):
    lab.board.power_cut_at = (lab.board.ops + count, "torn")
    assert lab.board.run(until="cut", seconds=SECONDS).met


def ranges(lab):
    gets = [r for r in lab.server.requests() if STORAGE in r["path"]]
    return [dict(r["headers"]).get("Range") for r in gets]


def from_there(text):
    return int(text.removeprefix("bytes=").removesuffix("-"))


def is_updated(lab, deployment, new):
    lab.run("success")
    statuses = lab.server.statuses(deployment)
    assert [s for s in statuses if s != "downloading"] == GOOD[1:], statuses
    assert lab.slot() == "ota_1" and lab.digest("ota_1", len(new)) == sha256(new)


def test_each_restart_goes_on_at_the_last_checkpoint(lab, new):
    deployment = begun(lab, new, (200, 420, 30))
    is_updated(lab, deployment, new)
    first, *others = ranges(lab)
    assert first is None and others[0::2] == [others[0]] * 3
    head = int(others[0].removeprefix("bytes=0-")) + 1
    assert head < 10000 and head % 512 == 0
    assert [from_there(text) - head for text in others[1::2]] == [
        CHECKPOINT,
        3 * CHECKPOINT,
        3 * CHECKPOINT,
    ]


def test_restarts_that_come_further_are_not_counted_as_failures(lab, new):
    """Four without a checkpoint between them end a deployment; here are six in all."""
    deployment = begun(lab, new, (30, 30, 200, 30, 30, 300))
    is_updated(lab, deployment, new)


def test_a_download_that_never_gets_far_is_given_up(lab, new):
    deployment = begun(lab, new, (30, 30, 30, 30))
    lab.run("failure")
    assert lab.server.statuses(deployment) == ["downloading"] * 4 + ["failure"]
    assert "the board restarted 4 times while downloading" in lab.log(deployment)


def test_what_lies_in_the_slot_is_not_believed(lab, new):
    deployment = begun(lab, new)
    flash = bytearray(lab.path.read_bytes())
    flash[SLOT + 5 * SECTOR] ^= 0x10
    lab.path.write_bytes(flash)
    is_updated(lab, deployment, new)
    assert ranges(lab)[-1] is None  # the whole of it once more


def test_another_artifact_under_the_same_offer_is_taken_from_its_beginning(lab, new):
    deployment = begun(lab, new)
    other = image("release-2", head="# another\n")
    path = lab.artifact("other", other, compression="none", artifact_name="release-2")
    replaced(lab, path)
    is_updated(lab, deployment, other)
    assert ranges(lab)[-1] is None


def test_a_checkpoint_that_is_damaged_costs_a_download(lab, new):
    deployment = begun(lab, new)
    record = lab.read(RECORD)
    flash = lab.path.read_bytes()
    assert record[12:] in flash
    lab.path.write_bytes(flash.replace(record[12:], bytes(len(record) - 12)))
    is_updated(lab, deployment, new)
    assert ranges(lab) == [None, None]


def test_a_server_that_knows_no_ranges_sends_it_all_again(lab, new):
    deployment = begun(lab, new)
    lab.server.faults({"match": f"GET /{STORAGE}", "ignore_range": True, "times": None})
    is_updated(lab, deployment, new)
    assert from_there(ranges(lab)[-1]) > CHECKPOINT


def test_breaks_that_come_further_are_not_counted_either(lab, new):
    lab.flash(settings={"download_tries": 2})
    lab.meet()
    lab.server.faults({"match": f"GET /{STORAGE}", "cut": 80_000, "times": 5})
    deployment = lab.deploy(lab.artifact("release-2", new, compression="none"))
    is_updated(lab, deployment, new)
    assert len(ranges(lab)) == 6


def test_a_compressed_image_begins_anew(lab, new):
    lab.flash()
    lab.meet()
    deployment = lab.deploy(lab.artifact("release-2", new))
    cut(lab, 200)
    is_updated(lab, deployment, new)
    assert ranges(lab) == [None, None]
    with pytest.raises(FileNotFoundError):
        lab.read(RECORD)


def test_a_raw_image_of_murano_goes_on_as_well(tmp_path, server, new):
    lab = Lab(tmp_path, server, heap=MURANO_HEAP)
    lab.flash(settings=lab.product())
    lab.meet()
    lab.offer("2.0", new, format="firmware", size=len(new), sha256=sha256(new))
    cut(lab, 220)
    lab.run("success")
    assert lab.slot() == "ota_1" and lab.digest("ota_1", len(new)) == sha256(new)
    gets = [dict(r["headers"]).get("Range") for r in lab.server.requests()]
    assert [found for found in gets if found] == [f"bytes={CHECKPOINT}-"]


def test_a_url_that_expired_is_asked_for_anew(lab):
    lab.flash(settings={"download_tries": 4})
    lab.meet()
    lab.server.faults(
        {"match": f"GET /{STORAGE}", "cut": 20000},
        {"match": f"GET /{STORAGE}", "status": 403, "body": "<Error>AccessDenied</Error>"},
    )
    deployment = lab.deploy(lab.artifact("release-2"))
    lab.run("success")
    assert lab.server.statuses(deployment) == GOOD
    gets = [r for r in lab.server.requests() if STORAGE in r["path"]]
    assert [r["status"] for r in gets] == [200, 403, 206]
    assert gets[1]["query"] == gets[0]["query"] != gets[2]["query"]


def test_a_deployment_that_is_no_longer_offered_is_not_downloaded_further(lab):
    lab.flash(settings={"download_tries": 4})
    lab.meet()
    lab.server.faults({"match": f"GET /{STORAGE}", "status": 403, "times": None})
    deployment = lab.deploy(lab.artifact("release-2"))

    def aborting(event):
        if event["event"] == "report":
            lab.server.abort(deployment)
        return event["event"] == "idle"

    lab.run(aborting)
    assert lab.server.statuses(deployment) == ["downloading"]
    assert len(ranges(lab)) == 1 and lab.slot() == "ota_0"


# ---- what changes between the cut and the next start


def replaced(lab, path):
    """The server has another Artifact under the same URL."""
    (stored,) = (lab.folder / "server" / "artifacts").iterdir()
    stored.write_bytes(path.read_bytes())


def is_refused(lab, deployment, why):
    """Taken up, and refused all the same: what lay in the slot does not run."""
    lab.run("failure")
    statuses = lab.server.statuses(deployment)
    assert statuses[-1] == "failure" and set(statuses[:-1]) == {"downloading"}, statuses
    log = lab.log(deployment)
    assert "taken up after a restart" in log and why in log, log
    lab.meet()
    assert lab.slot() == "ota_0"
    assert lab.server.inventory(lab.device())["artifact_name"] == lab.settings["artifact_name"]


def test_a_signature_counts_after_a_restart_as_well(lab, new):
    (private, public), (stranger, _) = pair("p256"), pair("p256")
    lab.flash(settings={"artifact_verify_keys": ["/key.pem"]}, files={"/key.pem": public})
    lab.meet()
    signed = lab.artifact("release-2", new, compression="none", key=private)
    lab.server.upload(signed)
    for name, key, why in (
        ("unsigned", None, "expected a signed Artifact, got one without a signature"),
        ("strange", stranger, "expected a signature of this manifest by one of 1 key(s)"),
    ):
        deployment = lab.server.deploy("release-2", [lab.device()])
        cut(lab, 200)
        forged = lab.artifact(name, new, compression="none", key=key, artifact_name="release-2")
        replaced(lab, forged)
        is_refused(lab, deployment, why)
        replaced(lab, signed)
    deployment = lab.server.deploy("release-2", [lab.device()])
    cut(lab, 200)
    is_updated(lab, deployment, new)
    assert from_there(ranges(lab)[-1]) > CHECKPOINT


def test_a_limit_that_was_raised_before_the_restart_counts(lab, new):
    """Settings of equal length, so that they can be exchanged in the flash."""
    key = "artifact_name"
    without = {"wifi_password": "x" * len(key), "downgrade_key": ""}
    with_it = {"wifi_password": "", "downgrade_key": key}
    lab.flash(settings={"artifact_name": "2.0", **without})
    lab.meet()
    deployment = lab.deploy(lab.artifact("1.0", new, compression="none"))
    cut(lab, 200)
    texts = [json.dumps(each)[1:-1].encode() for each in (without, with_it)]
    flash = lab.path.read_bytes()
    assert flash.count(texts[0]) == 1
    lab.path.write_bytes(flash.replace(*texts))
    is_refused(lab, deployment, "expected artifact_name 2.0 or newer, got 1.0")
