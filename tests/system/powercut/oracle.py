"""What must be true of a board that came to rest, whatever happened to it on the way: judged from
the bytes of its flash and from what the server believes, and from nothing that the board said.

Each check gives a list of findings; scenarios.py puts them together. A finding is
    brick     the software that runs, or what it needs, is none that was ever meant to be there
    lie       the server believes something that is not so, or was told two things
    leftover  something lies there that nobody needs any more
    unstable  something is still open: the next start may change it
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_private_key,
    load_pem_public_key,
)

from .chip import BLANK, NEW, PENDING, RECORDS, Chip, Damaged
from .evidence import is_step

if TYPE_CHECKING:
    from .world import Ran

BRICK, LIE, LEFTOVER, UNSTABLE = "brick", "lie", "leftover", "unstable"
SUCCESS, FAILURE, ABORTED = "success", "failure", "aborted"
# Of the journal's records: they may stay, if no update is open in them.
JOURNAL = ("update", "step", "download")
# What a device may report, as the first letters of its statuses: the same one again is the same
# (its answer was lost with the power), and after the reboot it is installing once more.
_ORDER = {SUCCESS: re.compile(r"d+i+(r+i+)?s+"), FAILURE: re.compile(r"d+(i+(r+i*)?)?f+")}
_UNFINISHED = re.compile(r"(d+(i+(r+i*)?)?)?")
# Why an update failed whose power was cut, in the words of lib/instar/: restart.py, update.py, and
# of a download that was cut too often intake.py.
RESTARTS = (
    "the board started again during",
    "starts without a proof",
    "the new software does not run",
    "the new software was committed, but the old software runs",
    "times while downloading",
)
_UPDATES = 16
_MARK = "."  # begins the keys of the provides record that are the board's own


@dataclass(frozen=True)
class Finding:
    """kind: one of brick, lie, leftover, unstable."""

    kind: str
    text: str


@dataclass(frozen=True)
class Outcome:
    """What the board may come out of a scenario with.

    provides: without device_type. files: by absolute path, all that there are but the records.
    image: of the slot that runs; None: not judged. active: the application slots that the boot
    guard's record may name; None: there is no record. committed: by payload type, whose the
    provides are, as the board's own part of that record has it.
    """

    provides: Mapping[str, str]
    files: Mapping[str, bytes]
    image: bytes | None = None
    active: tuple[str | None, ...] = (None,)
    committed: Mapping[str, str] = field(default_factory=dict)


# ---- what runs


def at_rest(ran: Ran) -> list[Finding]:
    if ran.quiet:
        return []
    return [Finding(BRICK, f"not at rest after {ran.boots} boots: {ran.why}")]


def readable(chip: Chip) -> list[Finding]:
    """The file system mounts, and every file in it can be read."""
    try:
        _ = chip.tree
    except Damaged as damage:
        return [Finding(BRICK, str(damage))]
    return []


def chosen(chip: Chip, ran: Ran) -> list[Finding]:
    """The boot loader would start again what runs."""
    if ran.slot is None or not chip.firmware_slots or chip.running() == ran.slot:
        return []
    return [Finding(UNSTABLE, f"{ran.slot} runs, but otadata selects {chip.running()}")]


def settled(chip: Chip) -> list[Finding]:
    """No entry of otadata is new or on trial."""
    if not chip.firmware_slots:
        return []
    return [
        Finding(UNSTABLE, f"otadata: entry {place} is in state {entry.state}")
        for place, entry in enumerate(chip.entries())
        if entry.sequence != BLANK and entry.state in (NEW, PENDING)
    ]


def counted(chip: Chip) -> list[Finding]:
    """The sequence numbers in otadata are as small as a few updates make them, and two."""
    if not chip.firmware_slots:
        return []
    found = [entry.sequence for entry in chip.entries() if entry.intact]
    if len(set(found)) == len(found) and all(0 < number <= _UPDATES for number in found):
        return []
    return [Finding(BRICK, f"the sequence numbers in otadata are {found}")]


def untouched(chip: Chip, expected: str) -> list[Finding]:
    """What no update may change is as it was: the boot loader, the partition table, nvs."""
    if chip.fixed() == expected:
        return []
    return [Finding(BRICK, "the flash was changed where nothing of an update is")]


def image(chip: Chip, expected: bytes | None) -> list[Finding]:
    """The slot that runs begins with exactly this image."""
    if expected is None or chip.partition(chip.running()).startswith(expected):
        return []
    return [Finding(BRICK, f"{chip.running()} does not hold the image that it should")]


def same_files(chip: Chip, expected: Mapping[str, bytes]) -> list[Finding]:
    """Every file but the records is there, byte for byte, and no other file or folder is."""
    found = {path: x for path, x in chip.files.items() if not path.startswith(RECORDS)}
    wrong = sorted(path for path in expected if found.get(path) != expected[path])
    folders = {path[:at] for path in expected for at in _slashes(path)} | {RECORDS[:-1]}
    extra = {path for path, x in chip.tree.items() if x is None and path not in folders}
    extra |= found.keys() - expected.keys()
    return [
        *(Finding(BRICK, f"{path} is not what it should be") for path in wrong[:3]),
        *(Finding(LEFTOVER, f"{path} is left over") for path in sorted(extra)[:3]),
    ]


def _slashes(path: str) -> list[int]:
    return [at for at, letter in enumerate(path) if at and letter == "/"]


def guard(chip: Chip, active: Collection[str | None]) -> list[Finding]:
    """The boot guard's record says which application slot runs, and that it is proven."""
    record = chip.json_record("slots")
    proven = [slot and {"active": slot, "left": None, "watchdog": 0} for slot in active]
    if record in proven:
        return []
    return [Finding(UNSTABLE, f"the boot guard's record is {record}, expected one of {proven}")]


