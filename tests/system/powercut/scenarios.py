"""The scenarios of the power-cut harness, by name, in the order of its table.

    for scenario in SCENARIOS.values(): ...

What each one judges: see oracle.py, scenario.py, and the class here.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from dataclasses import dataclass

from lab import Lab, sha256

from . import oracle
from .oracle import Outcome
from .scenario import FIRST, SECOND, Scenario, Update, attend
from .software import CRASHES, HANGS, WELL, Mutation, firmware

OTA_1 = (0x190000, 0x310000)
_IMAGE = {"mender", "firmware"}
_BALLAST = 64 << 10


@dataclass(frozen=True)
class Firmware(Update):
    """An image into the other slot. head: the first lines of the new application; abort_after: a
    status of the deployment, which is aborted then."""

    sampled: tuple[tuple[int, int], ...] = (OTA_1,)
    head: str = ""
    compression: str = "gzip"
    ballast: int = 0
    abort_after: str | None = None
    watchdog: int = 60

    def prepare(self, lab: Lab, mutation: Mutation | None = None) -> None:
        old = firmware(FIRST, _IMAGE, WELL, mutation)
        new = firmware(SECOND, _IMAGE, self.head + WELL, mutation, self.ballast)
        self.start(lab, old, watchdog=self.watchdog)
        files = self.kept["files"]
        provides = {
            "artifact_name": SECOND,
            "rootfs-image.version": SECOND,
            "rootfs-image.checksum": sha256(new),
        }
        self.deploy(
            lab,
            lab.artifact(SECOND, new, compression=self.compression),
            Outcome({"artifact_name": FIRST}, files, old),
            Outcome(provides, files, new, committed={"rootfs-image": oracle.digest(new)}),
        )

    def during(self, lab: Lab) -> None:
        attend(lab, self.abort_after)


_ALL: tuple[Scenario, ...] = (
    Firmware("firmware-good"),
    Firmware("firmware-crash", head=CRASHES, ends=("old",)),
    Firmware("firmware-hang", head=HANGS, ends=("old",), watchdog=3, waits=True),
    Firmware("firmware-none", compression="none", ballast=_BALLAST),
    Firmware("firmware-aborted", abort_after="installing", ends=("old",)),
)
SCENARIOS = {scenario.name: scenario for scenario in _ALL}
