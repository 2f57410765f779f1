"""A whole board, with the heap that is promised, against a server that is hostile to one request
and then well again: the board says clearly what was wrong, the next poll works, its heap is what
it was, it was started again where that is due and no more often, the server was told nothing
untrue, and a real update succeeds afterwards."""

from __future__ import annotations

import json
import zlib

import pytest
from hostile_artifacts import ARTIFACTS, TRIES
from hostile_server import OK as H
from hostile_server import HostileServer, dripping, endless, exactly, ok, redirect
from lab import GOOD, Lab, image, sha256

# The application polls at once, and says before what of the heap is free, and which modules are in
# it. What takes minutes until the agent finds it too slow takes seconds here.
APP = """
import gc, json, sys
from instar.http import wire

wire.Connection.slowest = (1500, 6000)

async def run(agent):
    tell = agent.on_event
    def told(event):
        if event["event"] == "idle":
            gc.collect()
            print("@instar", json.dumps({"event": "free", "bytes": gc.mem_free()}))
            print("@instar", json.dumps({"event": "modules", "names": list(sys.modules)}))
        tell(event)
        if event["event"] in ("idle", "retry"):
            agent.poll_now()
    agent.on_event = told
"""
CHUNKED = H + b"Transfer-Encoding: chunked\r\n\r\n"
NEXT = "deployments/next"
MOST = 512 << 10  # bytes that may leave an endless server: those that the sockets hold, too
_SECONDS = 300  # for all attacks: a limit, not a measure
KEPT = 256  # bytes of heap that an attack may cost: a longer text of an error, a table that grew
# Modules that may stay after a deployment failed, and all that the first of them may cost.
STAY = {"instar.stopwatch", "instar.http.download"}
MODULES = 4 << 10


class Siege:
    """Attacks one after the other on one board that is never switched off. An attack is over when
    it was made and the board found nothing to do twice: the first time may be from before.

    boots: how often the board was started up to now. free: of each start, bytes of heap when there
    was nothing to do, first of all and after each attack. came: modules that were not there at the
    beginning."""

    def __init__(self, lab: Lab, hostile: HostileServer) -> None:
        self.lab, self.hostile = lab, hostile
        self.free: list[list[int]] = []
        self.errors: list[str] = []
        self._first: set[str] = set()
        self.came: set[str] = set()

    @property
    def boots(self) -> int:
        return len(self.free)

    def run(self, attacks, begin, judge) -> None:
        """begin(attack) arms it; judge(attack, errors) looks at what came of it."""
        self._waiting = iter(attacks)
        self._attack = None
        self._begin, self._judge = begin, judge
        self._quiet = 0
        self.lab.run(self._hear, _SECONDS)

    def _hear(self, event) -> bool:
        if event["event"] == "error":
            self.errors.append(event["message"])
        if event["event"] == "boot":
            self.free.append([])
        if event["event"] == "free":
            self._free = event["bytes"]
        if event["event"] == "modules":
            names = set(event["names"])
            self._first = self._first or names
            self.came = names - self._first
        if event["event"] != "idle":
            return False
        if not self.free[-1]:
            self.free[-1].append(self._free)
        self._quiet += self._attack is None or self.hostile.struck > self._before
        return self._quiet > 1 and self._next()

    def _next(self) -> bool:
        self.free[-1].append(self._free)
        if self._attack is not None:
            self._judge(self._attack, "\n".join(self.errors))
        self._attack = next(self._waiting, None)
        self._quiet, self._before = 0, self.hostile.struck
        self.errors.clear()
        if self._attack is not None:
            self._begin(self._attack)
        return self._attack is None

    def is_unhurt(self, most: int) -> bool:
        """Attacks cost no more than that of the heap, and a start is like any other."""
        found = [free for boot in self.free for free in boot]
        return max(found) - min(found) <= most


@pytest.fixture
def hostile(server):
    with HostileServer(server) as running:
        yield running


@pytest.fixture
def siege(lab, hostile):
    settings = {"mender_url": hostile.url, "http_timeout": 2, "update_poll_interval": 5}
    settings["download_tries"] = TRIES
    lab.flash(image("release-1", app=APP), settings=settings)
    return Siege(lab, hostile)


