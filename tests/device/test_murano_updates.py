# Updates from Murano: offers good and bad, every status, what ends an update and what is kept over
# a restart. Against a stand-in of the client, then whole updates through the updater.
import asyncio
import hashlib
import json
import os
import random
import sys

import murano_board
from murano_board import NO_CONTENT, TOKEN, asked, data
from scripted import Server, answer, raises
from update_fakes import Installer, Restart
from update_world import Host, World

from instar.errors import Aborted, Broken, Rejected, Transient
from instar.http import Client
from instar.servers.murano.form import decode, quote
from instar.servers.murano.offer import read
from instar.servers.murano.updates import MuranoUpdates, digest
from instar.store import Store
from instar.update import Updater

IMAGE = bytes(range(7, 104))
SUM = hashlib.sha256(IMAGE).digest().hex()
FIRMWARE = {"content": "lamp.bin", "format": "firmware", "size": 97, "sha256": SUM}


def offer(payload="lamp.mender", version="v2", **more):
    fields = {"version": version, "name": "Lamp", "type": "FILE", "payload": payload}
    fields.update(more)
    return json.dumps({name: fields[name] for name in fields if fields[name] is not None})


class Info:
    type = "application/octet-stream"
    description = ""

    def __init__(self, size, updated):
        self.size = size
        self.updated = updated


class Murano:
    """The client's methods, on resources and content in RAM. faults: for each method a list of
    errors or None, one taken at each call; a function among them is called."""

    client = "the client"

    def __init__(self, text=None):
        self.resources = {"config_otau": text}
        self.contents = {"lamp.mender": (IMAGE, "1462500951"), "lamp.bin": (IMAGE, "1462500951")}
        self.calls = []
        self.told = []  # (version, status, message)
        self.faults = {}

    @property
    def statuses(self):
        return " ".join([status for _, status, _ in self.told])

    def _called(self, name):
        self.calls.append(name)
        plan = self.faults.get(name)
        fault = plan.pop(0) if plan else None
        if isinstance(fault, BaseException):
            raise fault
        if fault:
            fault()

    def _values(self, aliases):
        found = {name: self.resources.get(name) for name in aliases}
        return {name: found[name] for name in found if found[name]}

    def _take(self, values):
        for name, value in values.items() if isinstance(values, dict) else values:
            self.resources[name] = value
            if name == "otau_in":
                assert sorted(value) == ["message", "status", "version"], value
                self.told.append((value["version"], value["status"], value["message"]))

    async def read(self, *aliases):
        self._called("read")
        return self._values(aliases)

    async def write(self, values):
        self._called("write")
        self._take(values)

    async def read_write(self, values, *aliases):
        self._called("read_write")
        self._take(values)
        return self._values(aliases)

    async def info(self, id):
        self._called("info")
        if id not in self.contents:
            raise Rejected("info: expected 200, got 404")
        data, updated = self.contents[id]
        return Info(len(data), updated)

    async def download(self, id, offset=0, info=None, last=None):
        self._called("download")
        self.calls[-1] += f" {id} {offset} {info.size} {info.updated}"
        return Stream(self.contents[id][0], offset)


class Stream:
    def __init__(self, data, offset):
        self.total = len(data)
        self.offset = offset
        self.closed = False
        self._left = [memoryview(data)[offset:]]

    async def close(self):
        self.closed = True

    def __aiter__(self):
        return self

    async def __anext__(self):
        if not self._left:
            raise StopAsyncIteration
        return self._left.pop(0)


class Settings:
    device_type = "lamp"

    def __init__(self, store=None):
        self.store = store or Store(f"/tmp/instar-murano-{os.urandom(6).hex()}")


RUNS = {"artifact_name": "v1", "device_type": "lamp"}


def server(murano, store=None):
    return MuranoUpdates(murano, Settings(store))


async def offered(murano, store=None):
    """(server, deployment) of the offer that is there."""
    found = server(murano, store)
    deployment = await found.next_deployment(RUNS)
    assert deployment, murano.told
    return found, deployment


# ---- offers


async def test_nothing_is_offered():
    for text in (None, ""):
        murano = Murano(text)
        found = server(murano)
        assert await found.next_deployment(RUNS) is None
        assert murano.calls == ["read"] and not found._settings.store.names()