# ---- what the board keeps


def records(chip: Chip, allowed: Collection[str]) -> list[Finding]:
    """Every record is whole, and none is there that is not allowed (regular expressions)."""
    known = re.compile("|".join([*allowed, *JOURNAL]))
    findings = []
    for name in chip.records():
        if not known.fullmatch(name):
            findings.append(Finding(LEFTOVER, f"{RECORDS}{name} is left over"))
            continue
        try:
            chip.record(name)
        except Damaged as damage:
            findings.append(Finding(BRICK, str(damage)))
    return findings


def closed(chip: Chip) -> list[Finding]:
    """No update is open: of the journal at most the record of its steps is there, which counts
    only beside the other one, and that of a download, which has to be offered again."""
    findings = []
    record, step = chip.json_record("update"), chip.json_record("step")
    if record is not None:
        findings.append(Finding(UNSTABLE, f"an update is open in {record.get('state')}"))
    if step is not None and not is_step(step):
        findings.append(Finding(BRICK, f"the record of the steps holds {step}"))
    return findings


def provides(chip: Chip, expected: Mapping[str, str], first: str) -> list[Finding]:
    """The record says what the software provides that runs. first: its artifact_name where there
    is no record."""
    record = chip.json_record("provides") or {"artifact_name": first}
    found = {key: value for key, value in record.items() if not key.startswith(_MARK)}
    if found == dict(expected):
        return []
    return [Finding(LIE, f"the board provides {found}, but what runs provides {dict(expected)}")]


def committed(chip: Chip, expected: Mapping[str, str]) -> list[Finding]:
    """The record of provides says whose they are, by payload type: of what runs."""
    record = chip.json_record("provides") or {}
    found = {key[1:]: json.loads(record[key])[0] for key in record if key.startswith(_MARK)}
    if found == dict(expected):
        return []
    return [Finding(LIE, f"the provides are those of {found}, but {dict(expected)} runs")]


# ---- what the server believes


def statuses(view: Mapping[str, Any], deployment: str) -> list[Finding]:
    """One final status, if it was not aborted, in an order that Mender allows."""
    found = view["deployments"][deployment]
    said = found["statuses"]
    letters = "".join(status[0] for status in said)
    final = verdict(view, deployment)
    if final == ABORTED:
        good = _UNFINISHED.fullmatch(letters)
    elif final is None:
        return [Finding(LIE, f"the deployment has no final status: {said}")]
    else:
        good = _ORDER[final].fullmatch(letters)
    return [] if good else [Finding(LIE, f"the deployment's statuses are {said}")]


def verdict(view: Mapping[str, Any], deployment: str) -> str | None:
    """How the deployment ended, as the server has it: its first final status; None: it did not."""
    found = view["deployments"][deployment]
    ends = [status for status in found["statuses"] if status in _ORDER]
    return ends[0] if ends else ABORTED if found["aborted"] else None


def refused(view: Mapping[str, Any], deployment: str) -> list[Finding]:
    """From one start on, a board learns at most once that its deployment was aborted."""
    count = view["deployments"][deployment]["refused"]
    return [] if count <= 1 else [Finding(LIE, f"{count} reports came after the abort")]


def log(view: Mapping[str, Any], deployment: str, words: Collection[str]) -> list[Finding]:
    """A failure has a log, and it says why, in one of these words."""
    if verdict(view, deployment) != FAILURE:
        return []
    messages = view["deployments"][deployment]["log"] or []
    if any(word in message for message in messages for word in words):
        return []
    return [Finding(LIE, f"the log says none of {list(words)}: {messages}")]


def inventory(
    view: Mapping[str, Any], expected: Mapping[str, str], keys: Collection[str]
) -> list[Finding]:
    """What the server has of these keys is what the software provides that runs."""
    found = {}
    for device in view["devices"]:  # there is one: see identity()
        found |= view["inventory"].get(device["id"], {})
    return [
        Finding(LIE, f"the inventory has {key} {found.get(key)!r}, expected {expected.get(key)!r}")
        for key in keys
        if found.get(key) != expected.get(key)
    ]


def identity(chip: Chip, view: Mapping[str, Any]) -> list[Finding]:
    """The server knows one device, accepted, with one key: that which the flash holds."""
    devices = view["devices"]
    sets = [auth_set for device in devices for auth_set in device["auth_sets"]]
    if len(devices) != 1 or len(sets) != 1 or sets[0]["status"] != "accepted":
        shown = [found["status"] for found in sets]
        return [Finding(LIE, f"the server knows {len(devices)} devices, with the keys {shown}")]
    record = chip.record("identity-key")
    if record is None:
        return [Finding(BRICK, "there is no identity key")]
    try:
        own = load_der_private_key(record, None).public_key()
    except ValueError:
        return [Finding(BRICK, "the identity key is no key")]
    known = load_pem_public_key(sets[0]["pubkey"].encode())
    if _der(own) == _der(known):
        return []
    return [Finding(LIE, "the server knows another key than the board has")]


def arrived(values: list[int], count: int) -> list[Finding]:
    """Numbers from 0 on, `count` of them, each at least once and in order: what comes again begins
    before what came last, and nothing is ever left out."""
    gaps = [at for at, value in enumerate(values) if value > (values[at - 1] if at else -1) + 1]
    if gaps or set(values) != set(range(count)):
        return [Finding(LIE, f"of {count} messages in order these arrived: {values}")]
    return []


def _der(key: Any) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
