"""What `instar doctor` thinks of a board's flash: table, slots, file system, what is on trial.

    for check in flash_checks(answer_of_flash_py, lambda name: f"instar {name} --port COM3"):
        print(check)

Formats and states: ESP-IDF's esp_flash_partitions.h; rules: its bootloader_utility.c.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import binascii
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_APP, _OTA, _OTA_END = 0, 0x10, 0x20
_NO_SEQUENCE = 0xFFFFFFFF
_NEW, _PENDING = 0, 1
_STATES = {
    0: "new: it starts next, on trial",
    1: "on trial",
    2: "proven",
    3: "invalid",
    4: "aborted",
    0xFFFFFFFF: "never judged: this boot loader takes nothing back",
}
_LEFT_OUT = (3, 4)  # invalid, aborted: the boot loader passes them over
_FEW_BLOCKS = 16
_WAIT = "let it prove itself; a reset now takes it back"

Command = Callable[[str], str]


@dataclass(frozen=True)
class Check:
    """One row. fine: None for what is good to know, but no fault. step: what mends it."""

    what: str
    fine: bool | None
    found: str
    step: str = ""


def flash_checks(found: dict, in_slot: bool, command: Command) -> Iterator[Check]:
    """in_slot: instar runs from an application's slot, so that updates need no firmware slot.
    command: a command of ours by its name, as a person would type it for this board."""
    if found["table"]:
        yield from _table_checks(found["table"], in_slot, command)
    yield _file_system(found["kind"], command)
    size, free, block = found["size"], found["free"], found["block"]
    few = free < _FEW_BLOCKS * block
    yield Check(
        "space for files",
        not few,
        f"{free >> 10} of {size >> 10} KiB free",
        "delete what is not needed: mpremote fs ls" if few else "",
    )


def _table_checks(table: dict, in_slot: bool, command: Command) -> Iterator[Check]:
    slots = [row[4] for row in table["rows"] if row[0] == _APP and _OTA <= row[1] < _OTA_END]
    labels = ", ".join(f"{row[4]} {row[3] >> 10} KiB" for row in table["rows"] if row[0] == _APP)
    two = len(slots) > 1 and table["otadata"] is not None
    if two:
        yield Check("partition table", True, labels)
    else:
        text = f"{labels}: an update of the firmware needs two slots and otadata"
        step = f"{command('flash')} (writes everything anew)"
        yield Check("partition table", None if in_slot else False, text, step)
    running, boot = table["running"], table["boot"]
    if not two:
        yield Check("firmware slot", None, f"{running} runs")
    elif running != boot:
        text = f"{running} runs, {boot} was to: what lies there does not start"
        yield Check("firmware slot", False, text, "deploy the update again: its image is damaged")
    else:
        yield _slot(running, _state(table["otadata"]))


def _slot(running: str, state: int | None) -> Check:
    said = "otadata is blank" if state is None else _STATES.get(state, f"state {state}")
    trial = state in (_NEW, _PENDING)
    return Check(
        "firmware slot", None if trial else True, f"{running} runs: {said}", _WAIT if trial else ""
    )


def _state(entries: list[str] | None) -> int | None:
    """State of the entry in force, that with the highest sequence; None if there is none.

    An entry is `<I20sII`: sequence, label, state, CRC-32 over the sequence's four bytes.
    """
    valid = []
    for entry in entries or ():
        raw = bytes.fromhex(entry)
        sequence, state, crc = struct.unpack("<I20xII", raw)
        good = binascii.crc32(raw[:4], 0xFFFFFFFF) == crc and sequence != _NO_SEQUENCE
        if good and state not in _LEFT_OUT:
            valid.append((sequence, state))
    return max(valid)[1] if valid else None


def _file_system(kind: str | None, command: Command) -> Check:
    if kind == "littlefs":
        return Check("file system", True, "LittleFS")
    if kind == "fat":
        text = "FAT: a power cut in a write can take all of it"
        return Check("file system", False, text, f"{command('flash')}: its layout has LittleFS")
    return Check("file system", None, "of a kind that is not known")


def slot_check(slots: dict, command: Command) -> Check:
    """Of the application's slots, by the boot guard's record."""
    running, left = slots["running"], slots["left"]
    where = f"/{running} runs" if running else "the firmware's own application runs"
    if slots["damaged"]:
        text = f"{where}; the record that says which slot was proven cannot be read"
        return Check("application slot", False, text, command("deploy"))
    if left is not None:
        text = f"{where}: on trial, {left} more starts"
        return Check("application slot", None, text, "let it prove itself")
    if slots["active"] != running:
        text = f"{where}, /{slots['active']} was to"
        return Check("application slot", False, text, command("deploy"))
    return Check("application slot", True, f"{where}: proven" if running else where)


def update_check(update: list | None, command: Command) -> Check:
    """update: [state, verdict] of the journal, or None."""
    if not update:
        return Check("update", True, "none under way")
    state, verdict = update
    text = f"under way: {state}" + (f", to be reported as {verdict}" if verdict else "")
    return Check("update", None, text, f"let it come to its end: {command('monitor')}")