async def test_a_content_is_looked_up_and_told_to_be_taken_up():
    murano = Murano(offer())
    found, deployment = await offered(murano)
    assert murano.calls == ["read", "info", "write"] and murano.told == [("v2", "INIT", "")]
    assert deployment.artifact_name == "v2" and deployment.total == 97
    assert deployment.image is None and deployment.sha256 is None
    head, _, version = deployment.id.partition(":")
    assert version == "v2" and len(head) == 24 and head.startswith(digest(offer()))
    assert not found._settings.store.names()  # nothing is on the flash before the update is


GOOD = (
    # (payload, type, (content, uri, total, image, sha256))
    ("lamp.mender", "FILE", ("lamp.mender", None, None, None, None)),
    ("fw/lamp v2.bin", "FILE", ("fw/lamp v2.bin", None, None, None, None)),
    ("https://a.example/x?s=1", "FILE", (None, "https://a.example/x?s=1", None, None, None)),
    ({"content": "c"}, "FILE", ("c", None, None, None, None)),
    ({"content": "c"}, "JSON", ("c", None, None, None, None)),
    ({"url": "HTTPS://a.example/"}, "JSON", (None, "HTTPS://a.example/", None, None, None)),
    ({"content": "c", "format": "artifact"}, "JSON", ("c", None, None, None, None)),
    ({"content": "c", "size": 5, "sha256": SUM.upper()}, "JSON", ("c", None, 5, None, SUM)),
    (FIRMWARE, "FILE", ("lamp.bin", None, 97, (97, SUM, "v2"), None)),
    ({"content": "c", "device_type": "lamp"}, "JSON", ("c", None, None, None, None)),
    ({"content": "c", "device_type": ["a", "lamp"]}, "JSON", ("c", None, None, None, None)),
)


def test_offers_that_are_good():
    for payload, kind, expected in GOOD:
        for more in ({}, {"description": "brighter"}, {"unknown": 1}):
            got = read(offer(payload, type=kind, **more), "lamp")
            fields = got.content, got.uri, got.total, got.image, got.sha256
            assert fields == expected, (payload, fields)
            assert got.artifact_name == got.named == "v2"


def firmware(**changes):
    payload = dict(FIRMWARE)
    payload.update(changes)
    return offer({name: payload[name] for name in payload if payload[name] is not None})


BAD = (
    # (text, what the message says, the version that it is told with)
    ("v2", "text: expected a JSON object, got a str", "unknown"),
    ("[1]", "text: expected a JSON object, got a list", "unknown"),
    ("{" * 900, "text: expected a JSON object", "unknown"),
    ("[" * 4000, "text: expected a JSON object", "unknown"),
    (offer(description="x" * 4096), "expected at most 4096 bytes, got 41", "unknown"),
    (offer(description="\u00e9" * 2040), "expected at most 4096 bytes, got 41", "unknown"),
    (offer(version=None), "version: expected a printable string", "unknown"),
    (offer(version=""), "version: expected", "unknown"),
    (offer(version=1.2), "of 1 to 256 bytes, got 1.2", "unknown"),
    (offer(version="v" * 257), "version: expected", "unknown"),
    (offer(version="v\n2"), "got 'v\\n2'", "unknown"),
    (offer(name=None), "name: expected a printable string of 1 to 256 bytes, got nothing", "v2"),
    (
        offer(name=["Lamp"]),
        "name: expected a printable string of 1 to 256 bytes, got a l",
        "v2",
    ),
    (offer(type=None), "type: expected FILE or JSON, got nothing", "v2"),
    (offer(type="URL_LIST"), "type: expected FILE or JSON, got 'URL_LIST'", "v2"),
    (offer(None), "payload: expected a content's id, a URL or an object, got nothing", "v2"),
    (offer(["a"]), "payload: expected a content's id, a URL or an object, got a list", "v2"),
    (offer("c", type="JSON"), "payload: expected an object, got a str", "v2"),
    (offer(""), "content: expected a printable string", "v2"),
    (offer("c" * 257), "content: expected a printable string of 1 to 256 bytes", "v2"),
    (offer("http://a.example/x"), "url: expected https://", "v2"),
    (offer("ftp://a.example/x"), "url: expected https://", "v2"),
    (offer("https://me:secret@a.example/x"), "URL: expected host[:port]", "v2"),
    (offer("https://a.example/" + "x" * 2048), "url: expected https://", "v2"),
    (offer({"url": 1}), "url: expected https://", "v2"),
    (offer({}), "expected content or url, got neither", "v2"),
    (offer({"content": "c", "url": "https://a.example"}), "content or url, got both", "v2"),
    (offer({"content": "c", "if": 1}), "names in payload: expected only content, device", "v2"),
    (offer({"content": "c", 1: 2}).replace('"1"', "1"), "names in payload: expected", "v2"),
    (firmware(format="zip"), "format: expected artifact or firmware, got 'zip'", "v2"),
    (firmware(size=None), "expected size and sha256 for format firmware", "v2"),
    (firmware(sha256=None), "expected size and sha256 for format firmware", "v2"),
    (firmware(size=0), "size: expected a number of bytes, got 0", "v2"),
    (firmware(size=True), "size: expected a number of bytes, got a bool", "v2"),
    (firmware(size="97"), "size: expected a number of bytes, got '97'", "v2"),
    (firmware(size=97.0), "size: expected a number of bytes, got 97.0", "v2"),
    (firmware(sha256="ab"), "sha256: expected 64 hex digits, got 'ab'", "v2"),
    (firmware(sha256=SUM[1:] + "g"), "sha256: expected 64 hex digits", "v2"),
    (firmware(device_type="other"), "device_type: expected this board's, lamp, got 'other'", "v2"),
    (firmware(device_type=["other"]), "device_type: expected this board's, lamp, got a li", "v2"),
    (firmware(device_type=[]), "device_type: expected this board's, lamp", "v2"),
    (firmware(size=98), "size: expected that of the content, 97, got 98", "v2"),
    (firmware(content="gone.bin"), "info: expected 200, got 404", "v2"),
)


