# Raw images: the reader alone, then through the updater and into a real slot.
import asyncio
import hashlib
import sys

from update_fakes import Installer, Server
from update_world import Host, World

from instar.artifact.raw import RawReader, Summed
from instar.errors import Rejected
from instar.intake import Intake
from instar.update import Updater

IMAGE = bytes(range(7, 104))
SUM = hashlib.sha256(IMAGE).digest().hex()


class Sink:
    def __init__(self):
        self.data = b""
        self.closed = False

    def write(self, view):
        self.data += bytes(view)

    def close(self):
        self.closed = True


class Taker:
    """What an installer would see of an image."""

    def __init__(self):
        self.headers = []
        self.opened = []
        self.sink = Sink()

    def open_file(self, name, size):
        self.opened.append((name, size))
        return self.sink

    def reader(self, size=97):
        return RawReader(self.headers.append, self.open_file, size, SUM, "1.2", "esp32")


def feed(reader, data, step=10):
    for at in range(0, len(data), step):
        for _ in reader.steps(memoryview(data)[at : at + step]):
            pass
    reader.finish()


def refused(words, function, *args):
    try:
        function(*args)
    except Rejected as error:
        assert words in str(error), str(error)
        return
    raise AssertionError("not refused")


def flipped(data, at):
    return data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]


def test_an_image_comes_as_it_is_in_pieces_of_any_length():
    for step in (1, 7, 96, 97, 98):
        taker = Taker()
        reader = taker.reader()
        feed(reader, IMAGE, step)
        reader.close()
        assert taker.sink.data == IMAGE and taker.sink.closed, step
        assert taker.opened == [("firmware.bin", 97)] and taker.headers == [reader.header]


def test_its_header_is_that_of_an_artifact_with_such_an_image():
    taker = Taker()
    feed(taker.reader(), IMAGE)
    header = taker.headers[0]
    assert header.payload_type == "rootfs-image" and header.artifact_name == "1.2"
    assert header.provides == {
        "artifact_name": "1.2",
        "rootfs-image.version": "1.2",
        "rootfs-image.checksum": SUM,
    }
    cleared = ["artifact_group", "rootfs_image_checksum", "rootfs-image.*"]
    assert list(header.clears_provides) == cleared
    assert header.files == [("firmware.bin", SUM)] and not header.signed
    header.check({"device_type": "esp32"})
    refused("this board is 'other'", header.check, {"device_type": "other"})


def test_an_image_that_ends_early_is_refused_at_every_length():
    for length in range(len(IMAGE)):
        taker = Taker()
        refused(f"expected 97 bytes, got {length}", feed, taker.reader(), IMAGE[:length])
        assert not taker.sink.closed and bool(taker.headers) == bool(length)


def test_an_image_with_another_byte_is_refused_wherever_it_is():
    for at in range(len(IMAGE)):
        taker = Taker()
        refused(f"expected SHA-256 {SUM}", feed, taker.reader(), flipped(IMAGE, at))
        assert not taker.sink.closed


def test_what_is_too_much_is_never_written():
    for step in (1, 97, 98, 200):
        taker = Taker()
        refused("expected 97 bytes, got more", feed, taker.reader(), IMAGE + b"x", step)
        assert len(taker.sink.data) <= 97 and not taker.sink.closed
    taker = Taker()
    refused("expected 96 bytes, got more", feed, taker.reader(size=96), IMAGE)


def test_who_refuses_the_header_gets_no_file():
    taker = Taker()

    def not_this(header):
        raise Rejected("not this")

    reader = RawReader(not_this, taker.open_file, 97, SUM, "1.2", "esp32")
    refused("not this", feed, reader, IMAGE)
    assert not taker.opened


class Inner:
    """As reader.Reader."""

    header = "a header"

    def __init__(self):
        self.calls = []

    def steps(self, view):
        self.calls.append(bytes(view))
        yield
        self.calls.append("stepped")

    def finish(self):
        self.calls.append("finish")

    def close(self):
        self.calls.append("close")


def test_the_sum_of_a_whole_artifact_is_a_condition_more():
    inner = Inner()
    reader = Summed(inner, hashlib.sha256(b"abcd").digest().hex())
    assert reader.header == "a header"
    feed(reader, b"abcd", 2)
    reader.close()
    assert inner.calls == [b"ab", "stepped", b"cd", "stepped", "finish", "close"]
    for data in (b"abce", b"abc", b"abcde"):
        inner = Inner()
        reader = Summed(inner, hashlib.sha256(b"abcd").digest().hex())
        refused("Artifact: expected SHA-256 88d4266f", feed, reader, data)
        assert "finish" not in inner.calls


# ---- through the updater


class Offer:
    id = "d1"
    artifact_name = "1.2"
    sha256 = named = None

    def __init__(self, size=97, sha256=SUM, version="1.2"):
        self.image = size, sha256, version


class Chunks:
    def __init__(self, data):
        self.total = len(data)
        self._left = [memoryview(data)[at : at + 40] for at in range(0, len(data), 40)]

    async def close(self):
        pass

    def __aiter__(self):
        return self

    async def __anext__(self):
        if not self._left:
            raise StopAsyncIteration
        return self._left.pop(0)


