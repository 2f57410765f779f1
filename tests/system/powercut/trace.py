"""One run of a board as a trace, and every state in which a power cut during it can leave things.

    recording = Recording(world)
    ...                                      # the board runs
    trace = recording.end()
    for cut in trace.cuts(): ...             # distinct ones only
    flash, snapshot = trace.state(cut)       # built from the trace; nothing runs again

A cut falls before an operation, into it (`SHAPES`), after the last one, or at a request that the
server acted on: the flash as it was then, the server told or not told yet. What is torn is bits:
an erase has begun (one zero in 16 is left), is all but done (one in 256), or has done the first
half of the sector; a program has done its first half, or a random half of its bits.

Limits: an operation is never seen from within; the shapes are chosen, and their random bits seeded
by the operation's number.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import hashlib
import os
import random
import re
import threading
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace

from .beliefs import Snapshot
from .world import World

SECTOR = 4096
SHAPES = {"erase": ("early", "late", "half"), "program": ("low", "random")}
_EARLY, _LATE = 4, 8  # of how many random words a bit must be in all, to be left by an erase
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")  # another one each time

Ranges = Iterable[tuple[int, int]]


@dataclass(frozen=True)
class Op:
    """A flash operation. before, after: the bytes of its range. snapshot: the server then. state:
    of the update, as the board told it last in this boot."""

    number: int
    kind: str
    address: int
    before: bytes
    after: bytes
    boot: int
    snapshot: int
    state: str = ""

    def __str__(self) -> str:
        return f"op {self.number} {self.kind} {self.address:#x}+{len(self.before)}"


@dataclass(frozen=True)
class Moment:
    """A request: how many operations had begun, what the server believed, before it or after."""

    ops: int
    snapshot: int
    what: str


@dataclass(frozen=True)
class Cut:
    """A state: the first ``ops`` operations, the next one torn if there is a ``shape``, and what
    the server believed. digest: the same for equal states. request: it falls on no operation."""

    label: str
    ops: int
    snapshot: int
    shape: str = ""
    digest: bytes = b""
    request: bool = False


@dataclass
class Trace:
    """See the module. start: the flash before the first operation."""

    start: bytes
    snapshots: list[Snapshot]
    ops: list[Op] = field(default_factory=list)
    moments: list[Moment] = field(default_factory=list)
    last: int = 0  # the snapshot at the end

    def state(self, cut: Cut) -> tuple[bytes, Snapshot]:
        """The flash and the server at this cut."""
        flash = bytearray(self.start)
        for op in self.ops[: cut.ops]:
            flash[op.address : op.address + len(op.after)] = op.after
        if cut.shape:
            op = self.ops[cut.ops]
            flash[op.address : op.address + len(op.after)] = torn(op, cut.shape)
        return bytes(flash), self.snapshots[cut.snapshot]

    def end(self) -> Cut:
        """The state that the run itself came to."""
        return Cut("the end", len(self.ops), self.last, request=True)

    def cuts(self, left_out: Collection[int] = ()) -> list[Cut]:
        """Every distinct state, but for cuts on the operations with these indices."""
        seen: set[bytes] = set()
        found = []
        for cut in self._digested(self.all(), left_out):
            if cut.digest not in seen:
                seen.add(cut.digest)
                found.append(cut)
        return found

    def all(self) -> Iterator[Cut]:
        """Every cut, without its digest, equal ones more than once. In the order of time: each
        moment stands before the operation that followed it."""
        moments = sorted(self.moments, key=lambda moment: moment.ops)
        at = 0
        for done in range(len(self.ops) + 1):
            while at < len(moments) and moments[at].ops == done:
                label = f"request {at // 2 + 1} {moments[at].what} after op {done}"
                yield Cut(label, done, moments[at].snapshot, request=True)
                at += 1
            if done < len(self.ops):
                op = self.ops[done]
                yield Cut(f"{op} before", done, op.snapshot)
                for shape in SHAPES[op.kind]:
                    yield Cut(f"{op} torn {shape}", done, op.snapshot, shape)
        yield self.end()

    def _digested(self, cuts: Iterable[Cut], left_out: Collection[int]) -> Iterator[Cut]:
        flash, done = _Sectors(self.start), 0
        for cut in cuts:
            while done < cut.ops:
                flash.write(self.ops[done].address, self.ops[done].after)
                done += 1
            if cut.ops in left_out and not cut.request:
                continue
            change = None
            if cut.shape:
                op = self.ops[cut.ops]
                change = op.address, torn(op, cut.shape)
            digest = flash.digest(change, self.snapshots[cut.snapshot].key)
            yield replace(cut, digest=digest)


class _Sectors:
    """A flash, with a digest that costs only what was changed."""

    def __init__(self, flash: bytes) -> None:
        self._flash = bytearray(flash)
        self._digests = [self._hash(at) for at in range(0, len(flash), SECTOR)]

    def _hash(self, at: int) -> bytes:
        return hashlib.sha256(self._flash[at : at + SECTOR]).digest()

    def write(self, address: int, data: bytes) -> None:
        """``data`` lies in one sector, as the chip's operations do."""
        self._flash[address : address + len(data)] = data
        self._digests[address // SECTOR] = self._hash(address - address % SECTOR)

    def digest(self, change: tuple[int, bytes] | None, more: str) -> bytes:
        """Of the flash with this change in it, which is not kept."""
        if change:
            address, data = change
            old = bytes(self._flash[address : address + len(data)])
            self.write(address, data)
        found = hashlib.sha256(b"".join(self._digests) + more.encode()).digest()
        if change:
            self.write(address, old)
        return found


def torn(op: Op, shape: str) -> bytes:
    """What an operation leaves in its range when the power goes in the middle of it."""
    size = len(op.before)
    if shape in ("low", "half"):
        return op.after[: size // 2] + op.before[size // 2 :]
    draw = random.Random(f"{op.number} {op.address} {shape}")
    before, after = int.from_bytes(op.before, "little"), int.from_bytes(op.after, "little")
    if shape == "random":
        found = before & (after | draw.getrandbits(8 * size))
    else:
        left = -1
        for _ in range(_EARLY if shape == "early" else _LATE):
            left &= draw.getrandbits(8 * size)
        found = after & (before | ~left)
    return found.to_bytes(size, "little")


class Recording:
    """Takes down what a world's board and server do, until `end`."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._file = os.open(world.lab.path, os.O_RDONLY)
        self._places: dict[str, int] = {}
        self._open: dict | None = None
        self._lock = threading.Lock()
        self.trace = Trace(world.flash(), [])
        self._note(world.beliefs.take())
        world.lab.board.on_op = self._op
        world.beliefs.on_request = self._request

    def _note(self, snapshot: Snapshot) -> int:
        with self._lock:  # two threads come here
            if snapshot.key not in self._places:
                self._places[snapshot.key] = len(self.trace.snapshots)
                self.trace.snapshots.append(snapshot)
            return self._places[snapshot.key]

    def _read(self, event: dict) -> bytes:
        return os.pread(self._file, event["length"], event["address"])

    def _op(self, event: dict) -> None:
        # The board waits: the operation before this one is done, this one is not.
        self._close()
        self._open = {
            "number": len(self.trace.ops) + 1,
            "kind": event["kind"],
            "address": event["address"],
            "before": self._read(event),
            "boot": self._world.lab.board.boots,
            "snapshot": self._note(self._world.beliefs.take()),
            "state": self._state(),
            "length": event["length"],
        }

    def _state(self) -> str:
        for event in reversed(self._world.lab.events):
            if event["event"] == "state":
                return event["state"]
            if event["event"] == "boot":
                break
        return ""

    def _close(self) -> None:
        if self._open:
            after = self._read(self._open)
            length = self._open.pop("length")
            assert len(after) == length
            self.trace.ops.append(Op(after=after, **self._open))
            self._open = None

    def _request(self, line: str, done: bool) -> None:
        # In the server's thread. The operation that was begun last is done by now: a board does
        # one thing after another.
        begun = len(self.trace.ops) + (self._open is not None)
        what = f"{_ID.sub('*', line)} {'told' if done else 'not yet told'}"
        self.trace.moments.append(Moment(begun, self._note(self._world.beliefs.take_here()), what))

    def end(self) -> Trace:
        """The trace; the world is as it was before the recording."""
        self._world.lab.board.on_op = None
        self._world.beliefs.on_request = None
        self._close()
        os.close(self._file)
        self.trace.last = self._note(self._world.beliefs.take())
        return self.trace
