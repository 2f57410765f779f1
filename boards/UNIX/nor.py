# A NOR flash chip in one host file: erasing a 4 KiB sector sets bits, programming clears them.
# Every erase and program has a number; power can be cut before, during or after any of them.
#
#   chip = nor.Flash(path)
#   chip.read(address, buf); chip.erase(address); chip.program(address, buf)
#
# Limits: no timing, no wear, no bit errors at rest. A program never spans two sectors: callers
# that give more get one operation a sector.
# SPDX-License-Identifier: MIT
import hashlib

import control
from micropython import const

SECTOR = const(4096)
_CHUNK = const(256)
_MASK = const(32)

BEFORE = "before"  # the operation does not happen
TORN = "torn"  # its first half happens: bytes beyond keep what they held
RAGGED = "ragged"  # scattered bits: half of a program's, all but one in 16 of an erase's
AFTER = "after"  # it happens, and nothing after it


class Flash:
    """The chip. `ops` is the number of the latest operation; `cut` is (number, how) or None.

    path: the host file, of the chip's size, opened once and kept (the host's files may be
    unmounted afterwards). trace: every operation is told to the parent in full. seed: of ragged
    cuts; the same seed leaves the same bits.
    """

    def __init__(self, path, ops=0, cut=None, trace=False, seed=0):
        self._file = open(path, "r+b")
        self.size = self._file.seek(0, 2)
        self.ops = ops
        self._cut = cut
        self._trace = trace
        self._seed = seed
        self._old = memoryview(bytearray(_CHUNK))
        self._blank = memoryview(b"\xff" * _CHUNK)

    def read(self, address, buf):
        """Fill `buf` from `address`."""
        self._file.seek(address)
        self._file.readinto(buf)

    def erase(self, address):
        """Set all bits of the sector at `address` (a multiple of 4096)."""
        how = self._step("erase", address, SECTOR)
        if how == RAGGED:
            self._change(address, SECTOR, self._half_erased)
        else:
            self._file.seek(address)
            for _ in range((SECTOR // 2 if how == TORN else SECTOR) // _CHUNK):
                self._file.write(self._blank)
        if how:
            self._power_off()

    def program(self, address, buf):
        """Clear the bits at `address` that are 0 in `buf`: bytes there become old AND new."""
        view = memoryview(buf)
        done = 0
        while done < len(view):
            room = SECTOR - (address + done) % SECTOR
            self._program(address + done, view[done : done + room])
            done += room

    def _program(self, address, view):
        how = self._step("program", address, len(view))
        if how == RAGGED:
            self._new = view
            self._change(address, len(view), self._half_programmed)
        else:
            self._clear_bits(address, view[: len(view) // 2] if how == TORN else view)
        if how:
            self._power_off()

    def _clear_bits(self, address, view):
        for at in range(0, len(view), _CHUNK):
            new = view[at : at + _CHUNK]
            old = self._old[: len(new)]
            self.read(address + at, old)
            if old != self._blank[: len(new)]:
                new = _int(old) & _int(new)
                new = new.to_bytes(len(old), "little")
            self._file.seek(address + at)
            self._file.write(new)

    # A cut in the middle, bit by bit.

    def _change(self, address, length, changed):
        for at in range(0, length, _MASK):
            old = self._old[: min(_MASK, length - at)]
            self.read(address + at, old)
            new = changed(at, _int(old)) & ((1 << (8 * len(old))) - 1)
            self._file.seek(address + at)
            self._file.write(new.to_bytes(len(old), "little"))

    def _half_programmed(self, at, old):
        return old & (_int(self._new[at : at + _MASK]) | self._bits(at, 0))

    def _half_erased(self, at, old):
        left = self._bits(at, 0) & self._bits(at, 1) & self._bits(at, 2) & self._bits(at, 3)
        return old | ~left

    def _bits(self, at, draw):
        text = "%d %d %d %d" % (self._seed, self.ops, at, draw)
        return _int(hashlib.sha256(text.encode()).digest())

    # Numbers and cuts.

    def _step(self, kind, address, length):
        self.ops += 1
        # The parent counts these lines: it must know the number even when it kills the board.
        control.send("op %s %d %d" % (kind, address, length) if self._trace else "op")
        control.wait()
        if not self._cut or self.ops != self._cut[0]:
            return None
        if self._cut[1] == BEFORE:
            self._power_off()
        return self._cut[1]

    def _power_off(self):
        control.end("cut %d %s" % self._cut)


def _int(view):
    return int.from_bytes(view, "little")