def test_any_text_is_an_offer_or_refused():
    random.seed(5)
    seeds = [offer(payload, type=kind) for payload, kind, _ in GOOD] + [text for text, _, _ in BAD]
    pieces = ["", "{", "[", "null", "1:", '"', "\\ud800", "\x00", "\u20ac", "true,", "-1e9", "://"]
    good = 0
    for _ in range(4000):
        text = random.choice(seeds)[:400]
        at = random.randrange(len(text))
        text = text[:at] + random.choice(pieces) + text[at + random.randrange(3) :]
        try:
            good += bool(read(text, "lamp").artifact_name)
        except Rejected as error:
            assert len(str(error)) < 250
    assert good > 100


async def test_offers_that_are_none_are_told_once():
    for text, words, version in BAD:
        murano = Murano(text)
        found = server(murano)
        assert await found.next_deployment(RUNS) is None
        (told,) = murano.told
        assert told[:2] == (version, "TEST_ERROR") and words in told[2], told
        assert "secret" not in told[2] and len(told[2]) < 250
        for again in (found, server(murano, found._settings.store)):
            assert await again.next_deployment(RUNS) is None
        assert len(murano.told) == 1, words
        murano.resources["config_otau"] = offer()
        assert await found.next_deployment(RUNS)


async def test_a_refusal_that_could_not_be_told_is_told_later():
    murano = Murano(offer(type="URL_LIST"))
    found = server(murano)
    murano.faults["write"] = [Transient("500")]
    await raises(Transient, "500", found.next_deployment(RUNS))
    assert await found.next_deployment(RUNS) is None
    assert murano.statuses == "TEST_ERROR"


async def test_a_link_that_breaks_is_no_fault_of_the_offer():
    for name in ("read", "info", "write"):
        murano = Murano(offer())
        murano.faults[name] = [Transient("500")]
        found = server(murano)
        await raises(Transient, "500", found.next_deployment(RUNS))
        assert await found.next_deployment(RUNS)
        assert murano.statuses == "INIT" and not found._settings.store.names()


async def test_a_server_that_refuses_a_status_says_nothing_of_the_offer():
    murano = Murano(offer(version="v1"))
    murano.faults["write"] = [Rejected("400")]
    found = server(murano)
    await raises(Rejected, "400", found.next_deployment(RUNS))
    assert not found._settings.store.names()


async def far_too_long(murano):
    found = MuranoUpdates(murano, murano.settings)
    for _ in range(2):
        assert await found.next_deployment(RUNS) is None
    await found.authorise(fresh=True)
    await raises(Aborted, "replaced", found.report("0" * 24 + ":v2", "installing"))