def then_all_is_well(lab, name="release-2"):
    deployment = lab.deploy(lab.artifact(name))
    lab.run("success")
    assert lab.server.statuses(deployment) == GOOD
    assert lab.digest("ota_1", len(image(name))) == sha256(image(name))
    assert lab.server.inventory(lab.device())["artifact_name"] == name
    assert len(lab.server.devices()) == 1


# ---- answers


def said(body: bytes, *headers: str):
    return exactly(ok(body, "Content-Type: application/json", *headers))


def offer(**fields) -> bytes:
    source = {"uri": fields.pop("uri", "https://a.example/")}
    artifact = {"artifact_name": "x", "device_types_compatible": ["esp32"], "source": source}
    return json.dumps({"id": "d", "artifact": artifact, **fields}).encode()


JSON = "expected JSON"
SHAPE = "next: expected {id, artifact: {source: {uri}}}"
ANSWERS = [
    (endless(b"HTTP/1.1 200 ", b"x"), "lines of at most 256 bytes"),
    (endless(H + b"A: ", b"x"), "lines of at most 4000 bytes"),
    (endless(H, b"A: b\r\n"), "at most 64 headers in 8192 bytes"),
    (endless(H, b"A: " + b"\xff" * 3900 + b"\r\n"), "at most 64 headers in 8192 bytes"),
    (lambda: [H, *(b"A%d: b\r\n" % at for at in range(9999))], "at most 64 headers"),
    (endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), "an answer after 8 of 1xx"),
    (endless(CHUNKED + b"5", b";a=b"), "lines of at most 256 bytes"),
    (endless(CHUNKED + b"0\r\n", b"A: b\r\n"), "at most 16 trailers"),
    (endless(CHUNKED + b"100000000\r\n", b"x"), "a chunk size"),
    (endless(CHUNKED + b"-5\r\n", b"x"), "a chunk size"),
    (endless(CHUNKED + b"FFFFFFF\r\n", b"x"), "at most 16384 bytes"),
    (endless(H + b"Content-Length: 4294967296\r\n\r\n", b"["), "at most 16384 bytes"),
    (endless(H + b"Content-Length: -1\r\n\r\n", b"["), "one Content-Length"),
    (endless(H + b"\r\n", b"["), "at most 16384 bytes"),
    (exactly(ok(b"") + b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"), JSON),
    (said(zlib.compress(offer()), "Content-Encoding: gzip"), JSON),
    (said(b"[" * 16384), JSON),
    (said(b'{"":' * 2048), JSON),
    (said(b"[" + b"0," * 8000 + b"0]"), JSON),
    (said(b'{"id":' + b"9" * 8000 + b"}"), SHAPE),
    (said(b'"' + b"x" * 8000 + b'"'), SHAPE),
    (said(b'"' + b"\xff" * 8000 + b'"'), JSON),
    (said(b" " * 16384), JSON),
    (said(offer(id="../../x")), SHAPE),
    (said(offer(id="x" * 5000)), SHAPE),
    (said(offer(id=[[[]]], artifact=7)), SHAPE),
    (said(offer(uri="https://a.example/" + "x" * 5000)), SHAPE),
    (exactly(ok(b"", "Retry-After: -1", status="429 x")), "got 429"),
    (exactly(ok(b"", "Retry-After: " + "9" * 300, status="503 x")), "got 503"),
    (exactly(ok(b"", "Retry-After: Fri, 31 Dec 9999 23:59:59 GMT", status="503 x")), "got 503"),
    (exactly(ok(b"", "Date: x", "Retry-After: x", status="503 x")), "got 503"),
    (dripping(H + b"Content-Length: 9999\r\n\r\n", b"[", 0.1), "too slow: "),
    (dripping(H, b"A: b\r\n", 0.1), "timeout after 2 s waiting for the answer"),
]
TOKENS = [
    (endless(H + b"Content-Length: 1048576\r\n\r\n", b"x"), "at most 16384 bytes"),
    (said(b"x" * 8192), "auth: expected a token, got 8192 bytes"),
    (said(b"abc\r\nX-Evil: 1"), "auth: expected a token, got 14 bytes"),
    (said(b"abc.\xc3\xa4.def"), "auth: expected a token"),
]


def test_answers(lab, hostile, siege):
    def begin(attack):
        if attack in TOKENS:  # a new token is asked for where the old one is refused
            hostile.arm(NEXT, exactly(ok(b"", status="401 x")))
            hostile.arm("auth_requests", attack[0])
            siege._before += 1
        else:
            hostile.arm(NEXT, attack[0])

    def judge(attack, errors):
        assert attack[1] in errors, (attack[1], errors)
        assert hostile.taken <= MOST, attack[1]

    elsewhere = [(redirect(f"{hostile.other}/x"), "got 302")]
    siege.run(ANSWERS + elsewhere + TOKENS, begin, judge)
    assert siege.boots == 1, lab.said()
    assert siege.is_unhurt(KEPT), siege.free
    others = [headers for _, _, headers in hostile.requests if "localhost" in headers["Host"]]
    assert not others
    then_all_is_well(lab)


# ---- Artifacts


def test_artifacts(lab, hostile, siege):
    lab.artifact("evil")
    deployments, boots = [], [1]

    def begin(name):
        if not deployments:
            lab.server.upload(lab.folder / "evil.mender")
        hostile.arm("GET /evil", ARTIFACTS[name].attack, ARTIFACTS[name].times)
        hostile.change = to_evil
        deployments.append(lab.server.deploy("evil", [lab.device()]))

    def to_evil(path, body):
        if b'"artifact"' not in body:
            return body
        answer = json.loads(body)
        answer["artifact"]["source"]["uri"] = f"{hostile.other}/evil"
        return json.dumps(answer).encode()

    def judge(name, errors):
        log = lab.log(deployments[-1])
        assert ARTIFACTS[name].words in log, (name, log)
        assert lab.server.statuses(deployments[-1]) == ["downloading", "failure"], name
        assert lab.slot() == "ota_0"
        assert hostile.taken <= MOST, (name, hostile.taken)
        assert hostile.armed == 0, (name, log)
        assert siege.came <= STAY, (name, siege.came)
        boots.append(siege.boots)
        assert boots[-1] - boots[-2] <= ARTIFACTS[name].boots, (name, boots)

    siege.run(ARTIFACTS, begin, judge)
    assert siege.is_unhurt(KEPT + MODULES), siege.free
    old = image("release-1", app=APP)
    assert lab.digest("ota_0", len(old)) == sha256(old)
    # What is good comes over as many redirects as there may be.
    places = [f"{hostile.url}/x", f"{hostile.other}/y", f"{hostile.url}/z"]
    for path, place in zip(("evil$", "x$", "y$"), places, strict=True):
        hostile.arm(f"GET /{path}", redirect(place))
    hostile.arm("GET /z$", exactly(ok(lab.artifact("release-2").read_bytes())))
    then_all_is_well(lab)
    ways = ("/evil", "/x", "/y", "/z")
    gets = [(path, headers) for _, path, headers in hostile.requests if path in ways]
    assert len(gets) == sum(each.times for each in ARTIFACTS.values()) + len(ways)
    assert all("Authorization" not in headers for _, headers in gets)


def test_an_artifact_that_changes_between_its_parts(lab):
    lab.flash(settings={"download_tries": 5})
    lab.meet()
    storage = "GET /mender-artifact-storage"
    lab.server.faults({"match": storage, "cut": 30000}, {"match": storage, "stall": 1})
    deployment = lab.deploy(lab.artifact("release-2", compression="none"))
    (stored,) = (lab.server.options.data / "artifacts").glob("*")
    good = stored.read_bytes()

    def replace(event):
        gets = [each for each in lab.server.requests() if storage[5:] in each["path"]]
        if gets and stored.read_bytes() == good:
            other = bytearray(good)
            other[40000:50000] = bytes(10000)
            stored.write_bytes(other)
        return event["event"] == "failure"

    lab.run(lambda event: replace(event) or event.get("status") == "failure")
    assert lab.server.statuses(deployment) == ["downloading", "failure"]
    assert "expected SHA-256" in lab.log(deployment) and lab.slot() == "ota_0"
    lab.meet()
    then_all_is_well(lab, "release-3")
