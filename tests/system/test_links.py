"""Each thing that can happen to a link, once in a whole update: it ends well, and costs little.

Every byte at which a link may be cut is a job of its own: links.py.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cache

import pytest
from lab import GOOD
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

# Of 208 KB that an uncompressed image takes: so far that all of it again is more than TWICE.
MIDDLE = After(150_000, DOWN)
COST = 20 << 10  # bytes that a cut costs at most: a record of TLS, a handshake, two heads

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
}
# Those that nobody has to notice.
PATIENCE = ("a download stalls for a while", "200 bytes a second")
# Statuses by where their answers come: the first start, which ends its connection for the
# download; the proof of the new firmware, which follows the authorisation; and the end.
STATUSES = {"downloading": (0, 5), "installing": (2, 2), "success": (2, 3)}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with World(tmp_path_factory.mktemp("links"), http_timeout=2) as world:
        yield world


@pytest.fixture(scope="module")
def golden(world) -> Callable[[str], Story]:
    """Updates to which nothing happens, by what the Artifact is compressed with."""

    @cache
    def story(compression: str) -> Story:
        story = world.update(compression=compression)
        assert story.wrong() == "" and story.struck == [] and story.statuses == GOOD
        return story

    return story


@pytest.mark.parametrize("name", FAULTS)
def test_an_update_ends_well(world, golden, name):
    link, fault = FAULTS[name]
    fault, whole = fault(), golden("none")
    story = world.update(**{link: [fault]}, compression="none")
    assert story.wrong() == ""
    assert story.struck == [fault.name]
    assert story.sent - whole.sent < TWICE
    assert (story.connections == whole.connections) == (name in PATIENCE), story.errors


@pytest.mark.parametrize("damage", [garbage, double, alert])
def test_what_came_before_the_damage_is_kept(world, damage):
    story = world.update(storage=[damage(MIDDLE)], compression="none")
    assert story.wrong() == "" and len(story.struck) == 1
    first, again = [each for each in world.server.requests() if each["host"] == "storage"]
    assert "Range" not in dict(first["headers"])
    offset = int(dict(again["headers"])["Range"].removeprefix("bytes=").removesuffix("-"))
    # What was sent until the board ended the link is no measure: the host's buffers are large.
    assert MIDDLE.byte - COST < offset < MIDDLE.byte


@pytest.mark.parametrize("request_", [1, 2, 4])
def test_an_answer_that_got_lost(world, golden, request_):
    """Of the first connection: auth, inventory, next."""
    story = world.update(api=[cut(Answer(request_))], compression="none")
    assert story.wrong() == "" and story.struck == ["cut"]
    assert story.statuses == GOOD
    assert story.requests > golden("none").requests


def test_statuses_whose_answers_are_late(world, golden):
    late = [stall(Answer(request, of), 1) for of, request in STATUSES.values()]
    story = world.update(api=late, compression="none")
    assert story.wrong() == "" and len(story.struck) == len(late)
    assert story.statuses == GOOD
    assert story.connections == golden("none").connections


@pytest.mark.parametrize("status, told", [("downloading", 1), ("installing", 2), ("success", 2)])
def test_a_status_whose_answer_is_too_late(world, status, told):
    """The server has it, and the board does not know. The proof and the end are said again, what
    only tells of a step on the way is not; nothing else is ever said."""
    of, request = STATUSES[status]
    story = world.update(api=[stall(Answer(request, of), 3)])
    assert story.wrong() == "" and story.struck == ["stall"]
    at = len(GOOD) - GOOD[::-1].index(status)
    assert story.statuses == [*GOOD[:at], *[status] * (told - 1), *GOOD[at:]]


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_cuts_at_random_bytes(world, golden, compression):
    chance = random.Random(7)
    whole = golden(compression).sent
    bytes_ = sorted(chance.sample(range(whole), 4))
    assert bytes_[-1] > COST * len(bytes_)  # so much costs a download from the beginning
    cuts = [chance.choice([cut, reset])(AfterAll(byte, DOWN)) for byte in bytes_]
    asked = cut(AfterAll(chance.randrange(15_000), UP))
    story = world.update(api=[asked], storage=cuts, compression=compression)
    assert story.wrong() == ""
    assert len(story.struck) == 5
    assert story.sent - whole < COST * len(cuts)


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


@pytest.fixture(scope="module")
def plain_world(tmp_path_factory):
    with World(tmp_path_factory.mktemp("plain"), plain=True, http_timeout=1) as world:
        yield world


@pytest.mark.parametrize("link", ["api", "storage"])
def test_who_takes_a_connection_and_says_nothing(plain_world, link):
    story = plain_world.update(**{link: [mute()]})
    assert story.wrong() == "" and story.struck == ["mute"]


@pytest.mark.parametrize("damage, compression", [(garbage, "gzip"), (double, "none")])
def test_without_tls_damage_is_seen_by_the_sums_alone(plain_world, damage, compression):
    """What came before it cannot be told from it: the Artifact is refused, the next one is not."""
    runs = plain_world.server.inventory(plain_world.lab.device())["artifact_name"]
    story = plain_world.update(storage=[damage(After(100_000, DOWN))], compression=compression)
    assert story.ended and story.struck == [damage.__name__]
    assert story.statuses == ["downloading", "failure"]
    assert story.runs == runs and story.intact
    assert plain_world.update(compression=compression).wrong() == ""