class InPlace(Installer):
    needs_reboot = False
    sink = None

    def download(self, name, size):
        InPlace.sink = Sink()
        return InPlace.sink

    async def install(self):
        self.world.running = "new"


def updated(data, offer=None, has=None, **settings):
    """A world after one deployment whose download has these bytes. has: what it provides."""
    world = World()
    Installer.world = world
    if has:
        world.store.put_json("provides", has)
    server = Server(world)
    world.opened = 0

    async def open(deployment, offset):
        world.opened += 1
        return Chunks(data)

    server.open = open
    host = Host(world)
    for name, value in settings.items():
        setattr(host.settings, name, value)
    updater = Updater(host, server, {"rootfs-image": InPlace})
    updater.restore()
    asyncio.run(updater.start(offer or Offer()))
    return world


def test_an_image_is_installed_as_the_payload_of_an_artifact_is():
    world = updated(IMAGE)
    assert world.statuses[-1] == "success" and InPlace.sink.data == IMAGE
    provides = world.store.get_json("provides")
    assert provides["artifact_name"] == provides["rootfs-image.version"] == "1.2"
    assert provides["rootfs-image.checksum"] == SUM and provides["old.key"] == "1"


def test_other_bytes_fail_in_the_download():
    for data in (IMAGE[:-1], IMAGE + b"x", flipped(IMAGE, 50), b""):
        InPlace.sink = None
        world = updated(data)
        assert world.statuses == ["downloading", "failure"] and world.running == "old"
        assert world.states == ["download", "cleanup", "report"]
        assert not InPlace.sink or not InPlace.sink.closed
        assert world.store.get_json("provides")["artifact_name"] == "v1"


def test_where_signatures_are_asked_for_nothing_of_it_is_downloaded():
    world = updated(IMAGE, verify_keys=lambda: [b"a key"])
    assert world.statuses == ["downloading", "failure"] and world.opened == 0
    assert "expected a signed Artifact (artifact_verify_keys)" in world.logs[0][-1]


def test_older_software_is_refused_in_an_image_as_in_an_artifact():
    has = {"artifact_name": "v1", "rootfs-image.version": "1.10"}
    for version, result in (("1.9", "failure"), ("1.10", "success")):
        world = updated(IMAGE, Offer(version=version), has, downgrade_key="rootfs-image.version")
        assert world.statuses[-1] == result, version


def test_what_has_another_name_than_it_was_offered_by_is_refused():
    offer = Offer()
    offer.named = "1.3"
    InPlace.sink = None
    world = updated(IMAGE, offer)
    assert world.statuses == ["downloading", "failure"] and not InPlace.sink
    assert "expected an Artifact named 1.3 as offered, got 1.2" in world.logs[0][-1]
    offer.named = "1.2"
    assert updated(IMAGE, offer).statuses[-1] == "success"


class Straight:
    """A courier that feeds what it has."""

    def __init__(self, data):
        self.data = data

    async def fetch(self, deployment, reader):
        for _ in reader.steps(memoryview(self.data)):
            pass


def taken(intake, courier, offer):
    intake.prepare(offer)
    return asyncio.run(intake.fetch(courier))


def test_the_sum_of_an_artifact_is_looked_at_where_the_offer_has_one():
    offer = Offer()
    offer.image, offer.sha256 = None, SUM
    sys.modules["instar.artifact.reader"] = FakeReader

    intake = Intake(Host(World()).settings, {"artifact_name": "v1"}, None, None)
    result = taken(intake, Straight(IMAGE), offer)
    assert result == {"artifact_name": "v2"}
    try:
        taken(intake, Straight(IMAGE[1:]), offer)
    except Rejected as error:
        assert "Artifact: expected SHA-256 " + SUM in str(error)
    else:
        raise AssertionError("another Artifact was taken")


class FakeHeader:
    provides = {"artifact_name": "v2"}
    clears_provides = None


class FakeReader(Inner):
    header = FakeHeader()

    def __init__(self, on_header, open_file, verify, ignore_scripts):
        super().__init__()


FakeReader.Reader = FakeReader


def test_an_image_goes_into_the_slot_that_does_not_run():
    from esp_chip import Chip, image

    chip = Chip(image(b"v1"))
    assert chip.boot() == "ota_0"
    from instar.installers.firmware import Firmware

    new = image(b"v2" * 900)
    world = World()
    board = Host(world).board
    provides = {"artifact_name": "v1", "device_type": "esp32"}
    intake = Intake(
        Host(world).settings, provides, lambda kind: Firmware(board), lambda level, text: None
    )
    offer = Offer(len(new), hashlib.sha256(new).digest().hex())
    try:
        taken(intake, Straight(flipped(new, 100)), offer)
    except Rejected:
        assert chip.boot() == "ota_0"
    else:
        raise AssertionError("another image was taken")
    taken(intake, Straight(new), offer)
    asyncio.run(intake.installer.install())
    assert chip.slot(1)[: len(new)] == new and chip.boot() == "ota_1"
    chip.done()
