"""Each thing that can happen to a link, once in a whole update: it ends well, and costs little.

Every byte at which a link may be cut is a job of its own: links.py.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import random

import pytest
from link_faults import (
    DOWN,
    UP,
    After,
    AfterAll,
    Answer,
    alert,
    cut,
    double,
    drip,
    garbage,
    half_close,
    mute,
    reset,
    stall,
)
from link_world import Story, World
from links import TWICE

MIDDLE = After(60_000, DOWN)

FAULTS = {
    "hello is cut": ("storage", lambda: cut(After(100, UP))),
    "certificate is cut": ("storage", lambda: cut(After(500, DOWN))),
    "a request is cut": ("api", lambda: cut(After(1500, UP))),
    "a download is cut": ("storage", lambda: cut(MIDDLE)),
    "a connection is reset": ("api", lambda: reset(After(0, UP))),
    "a download is reset": ("storage", lambda: reset(MIDDLE)),
    "the server's half is closed": ("storage", lambda: half_close(MIDDLE)),
    "the board's half is closed": ("api", lambda: half_close(After(2000, UP))),
    "a download stalls for a while": ("storage", lambda: stall(MIDDLE, 1)),
    "a download stalls for ever": ("storage", lambda: stall(MIDDLE)),
    "requests stall for ever": ("api", lambda: stall(After(3000, UP))),
    "200 bytes a second": ("storage", lambda: drip(MIDDLE, 500)),
    "garbage in a request": ("api", lambda: garbage(After(3000, UP))),
    "an alert in an answer": ("api", lambda: alert(Answer(4))),
    "an answer is late": ("api", lambda: stall(Answer(4), 1)),
    "an answer is too late": ("api", lambda: stall(Answer(4), 3)),
}
# Those that nobody has to notice.
PATIENCE = ("a download stalls for a while", "200 bytes a second", "an answer is late")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with World(tmp_path_factory.mktemp("links"), http_timeout=2) as world:
        yield world


@pytest.fixture(scope="module")
def golden(world) -> Story:
    story = world.update()
    assert story.wrong() == "" and story.struck == []
    assert len(story.statuses) == 5
    return story


@pytest.mark.parametrize("name", FAULTS)
def test_an_update_ends_well(world, golden, name):
    link, fault = FAULTS[name]
    fault = fault()
    story = world.update(**{link: [fault]})
    assert story.wrong() == ""
    assert story.struck == [fault.name]
    assert story.sent - golden.sent < TWICE
    assert (story.connections == golden.connections) == (name in PATIENCE), story.errors


@pytest.mark.parametrize("damage", [garbage, double, alert])
def test_what_came_before_the_damage_is_kept(world, damage):
    story = world.update(storage=[damage(MIDDLE)])
    assert story.wrong() == "" and len(story.struck) == 1
    first, again = [each for each in world.server.requests() if each["host"] == "storage"]
    assert "Range" not in dict(first["headers"])
    offset = int(dict(again["headers"])["Range"].removeprefix("bytes=").removesuffix("-"))
    # What was sent until the board ended the link is no measure: the host's buffers are large.
    # Half a record of TLS (16 KiB) is nothing to who reads it.
    assert MIDDLE.byte - (20 << 10) < offset < MIDDLE.byte


@pytest.mark.parametrize("request_", [1, 2, 3, 4, 5])
def test_an_answer_that_got_lost(world, golden, request_):
    """Of the first connection: auth, inventory, next twice, status."""
    story = world.update(api=[cut(Answer(request_))])
    assert story.wrong() == "" and story.struck == ["cut"]
    assert story.requests > golden.requests


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_cuts_at_random_bytes(world, golden, compression):
    chance = random.Random(7)
    whole = golden.sent if compression == "gzip" else 200_000
    bytes_ = sorted(chance.sample(range(whole), 5))
    cuts = [chance.choice([cut, reset])(AfterAll(byte, DOWN)) for byte in bytes_]
    asked = cut(AfterAll(chance.randrange(15_000), UP))
    story = world.update(api=[asked], storage=cuts, compression=compression)
    assert story.wrong() == ""
    assert len(story.struck) == 6
    assert story.sent - whole < TWICE * len(cuts)


def test_nobody_takes_a_connection(world):
    refusals = []

    def hear(event):
        if event["event"] == "retry":
            refusals.append(event)
            if len(refusals) == 2:
                world.network.listen()

    name, deployment = world.deploy()
    world.network.refuse()
    story = world.go_on(name, deployment, hear)
    assert story.wrong() == "" and len(refusals) == 2
    assert all("ECONNREFUSED" in text for text in story.errors), story.errors


@pytest.mark.parametrize("link", ["api", "storage"])
def test_who_takes_a_connection_and_says_nothing(tmp_path, link):
    with World(tmp_path, plain=True, http_timeout=1) as world:
        story = world.update(**{link: [mute()]})
        assert story.wrong() == "" and story.struck == ["mute"]
