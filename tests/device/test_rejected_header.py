# An Artifact that is refused before its first file: payload types micropython-app, single-file and
# directory, on a LittleFS. No operation of the flash happens, so all its bytes are what they were.
import asyncio
import sys

import file_payloads as payloads
from artifact_build import artifact, chunks, rejection
from littlefs import Disk, files

from instar import boot
from instar.artifact.reader import Reader
from instar.artifact.signature import Verifier

boot.FIRMWARE = True  # as where instar is in the firmware: a slot holds the application alone
from instar.installers.app import App  # noqa: E402
from instar.installers.files import Directory, SingleFile  # noqa: E402
from instar.store import Store  # noqa: E402

ROWS = {"/a/app.py": b"a", "/b/app.py": b"b", "/data/conf.json": b"old", "/data/www/x": b"old"}
# What an earlier download left is deleted by the next one, not by one that never begins.
LEFT = {"/b.part/app.py": b"half", "/.instar-files/new": b"half"}
PROVIDES = {"device_type": "esp32", "artifact_name": "v1"}
TAR = payloads.tree_tar({"app.py": b"new"})
TYPES = (
    # payload type, installer, its files, files that it refuses
    ("micropython-app", App, (("update.tar", TAR),), (("update.tar", TAR), ("x", b"1"))),
    ("single-file", SingleFile, payloads.single(), payloads.single()[1:]),
    ("directory", Directory, payloads.directory(TAR), (("x.tar", TAR), ("dest_dir", b"/data/x"))),
)
with open("tests/vectors/public/p256.pem", "rb") as file:
    KEYS = [file.read(1024)]


def header(kind, **depends):
    depends = dict({"device_type": ["esp32"]}, **depends)
    return {
        "info": {
            "payloads": [{"type": kind}],
            "artifact_provides": {"artifact_name": "v2"},
            "artifact_depends": depends,
        },
        "type_info": {"type": kind},
    }


def refusals(kind, good, bad):
    """(Artifact, keys to verify with, words of the message)"""
    other = header(kind, device_type=["esp8266"])
    depends = header(kind, artifact_name=["v0"])
    return (
        (artifact(files=good, **header(kind)), KEYS, "manifest.sig"),
        (artifact(files=good, **other), None, "for device types"),
        (artifact(files=good, **depends), None, "depends on artifact_name"),
        (artifact(files=bad, **header(kind)), None, "expected"),
    )


def update(installer, data, verify):
    """What an agent does with an Artifact, up to install(); with `verify`, the keys to trust."""

    def take(header):
        header.check(PROVIDES)
        installer.begin(header)

    reader = Reader(take, installer.download, verify=Verifier(verify) if verify else None)
    try:
        for view in chunks(data, 700):
            reader.feed(view)
        reader.finish()
    finally:
        reader.close()
    installer.installed()
    asyncio.run(installer.install())


def made(installer):
    settings = payloads.settings(watchdog=60)
    settings.store = Store("/.instar")
    return installer(payloads.Board(), None, settings)


def board(rows):
    """The flash with `rows` on it, of a board that runs from slot a."""
    disk = Disk(rows)
    sys.path.insert(0, "/a")
    Store("/.instar").put_json("slots", {"active": "a", "left": None, "watchdog": 0})
    return disk


def test_good_ones_are_installed():
    # The same way, so that what the other test refuses is refused for its fault alone.
    with board(ROWS):
        for kind, installer, good, _ in TYPES:
            update(made(installer), artifact(files=good, **header(kind)), None)
        for path in ("/b/app.py", "/data/www/app.py", "/data/conf.json"):
            assert files(path) == {path: b"new"}


def test_refused_in_the_header_the_flash_does_nothing():
    with board(dict(ROWS, **LEFT)) as disk:
        image = disk.image()
        for kind, installer, good, bad in TYPES:
            for data, verify, words in refusals(kind, good, bad):
                disk.on(image)
                before = disk.ops
                message = rejection(update, made(installer), data, verify)
                assert message and words in message, (kind, words, message)
                assert disk.ops == before and disk.image() == image, (kind, words)
