"""What is judged of one scenario or another: application slots, files, a token; and what a good
update owes where the power was cut."""

from __future__ import annotations

import binascii
from dataclasses import replace

from .case import fixture, texts
from .chip import PENDING, RECORDS, Chip
from .oracle import BRICK, LEFTOVER, LIE, UNSTABLE

firmware = fixture("firmware-good")
app = fixture("app-good")
single = fixture("single-file")
murano = fixture("murano-token")


def test_where_a_cut_is_no_reason_for_it_a_good_update_is_not_lost(firmware):
    (id,) = firmware.view["deployments"]
    begun = firmware.statuses("downloading", "installing").files({RECORDS + "step": None})
    told = firmware.statuses("downloading", "installing", "rebooting", "installing", "success")

    def owed(case, cuts=1):
        return case.scenario.owed(case.flash, case.view, cuts)

    assert [owed(told), owed(told, 5)] == ["new", "new"]
    # Nothing is open: the download is offered again, unless it was too often.
    assert [owed(firmware.statuses("downloading"), cuts) for cuts in (1, 3, 4)] == [
        "new",
        "new",
        None,
    ]
    assert owed(begun) is None
    open_ = {"id": id, "state": "commit", "verdict": None, "writes": 1}
    assert owed(begun.record("update", open_)) is None
    proven = begun.record("update", {**open_, "verdict": "success"})
    assert owed(proven) == "new"
    assert owed(proven.entry(1, 2, PENDING)) is None  # the boot loader takes it back
    step = [binascii.crc32(id.encode()), 2, "commit", "success", 1, 0, 5, False, False]
    assert owed(begun.record("update", open_).record("step", step)) == "new"
    step[1] = 0
    assert owed(begun.record("update", open_).record("step", step)) is None
    lost = replace(firmware.scenario, ends=("new", "old"))
    assert replace(told, scenario=lost).scenario.owed(told.flash, told.view, 1) is None
    late = replace(firmware, ran=replace(firmware.ran, owed="old", cuts=["op 1"]))
    assert texts(late, BRICK) == "the new one is there, though the cut was no reason for it"


def test_the_application_slots_are_judged_byte_for_byte(app):
    name = next(path for path in Chip(app.flash).files if path.startswith("/a/app"))
    assert f"{name} is not what it should be" in texts(app.files({name: b"x"}), BRICK)
    assert "/a/more.py is left over" in texts(app.files({"/a/more.py": b""}), LEFTOVER)
    trial = app.record("slots", {"active": "a", "left": 2, "watchdog": 0})
    assert "the boot guard's record is" in texts(trial, UNSTABLE)
    gone = app.files({RECORDS + "slots": None})
    assert "the server has success, but the old one is there" in texts(gone, LIE)


def test_a_file_is_the_old_one_or_the_new_one(single):
    ((path, new),) = single.scenario.after
    ((_, old),) = single.scenario.before
    mixed = single.files({path: new[:4096] + old[4096:]})
    assert "neither the old nor the new" in texts(mixed, BRICK)
    assert "success, but the old one is there" in texts(single.files({path: old}), LIE)
    assert "/data/x.part" in texts(single.files({"/data/x.part": b""}), LEFTOVER)


def test_a_token_that_is_not_stored_is_a_brick(murano):
    (name,) = (name for name in Chip(murano.flash).records() if name.startswith("murano-"))
    asked = murano.record(name, {"state": "asked"})
    assert texts(asked, BRICK) == "the board's credentials are [['state']]"
    (identity,) = murano.view["murano"]
    unheard = murano.believed(lambda view: view["murano"][identity]["history"]["otau_in"].clear())
    assert "the product was told []" in texts(unheard, LIE)
