"""Files, folders, nothing, and a type of the user's own, over the air onto an ESP32."""

from __future__ import annotations

import io
import tarfile

import pytest
from lab import GOOD, ROLLED_BACK, image

from instar_tools import image_builder
from instar_tools.artifact_writer import Content

IN_PLACE = [status for status in GOOD if status != "rebooting"]
NOT_KEPT = ["downloading", "installing", "installing", "failure"]

# Says what it finds in its files, each time it is asked how it is; well unless a file says not.
APP = """
import asyncio, json, os

def content(path):
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return None

async def run(agent):
    while True:
        agent.inventory["mode"] = content("/data/mode.txt") or "none"
        await asyncio.sleep_ms(50)

def healthy():
    if content("/data/mode.txt") == "bad" or content("/data/www/index.html") == "bad":
        raise ValueError("not with this content")
    return True
"""


@pytest.fixture
def board(lab):
    lab.flash(image("release-1", app=APP))
    lab.meet()
    return lab


def deploy(lab, name: str, kind: str | None, *files: Content, **fields) -> str:
    return lab.deploy(lab._write(name, {"payload_type": kind, "files": list(files), **fields}))


def single(folder: str, name: str, data: bytes) -> list[Content]:
    return [
        Content("dest_dir", folder.encode() + b"\n"),
        Content("filename", name.encode() + b"\n"),
        Content("permissions", b"644\n"),
        Content(name, data),
    ]


def tree(**files: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, data in files.items():
            info = tarfile.TarInfo("./" + name.replace("__", "."))
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def folder(target: str, **files: bytes) -> list[Content]:
    # The generator's order: the target comes last.
    return [Content("update.tar", tree(**files)), Content("dest_dir", target.encode() + b"\n")]


def missing(lab, path: str) -> bool:
    try:
        lab.read(path)
    except FileNotFoundError:
        return True
    return False


def test_a_file_is_replaced_and_taken_back(board):
    for name, data, status, left in (
        ("one", b"day", IN_PLACE, b"day"),
        ("two", b"night", IN_PLACE, b"night"),
        ("three", b"bad", NOT_KEPT, b"night"),
    ):
        deployment = deploy(board, name, "single-file", *single("/data", "mode.txt", data))
        board.run(status[-1])
        assert board.server.statuses(deployment) == status
        assert board.read("/data/mode.txt") == left
    board.meet()
    inventory = board.server.inventory(board.device())
    assert inventory["artifact_name"] == "two"
    assert inventory["rootfs-image.single-file.version"] == "two"
    assert missing(board, "/.instar-files/old")


def test_a_folder_is_replaced_and_taken_back(board):
    for name, files, status, left in (
        ("one", {"index__html": b"1", "a__css": b"a"}, IN_PLACE, b"1"),
        ("two", {"index__html": b"2"}, IN_PLACE, b"2"),
        ("three", {"index__html": b"bad", "b__css": b"b"}, NOT_KEPT, b"2"),
    ):
        deployment = deploy(board, name, "directory", *folder("/data/www", **files))
        board.run(status[-1])
        assert board.server.statuses(deployment) == status
        assert board.read("/data/www/index.html") == left
    assert missing(board, "/data/www/a.css") and missing(board, "/data/www/b.css")
    assert missing(board, "/data/www.instar-old/index.html")


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("/", "expected"),
        ("/.instar", "expected"),
        ("/data/../.instar", "expected"),
        ("/lib", "expected"),
    ],
)
def test_files_go_where_the_settings_allow_and_nowhere_else(board, target, why):
    deployment = deploy(board, "out", "single-file", *single(target, "boot.py", b"evil = 1\n"))
    board.run("failure")
    assert board.server.statuses(deployment) == ["downloading", "failure"]
    assert why in board.log(deployment)
    assert missing(board, "/boot.py") and missing(board, "/lib/boot.py")


def test_an_artifact_without_a_payload_changes_what_is_provided(board):
    deployment = deploy(board, "bootstrap", None, provides={"site": "roof"})
    board.run("success")
    assert board.server.statuses(deployment) == IN_PLACE
    board.meet()
    inventory = board.server.inventory(board.device())
    assert (inventory["artifact_name"], inventory["site"]) == ("bootstrap", "roof")


