"""What a board and its server already knew when the power went, and what has to come of it.

    has_to_succeed(chip, statuses, deployment, committed, cuts)

The journal's records are read by the rules in the header of lib/instar/journal.py, written down
here once more: `update` is there from the end of the download until the deployment is closed, of
`step` counts what was written later for the same deployment.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import binascii
from collections.abc import Sequence
from typing import Any

from .chip import Chip, Damaged

# Restarts in one state that a board lets pass: more of them may end an update.
_PATIENCE = 3
_STATES = frozenset(
    "download install reboot verify_reboot commit rollback rollback_reboot verify_rollback"
    " failure cleanup report".split()
)
_VERDICTS = (None, "success", "failure", "aborted")
_NUMBERS, _FLAGS = 4, 2
_WRITES, _VERDICT = 1, 3  # places in `step`, which begins with the deployment's CRC-32


def has_to_succeed(
    chip: Chip, statuses: Sequence[str], deployment: str, committed: bool, cuts: int
) -> bool:
    """Whether a good update has to end with the new software: it was proven, or had not been
    installed yet. Between the two a cut may cost it its trial.

    statuses: what the server has. committed: a verdict that was saved cannot be lost any more with
    what runs. cuts: that there were, this one included.
    """
    if "success" in statuses:
        return True
    if cuts > _PATIENCE:
        return False
    try:
        update = chip.json_record("update")
        verdict = update and _verdict(update, chip.json_record("step"))
    except Damaged:  # at rest it would be found
        return False
    if update is None:  # it is offered again
        return not {"installing", "failure"} & set(statuses)
    return committed and update["id"] == deployment and verdict == "success"


def _verdict(update: dict[str, Any], step: list | None) -> str | None:
    later = step and step[0] == _key(update["id"]) and step[_WRITES] > update.get("writes", 0)
    return step[_VERDICT] if step and later else update["verdict"]


def _key(deployment: str) -> int:
    return binascii.crc32(deployment.encode())


def is_step(record: Any) -> bool:
    """Whether this can be the journal's `step`."""
    if not isinstance(record, list) or len(record) != 3 + _NUMBERS + _FLAGS:
        return False
    key, writes, state, verdict, *rest = record
    numbers = [key, writes, *rest[: _NUMBERS - 1]]
    return (
        all(type(number) is int and number >= 0 for number in numbers)
        and state in _STATES
        and verdict in _VERDICTS
        and all(type(flag) is bool for flag in rest[_NUMBERS - 1 :])
    )
