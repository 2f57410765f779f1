"""Captive portals, and clocks that nobody sets: networks that are not what they seem.

Over plain HTTP a portal answers 200 with a page to everything; over TLS it has a certificate, but
of another CA. Nothing it says may be taken for the server's word.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import datetime as dt
import threading

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from fault_proxies import SERVER, Flow
from link_faults import UP
from link_world import TIME, World
from own_certificates import self_signed

from instar_tools.server import pki
from instar_tools.server.testing import DevServer

PAGE = {
    "match": "",
    "times": None,
    "status": 200,
    "headers": {"Content-Type": "text/html"},
    "body": "<!DOCTYPE html><title>Welcome</title><p>Please accept our terms." + " " * 5000,
}


class Portal:
    """Between a World's board and its server, while it is on."""

    def __init__(self, world: World, impostor: DevServer) -> None:
        self._world, self._proxies = world, world.network.proxies
        self._right = [proxy.upstream for proxy in self._proxies]
        self._wrong = int(impostor.url.rpartition(":")[2])
        self._asked = 0
        self._enough = threading.Event()
        self.met = False
        impostor.faults(PAGE)

    def on(self) -> None:
        self._lead([self._wrong] * 2)

    def off(self) -> None:
        self._lead(self._right)

    def on_for_a_while(self) -> None:
        """Until the board has sent something for the fourth time."""
        self.met = True
        self.on()
        for proxy in self._proxies:
            proxy.look = self._count
        threading.Thread(target=self._leave, daemon=True).start()

    def _count(self, flow: Flow, chunk: bytes) -> None:
        self._asked += flow.direction == UP
        if self._asked == 4:
            self._enough.set()

    def _leave(self) -> None:
        self._enough.wait()
        self.off()

    @property
    def seen(self) -> bool:
        """Whether the board was there for long enough."""
        return self._enough.is_set()

    def _lead(self, ports: list[int]) -> None:
        for proxy, port in zip(self._proxies, ports, strict=True):
            proxy.upstream = port
        self._world.network.begin()  # what is open ends


@pytest.fixture(scope="module", params=["plain", "TLS"])
def world(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("captive")
    with World(folder, plain=request.param == "plain", http_timeout=2) as world:
        yield world


@pytest.fixture
def portal(world, tmp_path):
    with DevServer(tmp_path / "portal", plain=world.plain, **SERVER) as impostor:
        portal = Portal(world, impostor)
        yield portal
        portal.off()


def test_a_portal_before_an_update(world, portal):
    name, deployment = world.deploy()
    portal.on()
    world.is_stuck()
    assert world.server.statuses(deployment) == []
    portal.off()
    assert world.go_on(name, deployment).wrong() == ""


def test_a_portal_while_an_update_is_proven(world, portal):
    """The new software meets it at its first start, and is kept once it is gone."""
    story = update(world, portal, "reset")
    assert story.wrong() == "" and portal.seen


def test_a_portal_while_an_update_is_reported(world, portal):
    story = update(world, portal, "cleanup")
    assert story.wrong() == "" and portal.seen


def test_a_portal_in_a_download(world, portal):
    story = update(world, portal, "progress")
    assert story.wrong() == "" and portal.seen


def update(world, portal, when):
    """An update, in which the portal is there for a while from an event or a state on."""

    def hear(event):
        if when in (event["event"], event.get("state")) and not portal.met:
            portal.on_for_a_while()

    name, deployment = world.deploy()
    return world.go_on(name, deployment, hear)


# ---- the clock. An ESP32's begins at 2000-01-01 whenever the power was off.


DEAD = f"{TIME}=!"


@pytest.fixture
def timeless(tmp_path):
    """A World whose proof may take a few seconds only."""
    with World(tmp_path, proof_timeout=4) as world:
        yield world


def test_certificates_older_than_the_software_need_no_time_server(tmp_path):
    """The clock is lifted to the day the software was made: late enough for them."""
    old_authority(tmp_path / "server")
    start, end = (dt.datetime(year, 1, 1, tzinfo=dt.timezone.utc) for year in (2026, 2036))
    old = {"validity": (start, end), "single_ca": True}
    with World(tmp_path, server=old) as world:
        world.options["dns"] = world.dns(DEAD)
        assert world.update().wrong() == ""
        assert any("SNTP: no address" in text for text in world.lab.errors())


def old_authority(folder):
    """A CA that a server in this folder takes for its own: its dates count as well."""
    folder.mkdir()
    certificate, key = self_signed("an old authority")
    (folder / "ca.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (folder / "ca.der").write_bytes(certificate.public_bytes(Encoding.DER))
    pki.write_secret(folder / "ca-key.pem", pki.private_pem(key))


def test_certificates_newer_than_the_clock_wait_for_a_time_server(timeless):
    name, deployment = timeless.deploy()
    timeless.options["dns"] = timeless.dns(DEAD)
    assert "certificate" in timeless.is_stuck()
    assert timeless.server.statuses(deployment) == []
    timeless.options["dns"] = timeless.dns()
    assert timeless.go_on(name, deployment).wrong() == ""


def test_a_clock_that_is_lost_on_the_way_to_the_new_software(timeless):
    name, deployment = timeless.deploy()
    timeless.lab.run("reset")  # and the power goes
    assert timeless.go_on(name, deployment).wrong() == ""


@pytest.mark.parametrize("dead", [DEAD, "updates.test=!"], ids=["clock", "names"])
def test_new_software_that_cannot_reach_the_server_goes_back(timeless, dead):
    """Without a time no certificate is good, without names there is no server: no proof. Who
    could not be told is told as soon as that is possible."""
    timeless.deploy()
    timeless.lab.run("reset")  # and the power goes: the clock is back in 2000
    timeless.options["dns"] = timeless.dns(dead)
    (deployment,) = (each["id"] for each in timeless.server.deployments())
    timeless.lab.run(lambda event: event.get("message", "").startswith("report: "))
    before = ["downloading", "installing", "rebooting"]
    assert timeless.server.statuses(deployment) == before
    assert timeless.lab.slot() == "ota_0"
    timeless.options["dns"] = timeless.dns()
    timeless.lab.meet()
    assert timeless.server.statuses(deployment) == [*before, "failure"]
    assert "not proven within 4 s" in timeless.lab.log(deployment)
    assert timeless.server.inventory(timeless.lab.device())["artifact_name"] == "release-1"
