"""The scenarios of the power-cut harness, by name, in the order of its table.

    for scenario in SCENARIOS.values(): ...

What each one judges: see oracle.py, scenario.py, and the class here or in services.py.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from lab import APP, Lab, sha256

from instar_tools import slot_builder
from instar_tools.artifact_writer import Content

from . import oracle
from .chip import VALID, Chip
from .oracle import Outcome
from .scenario import FIRST, SECOND, Scenario, Update, attend
from .services import Bootstrap, Identity, Outbox, Token
from .software import (
    CRASHES,
    HANGS,
    PICO,
    UNWELL,
    WELL,
    Mutation,
    app,
    digest,
    esp32_slot,
    firmware,
    pico_slot,
    sizes,
)

SLOTS = ((0x10000, 0x190000), (0x190000, 0x310000))
_BALLAST = 64 << 10
_OLD = {"artifact_name": FIRST}


@dataclass(frozen=True)
class Firmware(Update):
    """An image into the other slot. source: of the new application; home: the slot of the old
    image: from ota_1, to be back where nothing is known is to be wrong; abort_after: a status of
    the deployment, which is aborted then."""

    sampled: tuple[tuple[int, int], ...] = SLOTS
    source: str = WELL
    home: int = 0
    compression: str = "gzip"
    ballast: int = 0
    abort_after: str | None = None
    watchdog: int = 60

    def prepare(self, lab: Lab, mutation: Mutation | None = None) -> None:
        parts = {"mender", "firmware"}
        old = firmware(FIRST, parts, WELL, mutation)
        new = firmware(SECOND, parts, self.source, mutation, self.ballast)
        self.start(lab, old, home=self.home, watchdog=self.watchdog)
        files = self.kept["files"]
        provides = {
            "artifact_name": SECOND,
            "rootfs-image.version": SECOND,
            "rootfs-image.checksum": sha256(new),
        }
        self.deploy(
            lab,
            lab.artifact(SECOND, new, compression=self.compression),
            Outcome(_OLD, files, old),
            Outcome(provides, files, new, committed={"rootfs-image": digest(new)}),
        )

    def during(self, lab: Lab) -> None:
        attend(lab, self.abort_after)

    def is_committed(self, chip: Chip) -> bool:
        # Until it is marked valid each reset takes the boot loader back to the old image.
        valid = max((e for e in chip.entries() if e.valid), key=lambda e: e.sequence, default=None)
        return valid is not None and valid.state == VALID and self.is_there(chip, self.kept["new"])


@dataclass(frozen=True)
class App(Update):
    """An application into a slot, beside the one in the firmware (ESP32), or into the other slot,
    with instar (Pico W). What decides is the boot guard's record. source, abort_after: as
    above."""

    source: str = app(2)
    abort_after: str | None = None

    def prepare(self, lab: Lab, mutation: Mutation | None = None) -> None:
        if self.board == PICO:
            new, slot, old_active = pico_slot(self.source, mutation), "b", (None, "a")
            self.start_pico(lab, pico_slot(app(1), mutation), mutation)
            image = None
        else:
            new, slot, old_active = esp32_slot(self.source), "a", (None,)
            image = firmware(FIRST, {"mender", "app"}, app(1), mutation)
            self.start(lab, image)
        files = self.kept["files"]
        content = Content(slot_builder.UPDATE_TAR, slot_builder.update_tar(new))
        self.deploy(
            lab,
            lab._write(SECOND, {"payload_type": APP, "files": [content]}),
            Outcome(_OLD, files, image, old_active),
            Outcome(
                {"artifact_name": SECOND, f"rootfs-image.{APP}.version": SECOND},
                files | {f"/{slot}/{name}": data for name, data in new.items()},
                image,
                (slot,),
                {APP: sizes(slot, new)},
            ),
        )

    def during(self, lab: Lab) -> None:
        attend(lab, self.abort_after)

    def is_there(self, chip: Chip, outcome: Outcome) -> bool:
        record = chip.json_record("slots")
        return (record["active"] if record else None) in outcome.active


@dataclass(frozen=True)
class Files(Update):
    """A payload that changes files in place. kind: its type; before, after: what the files in
    /data are. What decides is these."""

    kind: str = "single-file"
    before: tuple[tuple[str, bytes], ...] = ()
    after: tuple[tuple[str, bytes], ...] = ()
    abort_after: str | None = None

    def prepare(self, lab: Lab, mutation: Mutation | None = None) -> None:
        image = firmware(FIRST, {"mender", "files"}, WELL, mutation)
        self.start(lab, image, {"/data/kept.txt": b"kept", **dict(self.before)})
        files = {
            path: x for path, x in self.kept["files"].items() if path not in dict(self.before)
        }
        self.deploy(
            lab,
            self._artifact(lab),
            Outcome(_OLD, files | dict(self.before), image),
            Outcome(
                {"artifact_name": SECOND, f"rootfs-image.{self.kind}.version": SECOND},
                files | dict(self.after),
                image,
            ),
        )

    def during(self, lab: Lab) -> None:
        attend(lab, self.abort_after)

    def _artifact(self, lab: Lab) -> Path:
        if self.kind == "single-file":
            ((path, data),) = self.after
            folder, _, name = path.rpartition("/")
            return lab.file_artifact(SECOND, folder, name, data)
        inside = {path.removeprefix(_FOLDER + "/"): data for path, data in self.after}
        content = [
            Content(slot_builder.UPDATE_TAR, slot_builder.update_tar(inside)),
            Content("dest_dir", f"{_FOLDER}\n".encode()),
        ]
        return lab._write(SECOND, {"payload_type": self.kind, "files": content})

    def is_there(self, chip: Chip, outcome: Outcome) -> bool:
        paths = {path for path, _ in self.before + self.after}
        return all(chip.files.get(path) == outcome.files.get(path) for path in paths)


@dataclass(frozen=True)
class Provides(Update):
    """An Artifact without a payload: what the board provides is all that changes."""

    def prepare(self, lab: Lab, mutation: Mutation | None = None) -> None:
        image = firmware(FIRST, {"mender"}, WELL, mutation)
        self.start(lab, image)
        old = Outcome(_OLD, self.kept["files"], image)
        new = replace(old, provides={"artifact_name": SECOND, "site": "roof"})
        artifact = lab._write(SECOND, {"payload_type": None, "provides": {"site": "roof"}})
        self.deploy(lab, artifact, old, new)

    def is_there(self, chip: Chip, outcome: Outcome) -> bool:
        return not oracle.provides(chip, outcome.provides, FIRST)


@dataclass(frozen=True)
class Refused(Update):
    """A payload that this board has no installer for: nothing changes, and the log says why."""

    ends: tuple[str, ...] = ("old",)
    words: str = "no installer for payload type"

    def prepare(self, lab: Lab, mutation: Mutation | None = None) -> None:
        image = firmware(FIRST, {"mender"}, WELL, mutation)
        self.start(lab, image)
        old = Outcome(_OLD, self.kept["files"], image)
        files = [Content("curve.bin", bytes(64))]
        artifact = lab._write(SECOND, {"payload_type": "thermostat", "files": files})
        self.deploy(lab, artifact, old, replace(old, provides={"artifact_name": SECOND}))

    def is_there(self, chip: Chip, outcome: Outcome) -> bool:
        return not oracle.provides(chip, outcome.provides, FIRST)


_FILE, _FOLDER = "/data/table.csv", "/data/www"
_NIGHT, _DAY = ((_FILE, b"night;" * 900),), ((_FILE, b"day;" * 1500),)
_SITE = ((f"{_FOLDER}/index.html", b"<p>one</p>" * 300), (f"{_FOLDER}/a.css", b"a" * 60))
_NEXT = ((f"{_FOLDER}/index.html", b"<p>two</p>" * 200), (f"{_FOLDER}/js/b.js", b"b" * 5000))

_ALL: tuple[Scenario, ...] = (
    Firmware("firmware-good"),
    Firmware("firmware-crash", source=CRASHES, home=1, ends=("old",), words="no sensor"),
    Firmware("firmware-unwell", source=UNWELL, home=1, ends=("old",), words="not well"),
    Firmware(
        "firmware-hang", source=HANGS, ends=("old",), words="watchdog", watchdog=3, waits=True
    ),
    Firmware("firmware-none", compression="none", ballast=_BALLAST),
    Firmware("firmware-aborted", abort_after="installing", ends=("old",)),
    App("app-good"),
    App("app-bad", source=UNWELL, ends=("old",), words="not well"),
    # The new one, too: where the power fails before "rebooting" is told, it never is, and this
    # operator never aborts.
    App("app-aborted", abort_after="rebooting", ends=("new", "old")),
    App("pico-app-good", PICO),
    App("pico-app-bad", PICO, source=CRASHES, ends=("old",), words="no sensor"),
    Files("single-file", before=_NIGHT, after=_DAY),
    Files("single-file-new", after=_DAY),
    Files("directory", kind="directory", before=_SITE, after=_NEXT),
    Files(
        "directory-aborted",
        kind="directory",
        before=_SITE,
        after=_NEXT,
        abort_after="downloading",
        ends=("old",),
    ),
    Provides("provides"),
    Refused("log"),
    Identity("identity-key"),
    Bootstrap("bootstrap"),
    Token("murano-token"),
    Outbox("outbox"),
)
SCENARIOS = {scenario.name: scenario for scenario in _ALL}
