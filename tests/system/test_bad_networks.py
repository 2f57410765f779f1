"""Networks and servers that are there and no good: nothing is lost, and nothing untrue is told.

What came of each is taken from the server and from the flash. What breaks a link is in
test_links.py, what a server may send to do harm in test_hostile.py.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import pytest
from link_world import World, distinct

STATUS = "PUT .*/status$"
GET = "GET /mender-artifact-storage"
# Each status as the n-th of its update.
STATUSES = ["downloading", "installing", "rebooting", "installing, the proof", "success"]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with World(tmp_path_factory.mktemp("networks"), plain=True) as world:
        yield world


@pytest.fixture(autouse=True)
def well(world):
    """The next test finds a server and names as they should be."""
    yield
    world.server.faults()
    world.options["dns"] = world.dns()


def update(world, *plan, hear=lambda event: None):
    """An update with a server that misbehaves."""
    world.server.faults(*plan)
    return world.update(hear=hear)


# ---- answers that get lost


@pytest.mark.parametrize("before", range(5), ids=STATUSES)
def test_a_status_whose_answer_got_lost(world, before):
    """Twice: a kept connection that ends without an answer is replaced at once. What must arrive
    is said again until it does, what only tells of a step on the way need not be."""
    story = update(world, {"match": STATUS, "skip": before, "times": 2, "drop": "after"})
    assert story.wrong() == ""
    status = STATUSES[before].partition(",")[0]
    assert story.statuses[before] == status
    if before >= STATUSES.index("installing, the proof"):
        assert story.statuses[before:][:3] == [status] * 3


def test_a_final_status_whose_answer_got_lost_before_the_power_did(world):
    name, deployment = world.deploy()
    world.server.faults({"match": STATUS, "skip": 4, "times": None, "drop": "after"})
    world.lab.run(lambda event: event.get("message", "").startswith("report: "))
    lost = world.server.statuses(deployment)
    assert lost[-1] == "success"
    world.server.faults()
    story = world.go_on(name, deployment)
    assert story.wrong() == ""
    assert story.statuses == [*lost, "success"]


# ---- servers that are busy

LATER = {
    "seconds": {"Retry-After": "2"},
    "a date": {
        "Date": "Sun, 22 Nov 2026 10:00:00 GMT",
        "Retry-After": "Sun, 22 Nov 2026 10:00:02 GMT",
    },
}
# What of an update may be asked to come later; a status on the way is not sent again.
BUSY = {
    "auth_requests": {"match": "auth_requests"},
    "inventory": {"match": "PATCH"},
    "next": {"match": "GET .*/next"},
    "download": {"match": GET},
    "installing, the proof": {"match": STATUS, "skip": 3},
    "success": {"match": STATUS, "skip": 4},
}


@pytest.mark.parametrize("form", LATER)
def test_who_is_asked_to_come_later_does(world, form):
    told = []

    def hear(event):
        if event["event"] == "retry":
            told.append(event["seconds"])

    later = {"status": 429, "headers": LATER[form]}
    story = update(world, *({**which, **later} for which in BUSY.values()), hear=hear)
    assert story.wrong() == ""
    assert told == [2, 2, 2]  # auth, inventory and next: the others wait within the update
    waits = pauses(world.server.requests())
    assert len(waits) == len(BUSY)
    assert min(waits) > 1.9, waits  # its own patience ends after 1.25 s at most


def pauses(requests):
    """Seconds from each 429 to the next request for the same."""
    found = []
    for number, entry in enumerate(requests):
        if entry["status"] == 429:
            same = (each for each in requests[number + 1 :] if each["path"] == entry["path"])
            found.append(next(same)["at"] - entry["at"])
    return found


def test_a_server_that_is_out_of_order_for_long(world):
    """An hour of it, and what it costs, is in tests/device/test_outage.py."""
    broken = {"status": 503, "times": 2}
    story = update(world, *({**which, **broken} for which in BUSY.values()))
    assert story.wrong() == ""
    assert len([each for each in world.server.requests() if each["status"] == 503]) == 12


# ---- object stores that answer something else


def test_a_store_that_knows_no_ranges(world):
    story = update(
        world,
        {"match": GET, "cut": 50_000},
        {"match": GET, "cut": 90_000, "ignore_range": True},
        {"match": GET, "ignore_range": True},
    )
    assert story.wrong() == ""
    ranges = [dict(each["headers"]).get("Range") for each in gets(world)]
    assert len(ranges) == 3 and None not in ranges[1:]


def gets(world):
    return [each for each in world.server.requests() if each["host"] == "storage"]


def refused(story):
    """The download came to nothing, what ran still runs, and the server was told that."""
    assert story.ended
    assert distinct(story.statuses) == ["downloading", "failure"]
    assert story.runs != story.name and story.intact


@pytest.mark.parametrize(
    "text",
    ["bytes 5-9/10", "bytes 0-{last}/{size}", "bytes {offset}-{last}/999999", ""],
    ids=["another one", "the beginning", "another size", "none"],
)
def test_a_range_that_is_not_what_was_asked_for_is_not_taken(world, text):
    name, deployment = world.deploy()
    size = (world.folder / f"{name}.mender").stat().st_size
    text = text.format(offset=50_000, last=size - 1, size=size)
    always = {"match": GET, "content_range": text, "times": None}
    world.server.faults({"match": GET, "cut": 50_000}, always)
    story = world.go_on(name, deployment)
    refused(story)
    assert "expected Content-Range: bytes 50000-" in world.lab.log(deployment)


def test_an_object_that_became_shorter(world):
    name, deployment = world.deploy()
    replaced = []

    def hear(event):
        if event["event"] == "progress" and not replaced:
            path = world.server.server.artifacts.path(gets(world)[-1]["path"].rpartition("/")[2])
            replaced.append((path, path.read_bytes()))
            path.unlink()  # what is being sent goes on
            path.write_bytes(replaced[0][1][:40_000])

    world.server.faults({"match": GET, "cut": 60_000})
    story = world.go_on(name, deployment, hear)
    for path, whole in replaced:
        path.write_bytes(whole)
    refused(story)
    assert "got 416" in world.lab.log(deployment)
    assert update(world).wrong() == ""


GONE = {"match": GET, "status": 403, "body": "<Error><Code>AccessDenied</Code></Error>"}


@pytest.mark.parametrize("before", [(), ({"match": GET, "cut": 50_000},)], ids=["new", "begun"])
def test_a_url_that_expired_is_asked_for_anew(world, before):
    story = update(world, *before, GONE)
    assert story.wrong() == ""
    asked = [each["path"].rpartition("/")[2] for each in world.server.requests()]
    assert asked.count("status") == 5
    offers = asked[: asked.index("status", asked.index("status") + 1)].count("next")
    assert offers > asked.count("auth_requests")  # one for the poll, one for another URL
    assert len(gets(world)) == len(before) + 2


def test_a_url_that_expired_with_its_deployment(world):
    """Nobody offers it any more: it was aborted. That is the end, without a word."""
    name, deployment = world.deploy()

    aborted = []

    def hear(event):
        if event["event"] == "progress" and not aborted:
            aborted.append(world.server.abort(deployment))

    world.server.faults({"match": GET, "cut": 50_000}, {**GONE, "times": None})
    story = world.go_on(name, deployment, hear)
    assert story.ended and story.statuses == ["downloading"]
    assert story.runs != name and story.intact
    assert update(world).wrong() == ""


# ---- names that nobody knows


def test_a_name_that_nobody_knows_for_a_while(world):
    name, deployment = world.deploy()
    world.options["dns"] = world.dns("updates.test=!")
    assert "updates.test:80: no address for this name" in world.is_stuck()
    assert world.server.statuses(deployment) == []
    world.options["dns"] = world.dns()
    assert world.go_on(name, deployment).wrong() == ""