async def test_an_offer_that_no_answer_can_hold_is_refused_once():
    there = answer("config_otau=" + "x" * 70000)
    answers = ([there], [NO_CONTENT, there], [there], [there], [NO_CONTENT])
    async with Server(*answers) as service:
        client = Client(allow_plain=True, timeout=5, max_body=16384)
        board = murano_board.Board(service.url, {"token": TOKEN}, client=client)
        board.settings._values["device_type"] = "lamp"
        await far_too_long(board.murano)
        await client.close()
    bodies = [decode(request.partition(b"\r\n\r\n")[2]) for request in service.requests]
    told = [json.loads(value) for pairs in bodies for name, value in pairs if name == "otau_in"]
    assert [one["status"] for one in told] == ["TEST_ERROR", "INSTALL_STEP", "INSTALL_ABORTED"]
    assert told[0]["version"] == "unknown"
    assert told[0]["message"] == "offer: expected at most 4096 bytes, got more than an answer has"


async def test_what_runs_already_is_told_once():
    murano = Murano(offer(version="v1"))
    found = server(murano)
    for _ in range(3):
        assert await found.next_deployment(RUNS) is None
    assert murano.told == [("v1", "INSTALLED_VERSION", "")] and "info" not in murano.calls
    assert not found._settings.store.names()
    found.renewed()
    assert await found.next_deployment(RUNS) is None
    assert murano.statuses == "INSTALLED_VERSION INSTALLED_VERSION"


async def test_the_id_stays_for_as_long_as_the_offer_and_its_content_do():
    murano = Murano(offer())
    _, first = await offered(murano)
    _, again = await offered(murano)
    assert first.id == again.id
    murano.contents["lamp.mender"] = (IMAGE, "1462500952")
    _, updated = await offered(murano)
    murano.contents["lamp.mender"] = (IMAGE[1:], "1462500951")
    _, shorter = await offered(murano)
    murano.resources["config_otau"] = offer(description="other")
    _, other = await offered(murano)
    assert len({first.id, updated.id, shorter.id, other.id}) == 4
    assert first.id[:16] == updated.id[:16] != other.id[:16]


# ---- how far it is


def told_of(murano):
    found, murano.told = murano.told, []
    return [(status, message) for _, status, message in found]


async def test_every_status_of_an_update_in_its_order():
    murano = Murano(offer(version="2:0"))
    found, deployment = await offered(murano)
    id = deployment.id
    told_of(murano)
    rows = (
        ("downloading", [("DOWNLOAD", "")], ["read_write"]),
        ("installing", [("DOWNLOAD_SUCCESS", ""), ("INSTALL", "")], ["write", "read_write"]),
        ("rebooting", [("INSTALL_STEP", "the board restarts")], ["read_write"]),
    )
    for status, expected, calls in rows:
        murano.calls = []
        await found.report(id, status)
        assert told_of(murano) == expected and murano.calls == calls, status
    found = server(murano, found._settings.store)  # after the restart
    await found.report(id, "installing")
    assert told_of(murano) == [("INSTALL_STEP", "the new software runs")]
    murano.calls = []
    await found.report(id, "success")
    assert murano.told == [("2:0", "INSTALL_SUCCESS", ""), ("2:0", "INSTALLED_VERSION", "")]
    assert murano.calls == ["write", "write"]
    murano.told = []
    assert await found.next_deployment({"artifact_name": "2:0"}) is None and not murano.told


async def test_an_update_in_place_proves_itself_in_the_same_start():
    murano = Murano(offer())
    found, deployment = await offered(murano)
    for status in ("downloading", "installing", "installing", "success"):
        await found.report(deployment.id, status)
    expected = "INIT DOWNLOAD DOWNLOAD_SUCCESS INSTALL INSTALL_STEP INSTALL_SUCCESS"
    assert murano.statuses == expected + " INSTALLED_VERSION"


async def test_a_failure_says_where():
    for steps, expected in (
        ([], "DOWNLOAD_ERROR"),  # given up before it was told to begin
        (["downloading"], "DOWNLOAD_ERROR"),
        (["downloading", "installing"], "INSTALL_ERROR"),
        (["downloading", "installing", "rebooting"], "INSTALL_ERROR"),
    ):
        murano = Murano(offer())
        found, deployment = await offered(murano)
        for status in steps:
            await found.report(deployment.id, status)
        told_of(murano)
        await found.report(deployment.id, "failure")
        await found.send_log(deployment.id, [("t", "info", "x"), ("t", "error", "it broke")])
        assert told_of(murano) == [(expected, ""), (expected, "it broke")]
        assert await found.next_deployment(RUNS) is None
    found = server(murano, found._settings.store)
    await found.report(deployment.id, "failure")
    assert told_of(murano) == [("INSTALL_ERROR", "")]


