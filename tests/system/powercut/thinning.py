"""Which operations of a trace no cut falls on, because a great many are alike: plain data only.

    left = left_out(trace, sampled)         # indices of operations
    left = left_out(trace, sampled, look=False)   # of a recovery, whose cuts are a sample anyway

That is a long run of programs and erases in a slot that is being downloaded into, and a long
stretch of operations after none of which another file is to be seen: of a download into a folder
that does not count yet, or of the removal of one. Never an operation on otadata, and never one
that changes a file or a record which a start reads, nor the one after it.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import Any

from .chip import Chip, Damaged
from .trace import Ranges, Trace

# So many at each end, and about so many between: of data in a slot, and of such a stretch, which
# is thinned from so many operations on.
_DATA, _FILES = (4, 8), (8, 12)
_LONG = 40
_DOWNLOAD = "download"
# What lies there is not looked at before the folder gets its name, and no more after it lost it.
# Of a slot that has its name the other files tell enough.
_HIDDEN = re.compile(r"/[ab]\.part/.|/\.instar-files/new|/\.instar-files\.gone/.|/[ab]/instar/.")


def left_out(trace: Trace, sampled: Ranges, look: bool = True) -> set[int]:
    """sampled: ranges of the flash that are slots. look: keep what changes files; this takes some
    milliseconds for each operation."""
    sampled = tuple(sampled)
    left: set[int] = set()
    for run in _runs(trace, sampled):
        left |= _thinned(run, *_DATA)
    kept = _visible(trace, sampled) if look else set()
    for stretch in _stretches(trace, kept):
        rest = [index for index in stretch if not _in(trace, index, sampled)]
        if len(rest) > _LONG:
            left |= _thinned(rest, *_FILES)
    return left - _choices(trace)


def _in(trace: Trace, index: int, ranges: Ranges) -> bool:
    return any(start <= trace.ops[index].address < end for start, end in ranges)


def _runs(trace: Trace, sampled: Ranges) -> Iterator[list[int]]:
    # Into a slot, while something is downloaded.
    def data(index: int) -> bool:
        return trace.ops[index].state == _DOWNLOAD and _in(trace, index, sampled)

    for plain, run in itertools.groupby(range(len(trace.ops)), data):
        if plain:
            yield list(run)


def _stretches(trace: Trace, kept: set[int]) -> Iterator[list[int]]:
    # In one state of the update, during which the server learns nothing and no file changes.
    def where(index: int) -> tuple:
        op = trace.ops[index]
        return op.boot, op.snapshot, op.state, index if index in kept else None

    stretch: list[int] = []
    for key, group in itertools.groupby(range(len(trace.ops)), where):
        stretch = list(group)
        if key[-1] is None:
            yield stretch


def _visible(trace: Trace, sampled: Ranges) -> set[int]:
    # The operations after which there are other files, each with the one that follows.
    found, flash = set(), bytearray(trace.start)
    before = seen(bytes(flash))
    for index, op in enumerate(trace.ops):
        flash[op.address : op.address + len(op.after)] = op.after
        if _in(trace, index, sampled):
            continue
        after = seen(bytes(flash))
        if after != before:
            found |= {index, index + 1}
        before = after
    return found


def _choices(trace: Trace) -> set[int]:
    # Operations on otadata.
    rows = Chip(trace.start).rows
    at, size = rows.get("otadata", (0, 0))
    return {i for i, op in enumerate(trace.ops) if at <= op.address < at + size}


def seen(flash: bytes) -> dict[str, Any]:
    """The files and folders that a start may look at, with what the files hold."""
    chip = Chip(flash)
    try:
        return chip.read(lambda path: not _HIDDEN.match(path))
    except Damaged as damage:
        return {"": str(damage)}


def _thinned(indices: list[int], ends: int, between: int) -> set[int]:
    # Which of them are left out.
    inner = indices[ends:-ends]
    step = max(1, len(inner) // between) | 1  # odd: where kinds take turns, all are met
    return set(inner) - set(inner[::step])
