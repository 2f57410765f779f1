"""Scenarios without an update: what a board keeps of itself and of what servers gave it.

Identity: the first start of a blank chip. Bootstrap: from the factory's settings to those that a
service brings. Token: a device of a Murano product gets its token. Outbox: messages on their way.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lab import CRYPTO_KEY, EXTERNAL_KEY, Lab

from . import oracle
from .chip import Chip
from .oracle import BRICK, LIE, Finding
from .scenario import FIRST, SETTINGS, Scenario, attend, files_of, flash_esp32
from .software import WELL, Mutation, firmware

if TYPE_CHECKING:
    from .world import Ran

_OLD = {"artifact_name": FIRST}


@dataclass(frozen=True)
class Kept(Scenario):
    """No deployment: software and files are what they were. kept: image, files."""

    def keep(self, lab: Lab, image: bytes) -> None:
        attend(lab)
        flash = lab.path.read_bytes()
        self.kept.update(image=image, files=files_of(flash), fixed=Chip(flash).fixed())

    def check(self, chip: Chip, view: Mapping[str, Any], ran: Ran) -> list[Finding]:
        return [
            *self.common(chip, view, ran),
            *oracle.image(chip, self.kept["image"]),
            *oracle.same_files(chip, self.kept["files"]),
        ]

    def common(self, chip: Chip, view: Mapping[str, Any], ran: Ran) -> list[Finding]:
        """What every scenario with Mender has."""
        return super().check(chip, view, ran) + oracle.inventory(view, _OLD, _OLD)


@dataclass(frozen=True)
class Identity(Kept):
    """The boot loader writes otadata for the first time; a key is made, stored, and shown."""

    def prepare(self, lab: Lab, mutation: Mutation | None = None) -> None:
        image = firmware(FIRST, {"mender"}, WELL, mutation)
        flash_esp32(lab, image)
        self.keep(lab, image)


@dataclass(frozen=True)
class Bootstrap(Kept):
    """A configuration is fetched, tried, and kept for good."""

    records: tuple[str, ...] = ("config",)

    def prepare(self, lab: Lab, mutation: Mutation | None = None) -> None:
        image = firmware(FIRST, {"mender", "bootstrap"}, WELL, mutation)
        flash_esp32(
            lab,
            image,
            mender_url="",
            bootstrap_url="http://bootstrap.test",
            bootstrap_plain_http=True,
            bootstrap_slow_interval=1,
            external_key=EXTERNAL_KEY,
            crypto_key=CRYPTO_KEY,
        )
        lab.register({"mender_url": SETTINGS["mender_url"], "magistrala_url": None}, ca_cert="")
        self.keep(lab, image)

    def check(self, chip: Chip, view: Mapping[str, Any], ran: Ran) -> list[Finding]:
        findings = super().check(chip, view, ran)
        record = chip.record("config")
        if record is None:
            return [*findings, Finding(BRICK, "no configuration is kept for good")]
        digest, size = struct.unpack_from("<x32sH", record)
        values = json.loads(record[35 : 35 + size])["values"]
        if values.get("mender_url") != SETTINGS["mender_url"]:
            findings.append(Finding(BRICK, f"the configuration holds {values}"))
        told = {"configuration": digest.hex()[:12]}
        return findings + oracle.inventory(view, told, told)


_PRODUCT = "http://murano.test"


@dataclass(frozen=True)
class Token(Kept):
    """A Murano product shows a token once. Where that was lost an operator resets the identity,
    as the board asks for."""

    records: tuple[str, ...] = ("murano-[0-9a-f]{8}",)

    def prepare(self, lab: Lab, mutation: Mutation | None = None) -> None:
        image = firmware(FIRST, {"murano"}, WELL, mutation)
        settings = lab.product(domain="murano.test") | {"murano_url": _PRODUCT}
        flash_esp32(lab, image, **settings)
        self.keep(lab, image)

    def during(self, lab: Lab) -> None:
        attend(lab, accept=lambda: lab.server.reset_identity("lab", lab.mac))

    def common(self, chip: Chip, view: Mapping[str, Any], ran: Ran) -> list[Finding]:
        findings = [*oracle.chosen(chip, ran), *oracle.settled(chip)]
        findings += [*oracle.counted(chip), *oracle.closed(chip)]
        kept = [chip.json_record(name) for name in chip.records() if name.startswith("murano-")]
        if len(kept) != 1 or list(kept[0]) != ["token"]:
            shown = [sorted(record) for record in kept]  # no token goes into a report
            findings.append(Finding(BRICK, f"the board's credentials are {shown}"))
        (known,) = view["murano"].values() or [{}]
        if known.get("state") != "provisioned":
            findings.append(Finding(LIE, f"the identity is {known.get('state')}"))
        told = [json.loads(text) for text in known["history"]["otau_in"]]
        installed = {"version": FIRST, "status": "INSTALLED_VERSION", "message": ""}
        if installed not in told or any(entry != installed for entry in told):
            findings.append(Finding(LIE, f"the product was told {told}"))
        return findings


_COUNT = 16
# Measures once in its life. 500 bytes each, so that six fit a segment of the outbox: two of
# those go to the flash at once, and what is in RAM by then does as before a reset.
_MEASURES = f"""
async def run(agent):
    store = agent.settings.store
    if store.get("measured") is None:
        for value in range({_COUNT}):
            agent.publish("value", "%03d" % value + "." * 497)
        agent.leaving()
        store.put("measured", b"all")


def healthy():
    return True
"""


@dataclass(frozen=True)
class Outbox(Kept):
    """What publish() took and was saved reaches Magistrala: at least once, and in order."""

    records: tuple[str, ...] = ("measured",)

    def prepare(self, lab: Lab, mutation: Mutation | None = None) -> None:
        image = firmware(FIRST, {"mender", "magistrala"}, _MEASURES, mutation)
        client = lab.server.add_config("board", EXTERNAL_KEY, channels=["readings"])
        lab.server.connect(client)
        flash_esp32(
            lab,
            image,
            magistrala_url=SETTINGS["mender_url"],
            magistrala_domain="lab",
            magistrala_id=client,
            magistrala_secret=_secret(lab, client),
            magistrala_channels=[{"id": "readings"}],
        )
        self.keep(lab, image)

    def check(self, chip: Chip, view: Mapping[str, Any], ran: Ran) -> list[Finding]:
        came = [
            int(record["vs"][:3])
            for message in view["magistrala"]["messages"]
            for record in json.loads(message["body"])
        ]
        return super().check(chip, view, ran) + oracle.arrived(came, _COUNT)


def _secret(lab: Lab, client: str) -> str:
    shown = lab.server.call("GET", f"/lab/clients/configs/{client}")
    return shown["client_secret"]
