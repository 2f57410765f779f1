"""What a MicroPython process does at the moment, and so whether it may be interrupted.

    points = SafePoints(pid)
    points.waiting(); points.in_bytecode()       # of a stopped process

The unix port raises KeyboardInterrupt out of its signal handler, wherever the process is. From
within the allocator that leaves the heap locked for ever. A board raises it between two bytecodes.
So a signal should come while the program waits (for time, for the network, for input), or else
while the process is in the bytecode loop itself, whose address is in its symbol table.

Limits: Linux on x86-64 or arm64, and the right to trace the process. Of a program without symbols
only waiting is known.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import contextlib
import functools
import platform
import struct
from pathlib import Path

# Numbers of system calls: read, and those that wait (poll, ppoll, select, pselect6, nanosleep,
# clock_nanosleep, epoll_wait, epoll_pwait, connect, accept, recvfrom; restart_syscall: one of
# these that a stop had interrupted).
_READ = {"x86_64": 0, "aarch64": 63}
_WAITS = {
    "x86_64": {7, 271, 23, 270, 35, 230, 232, 281, 42, 43, 45, 219},
    "aarch64": {73, 72, 101, 115, 22, 203, 202, 207, 128},
}
_LOOP = b"mp_execute_bytecode"
_SYMBOLS, _LOAD = 2, 1  # types of a section and of a segment
_HEADER = struct.Struct("<32xQQ4xHHHHH")  # of an ELF file: e_phoff, e_shoff, e_ehsize to e_shnum
_SEGMENT = struct.Struct("<I4xQQ8xQ")
_SECTION = struct.Struct("<4xI16xQQI12xQ")
_SYMBOL = struct.Struct("<I4xQQ")


class SafePoints:
    """pid: the process, after its start; its program's file has `micropython` in its name."""

    def __init__(self, pid: int) -> None:
        self._proc = Path(f"/proc/{pid}")
        self._loop: range | None = None

    def waiting(self) -> bool:
        """Whether it waits: for time, for the network, for input on its fd 0."""
        number, *more = self._call()
        machine = platform.machine()
        if number == str(_READ.get(machine)):
            return int(more[0], 16) == 0
        return number.isdigit() and int(number) in _WAITS.get(machine, ())

    def in_bytecode(self) -> bool:
        """Whether it is in the bytecode loop, not in what that called."""
        if self._loop is None:
            self._loop = self._find_loop()
        number, *_, at = self._call()
        return number == "-1" and int(at, 16) in self._loop

    def _call(self) -> list[str]:
        # The number of the system call with its arguments, or -1; where stack and program are.
        return (self._proc / "syscall").read_text().split()

    def _find_loop(self) -> range:
        for line in (self._proc / "maps").read_text().splitlines():
            where, rights, offset, _, _, *path = line.split(maxsplit=5)
            if "x" in rights and path and "micropython" in Path(path[0]).name:
                base = int(where.split("-")[0], 16) - int(offset, 16)
                loop = loop_in_file(path[0])
                return range(base + loop.start, base + loop.stop)
        return range(0)


@functools.cache
def loop_in_file(path: str) -> range:
    """Where the bytecode loop lies in a program's ELF file; empty if that does not say."""
    data = Path(path).read_bytes()
    with contextlib.suppress(struct.error, StopIteration):
        segments_at, sections_at, _, *sizes = _HEADER.unpack_from(data)
        address, length = next(_loops(data, sections_at, *sizes[2:]))
        for number in range(sizes[1]):
            at = segments_at + number * sizes[0]
            kind, offset, start, size = _SEGMENT.unpack_from(data, at)
            if kind == _LOAD and start <= address < start + size:
                return range(offset + address - start, offset + address - start + length)
    return range(0)


def _loops(data: bytes, sections_at: int, section_size: int, count: int):
    # (address, size) of the symbol
    starts = [sections_at + number * section_size for number in range(count)]
    sections = [_SECTION.unpack_from(data, at) for at in starts]
    for kind, offset, size, link, entry in sections:
        if kind != _SYMBOLS:
            continue
        names = sections[link][1]
        for at in range(offset, offset + size, entry):
            name, address, length = _SYMBOL.unpack_from(data, at)
            if data.startswith(_LOOP + b"\0", names + name):
                yield address, length