async def test_the_log_is_the_newest_error_and_short():
    murano = Murano()
    found = server(murano)
    id = "0" * 24 + ":v2"
    for entries, expected in (
        ([], []),
        ([("t", "info", "a"), ("t", "warning", "b")], []),
        ([("t", "error", "a"), ("t", "error", "b"), ("t", "info", "c")], ["b"]),
        ([("t", "error", "x" * 2000)], ["x" * 1024]),
        ([("t", "error", "\u20ac" * 400)], ["\u20ac" * 341]),
    ):
        await found.send_log(id, entries)
        assert told_of(murano) == [("INSTALL_ERROR", text) for text in expected]


async def test_a_status_that_got_lost_is_no_end():
    murano = Murano(offer())
    found, deployment = await offered(murano)
    murano.faults["read_write"] = [Transient("500")]
    await raises(Transient, "500", found.report(deployment.id, "downloading"))
    await found.report(deployment.id, "installing")
    assert murano.statuses == "INIT DOWNLOAD_SUCCESS INSTALL"


WITHDRAWN = (None, "", offer("lamp.bin"), offer(version="v3"), "no offer at all")


async def test_an_offer_that_is_gone_or_another_ends_the_update_at_every_step():
    for text in WITHDRAWN:
        for steps in range(4):
            murano = Murano(offer())
            found, deployment = await offered(murano)
            way = ["downloading", "installing", "rebooting", "installing"]
            for status in way[:steps]:
                await found.report(deployment.id, status)
            if steps == 3:
                found = server(murano, found._settings.store)
            murano.resources["config_otau"] = text
            words = "the offer was " + ("replaced" if text else "withdrawn")
            await raises(Aborted, words, found.report(deployment.id, way[steps]))
            assert murano.told[-1] == ("v2", "INSTALL_ABORTED", words)
            murano.resources["config_otau"] = offer()
            murano.told = []
            assert await found.next_deployment(RUNS) is None and not murano.told
            found.renewed()
            assert await found.next_deployment(RUNS)


async def test_an_offer_that_replaces_one_is_taken_up():
    murano = Murano(offer())
    found, deployment = await offered(murano)
    murano.resources["config_otau"] = offer(version="v3")
    await raises(Aborted, "replaced", found.report(deployment.id, "downloading"))
    deployment = await found.next_deployment(RUNS)
    assert deployment.artifact_name == "v3"
    await found.report(deployment.id, "downloading")


async def test_an_abort_that_cannot_be_told_is_one_all_the_same():
    for error in (Transient("500"), Rejected("404")):
        murano = Murano(offer())
        found, deployment = await offered(murano)
        murano.resources["config_otau"] = None
        murano.faults["write"] = [error]
        words = f"withdrawn; Murano could not be told: {error}"
        await raises(Aborted, words, found.report(deployment.id, "downloading"))


async def test_the_final_status_does_not_ask_for_the_offer():
    for status in ("success", "failure"):
        murano = Murano(offer())
        found, deployment = await offered(murano)
        murano.resources["config_otau"] = None
        murano.calls = []
        await found.report(deployment.id, status)
        assert murano.calls == ["write"] * (2 if status == "success" else 1)


# ---- what was dealt with


async def test_what_failed_is_taken_up_again_when_it_is_offered_again():
    murano = Murano(offer())
    found, deployment = await offered(murano)
    await found.report(deployment.id, "failure")
    store = found._settings.store
    for again in (found, server(murano, store)):
        assert await again.next_deployment(RUNS) is None
    found.renewed()
    again = server(murano, store)  # a power cut does not undo it
    assert (await again.next_deployment(RUNS)).id == deployment.id


async def test_what_failed_is_taken_up_again_when_its_content_is_another():
    murano = Murano(offer())
    found, deployment = await offered(murano)
    await found.report(deployment.id, "failure")
    murano.contents["lamp.mender"] = (IMAGE + b"mended", "1462500999")
    again = await server(murano, found._settings.store).next_deployment(RUNS)
    assert again.total == len(IMAGE) + 6 and again.id != deployment.id


