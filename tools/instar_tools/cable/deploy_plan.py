"""What a deploy has to do on a board, decided from what is there: pure, no board is asked.

    work = plan(wanted, survey, slots={"a": {...}}, root={...}, in_place=False)
    work.sent, work.copied, work.kept, work.missing_blocks

Files are known by the SHA-256 of their content. Of what the board has already nothing is sent: a
file in the folder that is being filled is kept, one of the running slot is copied on the board.
Where two slots do not fit, the running one is changed only if that was asked for (in_place).
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

UNKNOWN = "unknown"  # Mender's name for software that nobody knows
_BLOCK = 4096
_POINTERS = 16  # bytes of a block that LittleFS needs to find the next
_RESERVE = 4  # blocks for folders that grow and what is replaced beside its old content
# A board starts with these: so they come last, and main.py, which ends in a reset, at the end.
PROGRAMS = ("/boot.py", "/main.py")
# How those of instar begin and began, older releases included: what begins so is nobody's work.
_FIRST_LINES = (
    "# Runs first at every start: makes sure ",
    "# The firmware's main program",
)

Listing = Mapping[str, tuple[int, str]]  # path below a folder -> (size, SHA-256); folders: "x/"


@dataclass(frozen=True)
class Wanted:
    """slot: what is to be in a slot, by its path there. root: what lies beside, by absolute path;
    firmware: the firmware brings instar, and root is its own, or the ROMFS does, whose image this
    is."""

    slot: Mapping[str, bytes]
    root: Mapping[str, bytes]
    firmware: bool
    romfs: bytes = b""

    @property
    def name(self) -> str:
        """A name for this content, where nobody gives another."""
        running = hashlib.sha256()
        for path, data in sorted(self.slot.items()):
            running.update(f"{len(path)} {path} {len(data)} ".encode() + data)
        return f"deploy-{running.hexdigest()[:12]}"


@dataclass(frozen=True)
class Survey:
    """What board/deployer.py's survey() says."""

    running: str | None
    slots: list[str]
    parts: list[str]
    active: str | None
    trial: bool
    update: bool
    name: str | None
    blocks: int
    used: int

    @property
    def target(self) -> str:
        """The slot that does not run."""
        return "b" if self.running == "a" else "a"


@dataclass
class Work:
    """The slot's files: sent, copied (to -> from, both absolute) and kept, by their path in the
    slot. surplus: what has to go from `place`. root: files beside the slots that change.
    dropped: folders that go for room: nothing starts from them."""

    slot: str
    place: str
    in_place: bool = False
    retire: bool = False  # the slot has old content, whose folder is to be filled anew
    whole: bool = False  # the slot is as wanted
    sent: dict[str, bytes] = field(default_factory=dict)
    copied: dict[str, str] = field(default_factory=dict)
    kept: list[str] = field(default_factory=list)
    surplus: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    root: dict[str, bytes] = field(default_factory=dict)
    dropped: list[str] = field(default_factory=list)
    missing_blocks: int = 0

    @property
    def bytes_to_send(self) -> int:
        return sum(len(data) for data in (*self.sent.values(), *self.root.values()))


