"""A board says of itself only what runs on it, and takes nothing that it could never start."""

from __future__ import annotations

import json

from lab import STORE_HEADER, Lab, image
from test_mip import STOCK, main_py

from instar_tools import image_builder, packaging
from instar_tools.paths import FIRMWARE
from instar_tools.simulated import flash_builder


def flash_over_cable(lab, data):
    """As esptool does it: the image in the first slot, otadata blank, the file system as it is."""
    flash = bytearray(lab.path.read_bytes())
    rows = {row[4]: row for row in flash_builder.parse_table(bytes(flash))}
    for label, content in (("otadata", b""), ("ota_0", data)):
        at, size = rows[label][2:4]
        flash[at : at + size] = content.ljust(size, b"\xff")
    lab.path.write_bytes(flash)


def stored(lab):
    return json.loads(lab.read("/.instar/provides")[STORE_HEADER:])


def test_firmware_that_was_flashed_over_a_cable_is_not_the_release_before(lab):
    lab.flash()
    lab.meet()
    lab.deploy(lab.artifact("release-2"))
    lab.run("success")
    lab.meet()
    before = lab.server.inventory(lab.device())
    assert before["artifact_name"] == before["rootfs-image.version"] == "release-2"
    assert not any(name.startswith(".") for name in before)
    flash_over_cable(lab, image("release-1"))
    for errors in (1, 0):
        lab.events.clear()
        lab.meet()
        assert lab.slot() == "ota_0"
        assert lab.server.inventory(lab.device())["artifact_name"] == "unknown"
        assert stored(lab) == {"artifact_name": "unknown"}
        said = [text for text in lab.errors() if text.startswith("rootfs-image: ")]
        assert len(said) == errors, lab.errors()
    flash_over_cable(lab, image("release-2"))  # what nobody committed is not known again
    lab.meet()
    assert lab.server.inventory(lab.device())["artifact_name"] == "unknown"


def test_a_board_without_a_boot_guard_takes_no_application(tmp_path, server):
    """instar in /lib, as mip leaves it, with a main.py of three lines."""
    lab = Lab(tmp_path, server, heap="128wk")
    contents = packaging.contents("instar-mender") | packaging.contents("ESP32_GENERIC")
    built = image_builder.compiled(contents)
    files = {f"/lib/{name}": data for name, data in built.items()}
    files |= {"/main.py": main_py(), "/app.py": (FIRMWARE / "app.py").read_bytes()}
    lab.flash(STOCK, files=files)
    lab.meet()
    deployment = lab.deploy(lab.app_artifact("release-2"))
    lab.run("failure")
    assert lab.server.statuses(deployment) == ["downloading", "failure"]
    assert "no boot guard starts a slot: expected /boot.py and /guard" in lab.log(deployment)
    assert lab.slots() is None
    lab.meet()
    assert lab.server.inventory(lab.device())["artifact_name"] == "release-1"