async def test_what_failed_is_taken_up_again_when_it_was_withdrawn_between():
    murano = Murano(offer())
    found, deployment = await offered(murano)
    await found.report(deployment.id, "failure")
    murano.resources["config_otau"] = None
    assert await found.next_deployment(RUNS) is None
    murano.resources["config_otau"] = offer()
    assert (await found.next_deployment(RUNS)).id == deployment.id


async def test_what_was_installed_and_runs_is_told_once_a_start():
    murano = Murano(offer())
    found, deployment = await offered(murano)
    await found.report(deployment.id, "success")
    told_of(murano)
    runs = {"artifact_name": "v2"}
    for again in (found, server(murano, found._settings.store)):
        for _ in range(2):
            assert await again.next_deployment(runs) is None
    assert murano.told == [("v2", "INSTALLED_VERSION", "")]


async def test_what_was_installed_and_runs_no_more_is_installed_again():
    """Another firmware was flashed, and the store survived."""
    murano = Murano(offer())
    found, deployment = await offered(murano)
    store = found._settings.store
    for _ in range(2):
        await found.report(deployment.id, "success")
        assert await found.next_deployment({"artifact_name": "v2"}) is None
        found = server(murano, store)
        murano.told = []
        await found.report_inventory(RUNS)
        again = await found.next_deployment(RUNS)
        assert again.id == deployment.id
        assert murano.told == [("v1", "INSTALLED_VERSION", ""), ("v2", "INIT", "")]


async def test_what_was_installed_and_never_ran_is_not_installed_again():
    """Else it would be installed for ever. What runs is told, not what should."""
    murano = Murano(offer())
    found, deployment = await offered(murano)
    await found.report(deployment.id, "success")
    murano.told = []
    found.renewed()
    for again in (found, server(murano, found._settings.store)):
        for _ in range(2):
            assert await again.next_deployment(RUNS) is None
        assert murano.told == [("v1", "INSTALLED_VERSION", "")]
        murano.told = []


async def test_another_text_is_another_offer():
    murano = Murano(offer())
    found, deployment = await offered(murano)
    await found.report(deployment.id, "failure")
    murano.resources["config_otau"] = offer(description="now it works")
    assert (await found.next_deployment(RUNS)).artifact_name == "v2"


async def test_an_offer_is_dealt_with_though_the_server_takes_no_status():
    for status in ("success", "failure"):
        murano = Murano(offer())
        found, deployment = await offered(murano)
        murano.faults["write"] = [Rejected("404")]
        await raises(Rejected, "404", found.report(deployment.id, status))
        again = server(murano, found._settings.store)
        assert await again.next_deployment(RUNS) is None


def damage(path):
    with open(path, "r+b") as file:
        file.seek(20)
        file.write(b"\xff")


async def test_a_damaged_record_costs_one_more_try_at_most():
    murano = Murano(offer())
    found, deployment = await offered(murano)
    await found.report(deployment.id, "failure")
    store = found._settings.store
    damage(f"{store._root}/murano-offer")
    try:
        store.get("murano-offer")
    except Broken:
        pass
    else:
        raise AssertionError("not damaged")
    found.renewed()
    again = await found.next_deployment(RUNS)
    await found.report(again.id, "failure")
    assert await found.next_deployment(RUNS) is None


# ---- the rest of a server


async def test_authorised_is_who_could_read():
    murano = Murano()
    found = server(murano)
    murano.faults["read"] = [Transient("401")]
    await raises(Transient, "401", found.authorise())
    for fresh, reads in ((False, 2), (False, 2), (True, 3)):
        await found.authorise(fresh)
        assert murano.calls.count("read") == reads
    murano.faults["read"] = [Transient("401")]
    await raises(Transient, "401", found.authorise(fresh=True))
    await found.authorise()
    assert murano.calls.count("read") == 5


async def test_the_inventory_and_once_what_is_installed():
    murano = Murano()
    found = server(murano)
    attributes = {"artifact_name": "v1", "room": "7", "problem": None, "heap": 9}
    murano.faults["write"] = [Transient("500")]
    await raises(Transient, "500", found.report_inventory(attributes))
    await found.report_inventory(attributes)
    assert murano.resources["inventory"] == {"artifact_name": "v1", "room": "7", "heap": 9}
    assert murano.told == [("v1", "INSTALLED_VERSION", "")]
    await found.report_inventory(attributes)
    assert len(murano.told) == 1 and murano.calls == ["write"] * 3