def blocks(size: int) -> int:
    """Of 4 KiB that a file takes on a LittleFS."""
    return 1 if size <= _BLOCK else -(-size // (_BLOCK - _POINTERS))


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def folders_of(paths: Iterable[str]) -> list[str]:
    """All folders on the way to these relative paths, parents first."""
    found = {str(parent) for path in paths for parent in PurePosixPath(path).parents}
    return sorted(found - {"."})


def is_foreign(first_line: str, works: bool) -> bool:
    """Whether a boot.py or main.py is somebody's own program. works: it has more than comments, as
    the boot.py that stock MicroPython writes at its first start has not."""
    return works and not first_line.startswith(_FIRST_LINES)


def changed_root(wanted: Wanted, root: Mapping[str, str | None]) -> dict[str, bytes]:
    """What beside the slots is not as wanted, in the order in which it is to be written."""
    found = {path: data for path, data in wanted.root.items() if root.get(path) != sha256(data)}
    return dict(sorted(found.items(), key=lambda item: (item[0] in PROGRAMS, item[0])))


def plan(
    wanted: Wanted,
    survey: Survey,
    slots: Mapping[str, Listing],
    root: Mapping[str, str | None],
    in_place: bool = False,
) -> Work:
    """slots: what is in /a, /b, /a.part, /b.part, under these names; root: SHA-256 of what lies
    where wanted.root is to lie."""
    running = survey.running
    if running and _equal(slots[running], wanted.slot):
        work = Work(running, f"/{running}", whole=True)
    elif running and in_place:
        work = _filled(wanted, Work(running, f"/{running}", in_place=True), slots[running], {})
    else:
        work = _beside(wanted, survey, slots)
    work.root = changed_root(wanted, root)
    work.missing_blocks = _missing(wanted, work, survey, slots)
    for name in _leftovers(work, survey, slots):
        if not work.missing_blocks:
            break
        work.dropped.append(f"/{name}")
        work.missing_blocks = _missing(wanted, work, survey, slots)
    return work


def _leftovers(work: Work, survey: Survey, slots: Mapping[str, Listing]) -> list[str]:
    """Folders that may go, what was half filled first. While software is on trial its record says
    that the other slot is what to go back to."""
    busy = {work.slot, work.place[1:], survey.running, survey.active}
    found = [name for name in slots if name not in busy]
    parts = [name for name in found if name.endswith(".part")]
    return parts if survey.trial else parts + [name for name in found if name not in parts]


def _beside(wanted: Wanted, survey: Survey, slots: Mapping[str, Listing]) -> Work:
    target = survey.target
    work = Work(target, f"/{target}.part")
    if target in survey.slots:
        if _equal(slots[target], wanted.slot):
            work.whole = True
            return work
        work.retire = True
    there = slots[target] if work.retire else slots.get(f"{target}.part", {})
    base = slots[survey.running] if survey.running else {}
    sources = {digest: f"/{survey.running}/{path}" for path, (_, digest) in base.items() if digest}
    return _filled(wanted, work, there, sources)


def _filled(wanted: Wanted, work: Work, there: Listing, sources: Mapping[str, str]) -> Work:
    folders = folders_of(wanted.slot)
    for path, data in wanted.slot.items():
        digest = sha256(data)
        if there.get(path, (0, ""))[1] == digest:
            work.kept.append(path)
        elif digest in sources:
            work.copied[path] = sources[digest]
        else:
            work.sent[path] = data
    known = {*wanted.slot, *(f"{folder}/" for folder in folders)}
    gone = [path for path in there if path not in known]
    # Of a folder that goes its content is not named again.
    work.surplus = [p for p in gone if not any(p != q and p.startswith(q) for q in _folders(gone))]
    work.folders = [folder for folder in folders if f"{folder}/" not in there]
    return work


def _folders(paths: Iterable[str]) -> list[str]:
    return [path for path in paths if path.endswith("/")]


def _equal(there: Listing, wanted: Mapping[str, bytes]) -> bool:
    expected = {path: sha256(data) for path, data in wanted.items()}
    expected |= {f"{folder}/": "" for folder in folders_of(wanted)}
    return expected == {path: digest for path, (_, digest) in there.items()}


def _missing(wanted: Wanted, work: Work, survey: Survey, slots: Mapping[str, Listing]) -> int:
    part = slots.get(f"{work.slot}.part", {})
    place = slots.get(work.slot, {}) if work.retire or work.in_place else part
    sizes = {path: len(wanted.slot[path]) for path in (*work.sent, *work.copied)}
    needed = sum(blocks(size) for size in sizes.values()) + 2 * len(work.folders)
    needed += sum(blocks(len(data)) for data in work.root.values())
    gone = [path for path in place if any(_below(path, name) for name in work.surplus)]
    gone += [path for path in sizes if path in place]
    freed = _taken({path: place[path] for path in gone})
    if work.retire:  # what was half filled goes at once
        freed += _taken(part)
    freed += sum(2 + _taken(slots[name[1:]]) for name in work.dropped)
    return max(0, survey.used + needed - freed + _RESERVE - survey.blocks)


def _taken(listing: Listing) -> int:
    """Blocks of all that is in a folder."""
    return sum(2 if path.endswith("/") else blocks(size) for path, (size, _) in listing.items())


def _below(path: str, name: str) -> bool:
    return path == name or (name.endswith("/") and path.startswith(name))