OWN = """
from instar.installers.base import Installer


class Words(Installer):
    supports_rollback = True

    def begin(self, header):
        self.words = header.meta_data["words"]

    def download(self, name, size):
        return open("/words.new", "wb")

    async def install(self):
        import os

        os.rename("/words.new", "/words")


INSTALLERS = {"words": Words}
"""


def with_payloads(source: str) -> bytes:
    files = image_builder.firmware_files()
    files["payloads.py"] = source.encode()
    return image_builder.build_image("release-1", image_builder.compiled(files))


def test_a_payload_type_of_the_users_own(lab):
    lab.flash(with_payloads(OWN))
    lab.meet()
    deployment = deploy(
        lab, "w", "words", Content("w.txt", b"hello"), meta_data={"words": ["hello"]}
    )
    lab.run("success")
    assert lab.server.statuses(deployment) == IN_PLACE
    assert lab.read("/words") == b"hello"


@pytest.mark.parametrize("source", ["raise ValueError('no')\n", "import nothing_of_the_kind\n"])
def test_payload_types_that_do_not_import_are_no_way_to_keep_new_software(lab, source):
    lab.flash()
    lab.meet()
    deployment = lab.deploy(lab.artifact("release-2", with_payloads(source)))
    lab.run("failure")
    assert lab.server.statuses(deployment) == ROLLED_BACK
    assert lab.slot() == "ota_0"


def test_proven_software_without_its_payload_types_still_updates(lab):
    """A module payloads that fails takes only its own types away: a mended one can arrive."""
    lab.flash(with_payloads("raise ValueError('no')\n"))
    lab.meet()
    deployment = lab.deploy(lab.artifact("release-2"))
    lab.run("success")
    assert lab.server.statuses(deployment) == GOOD


def test_scripts_are_refused_unless_the_settings_skip_them(lab, program, tmp_path):
    program("mender-artifact")
    import subprocess

    script = tmp_path / "ArtifactInstall_Enter_00"
    script.write_text("#!/bin/sh\n")
    source = tmp_path / "v2.bin"
    source.write_bytes(image("release-2"))
    path = tmp_path / "release-2.mender"
    subprocess.run(
        [
            *("mender-artifact", "write", "rootfs-image", "-t", "esp32", "-n", "release-2"),
            *("-f", source, "-s", script, "-o", path),
        ],
        check=True,
        capture_output=True,
    )
    for ignore, statuses in ((False, ["downloading", "failure"]), (True, GOOD)):
        lab.flash(settings={"ignore_scripts": ignore, "identity": {"mac": f"board-{ignore}"}})
        lab.meet()
        if not ignore:
            lab.server.upload(path)
        board = [d for d in lab.server.devices() if f"board-{ignore}" in str(d)]
        deployment = lab.server.deploy("release-2", [board[0]["id"]])
        lab.run(statuses[-1])
        assert lab.server.statuses(deployment) == statuses


BROKEN_TYPES = {
    "none": "INSTALLERS = None\n",
    "a list": "INSTALLERS = ['words']\n",
    "no hardware": """
class Words:
    def __init__(self, board, installed=None, settings=None):
        raise OSError(19)

INSTALLERS = {"words": Words}
""",
    "no methods": """
class Words:
    def __init__(self, board, installed=None, settings=None):
        pass

INSTALLERS = {"words": Words}
""",
    "no module": """
def words(board, installed=None, settings=None):
    import nothing_of_the_kind

INSTALLERS = {"words": words}
""",
}


@pytest.mark.parametrize("how", BROKEN_TYPES)
def test_broken_payload_types_do_not_keep_a_mended_firmware_out(lab, how):
    lab.flash(with_payloads(BROKEN_TYPES[how]))
    lab.meet()
    deployment = lab.deploy(lab.artifact("release-2"))
    lab.run("success")
    assert lab.server.statuses(deployment) == GOOD
    assert lab.slot() == "ota_1"