async def test_the_inventory_tells_what_runs_whatever_was_told_before():
    murano = Murano(offer())
    found, deployment = await offered(murano)
    await found.report(deployment.id, "success")
    for name in ("v2", "release-7", "release-7"):
        await found.report_inventory({"artifact_name": name})
    told = [version for version, status, _ in murano.told if status == "INSTALLED_VERSION"]
    assert told == ["v2", "release-7"]


async def test_a_content_is_opened_as_it_was_offered():
    murano = Murano(offer())
    found, deployment = await offered(murano)
    murano.contents["lamp.mender"] = (IMAGE, "9")
    first = await found.open(deployment)
    second = await found.open(deployment, 40)
    assert first.closed and not second.closed
    assert murano.calls[-2:] == [
        "download lamp.mender 0 97 1462500951",
        "download lamp.mender 40 97 1462500951",
    ]


class Ranges:
    """In place of instar.http.download."""

    opened = []

    @staticmethod
    async def open_range(client, url, offset, total, end):
        Ranges.opened.append((client, url, offset, total))
        return Stream(IMAGE, offset)


async def test_a_url_is_opened_without_murano():
    sys.modules["instar.http.download"] = Ranges
    url = "https://files.example/lamp.mender?sig=1"
    murano = Murano(offer(url))
    found, deployment = await offered(murano)
    assert murano.calls == ["read", "write"] and deployment.total is None
    murano.calls = []
    await found.open(deployment)
    await found.open(deployment, 40)
    assert Ranges.opened == [("the client", url, 0, None), ("the client", url, 40, 97)]
    assert not murano.calls


async def taken_in(murano):
    """From the offer to the last byte of its content, with Murano's own client."""
    found = MuranoUpdates(murano, murano.settings)
    deployment = await found.next_deployment(RUNS)
    assert "instar.servers.murano.offer" not in sys.modules
    await found.report(deployment.id, "downloading")
    image = b""
    async for view in await found.open(deployment):
        image += bytes(view)
    assert image == IMAGE
    await found.report(deployment.id, "failure")
    assert "instar.servers.murano.content" not in sys.modules
    await found.report_inventory({"artifact_name": "v1", "room": "7 & 8"})


async def test_on_the_wire():
    text = firmware(device_type=["lamp"])
    there = answer("config_otau=" + quote(text))
    about = answer("application/octet-stream,97,1462500951,a, b")
    answers = [there, about, NO_CONTENT, there, answer(IMAGE), about]
    result, requests, _ = await data(
        taken_in, *answers + [NO_CONTENT, NO_CONTENT], device_type="lamp"
    )
    assert result is None, repr(result)
    alias, content = b" /onep:v1/stack/alias", b"GET /provision/download?id=lamp.bin"
    assert asked(requests) == [
        b"GET" + alias + b"?config_otau",
        content + b"&info=true",
        b"POST" + alias,
        b"POST" + alias + b"?config_otau",
        content,
        content + b"&info=true",
        b"POST" + alias,
        b"POST" + alias,
    ]
    bodies = [decode(request.partition(b"\r\n\r\n")[2]) for request in requests]
    told = [json.loads(value) for pairs in bodies for name, value in pairs if name == "otau_in"]
    statuses = ["INIT", "DOWNLOAD", "DOWNLOAD_ERROR", "INSTALLED_VERSION"]
    assert [one["status"] for one in told] == statuses
    assert [one["version"] for one in told] == ["v2", "v2", "v2", "v1"]
    assert bodies[-1][0][0] == "inventory"
    assert json.loads(bodies[-1][0][1]) == {"artifact_name": "v1", "room": "7 & 8"}


# ---- whole updates


class Slot(Installer):
    def download(self, name, size):
        return self

    def write(self, view):
        pass

    def close(self):
        pass


class Board:
    """Starts again and again, as agent.py would have it, until nothing is left to do."""

    def __init__(self, text, **faults):
        self.world = World(**faults)
        self.murano = Murano(text)

    async def start(self):
        world = self.world
        if world.pending and world.running == "new":  # an unconfirmed trial ends
            world.boot = "old"
            world.pending = False
        world.running = world.boot
        Installer.world = world
        host = Host(world)
        found = MuranoUpdates(self.murano, host.settings)
        updater = Updater(host, found, {"rootfs-image": Slot})
        updater.restore()
        if updater.active:
            await updater.run()
        await found.authorise()
        await found.report_inventory(updater.provides())
        while deployment := await found.next_deployment(updater.provides()):
            await updater.start(deployment)

    def live(self):
        for _ in range(9):
            try:
                asyncio.new_event_loop()
                asyncio.run(self.start())
                return self
            except Restart:
                pass
        raise AssertionError(f"never quiet: {self.world.states}")


ON_THE_WAY = "INSTALLED_VERSION INIT DOWNLOAD DOWNLOAD_SUCCESS INSTALL INSTALL_STEP INSTALL_STEP "


def test_an_update_over_a_restart():
    board = Board(firmware()).live()
    murano, world = board.murano, board.world
    assert murano.statuses == ON_THE_WAY + "INSTALL_SUCCESS INSTALLED_VERSION"
    assert [version for version, _, _ in murano.told] == ["v1"] + ["v2"] * 8
    assert world.running == "new" and not world.pending
    assert world.store.get_json("provides")["artifact_name"] == "v2"
    murano.told = []
    board.live()
    assert murano.told == [("v2", "INSTALLED_VERSION", "")]


def test_an_update_whose_software_is_sick_goes_back():
    board = Board(firmware(), health=ValueError("sick")).live()
    murano, world = board.murano, board.world
    after = "INSTALL_ERROR INSTALL_ERROR INSTALLED_VERSION"
    assert murano.statuses == ON_THE_WAY + after, murano.statuses
    assert "sick" in murano.told[-2][2] and murano.told[-1][0] == "v1"
    assert world.running == "old" and world.states.count("download") == 1


def test_a_cut_in_the_download_begins_it_again():
    board = Board(firmware())
    board.murano.faults["download"] = [Restart()]
    board.live()
    twice = "INSTALLED_VERSION INIT DOWNLOAD " + ON_THE_WAY
    assert board.murano.statuses == twice + "INSTALL_SUCCESS INSTALLED_VERSION"


def test_a_cut_around_the_final_status_installs_nothing_twice():
    """Writes: the inventory, INIT, DOWNLOAD_SUCCESS, then the final ones."""
    for before in (3, 4):
        board = Board(firmware())
        board.murano.faults["write"] = [None] * before + [Restart()]
        board.live()
        assert board.world.states.count("install") == 1 and board.world.running == "new"
        last = [status for _, status, _ in board.murano.told][-2:]
        assert "INSTALL_SUCCESS" in board.murano.statuses and last[-1] == "INSTALLED_VERSION"


def test_an_offer_that_goes_while_it_is_installed_is_undone():
    """read_write: DOWNLOAD, INSTALL, the reboot, the proof."""
    for step in range(4):
        board = Board(firmware())
        murano = board.murano

        def withdraw(murano=murano):
            murano.resources["config_otau"] = None

        murano.faults["read_write"] = [None] * step + [withdraw]
        board.live()
        assert board.world.running == board.world.boot == "old"
        steps = ["DOWNLOAD", "DOWNLOAD_SUCCESS INSTALL", "INSTALL_STEP", "INSTALL_STEP"]
        expected = ["INSTALLED_VERSION INIT"] + steps[: step + 1] + ["INSTALL_ABORTED"]
        if step == 3:  # it was restarted since
            expected.append("INSTALLED_VERSION")
        assert murano.statuses == " ".join(expected), murano.statuses


def test_an_offer_that_replaces_one_in_the_middle_is_installed_instead():
    board = Board(firmware())
    murano = board.murano

    def replace():
        murano.resources["config_otau"] = offer(FIRMWARE, version="v3")

    murano.faults["read_write"] = [None, replace]
    board.live()
    assert board.world.store.get_json("provides")["artifact_name"] == "v3"
    assert ("v2", "INSTALL_ABORTED", "the offer was replaced") in murano.told
    assert murano.told[-1] == ("v3", "INSTALLED_VERSION", "")


def test_content_of_another_sum_is_a_failed_download():
    board = Board(firmware())
    board.murano.contents["lamp.bin"] = (bytes(97), "1")
    board.live()
    expected = "INSTALLED_VERSION INIT DOWNLOAD DOWNLOAD_ERROR DOWNLOAD_ERROR"
    assert board.murano.statuses == expected
    assert f"expected SHA-256 {SUM}" in board.murano.told[-1][2]
    assert board.world.states == ["download", "cleanup", "report"]
