# The rp2 module of the simulated board: the flash that holds the file system.
# Behaves as ports/rp2/rp2_flash.c does, which checks nothing: what the SDK below it asserts, or
# what would destroy the firmware, ends the process as a panic does.
# Limits: no buffer protocol (a Python class cannot have it), so no memoryview(Flash()); Flash()
# makes a new object each time; no PIO, no DMA, no state machines.
# SPDX-License-Identifier: MIT
import control
from micropython import const

_SECTOR = const(4096)
_PAGE = const(256)
_BASE = const(0x12C000)  # RPI_PICO_W: 2 MiB, 848 KiB of it for the file system
_SIZE = const(868352)

_chip = None


def attach(chip):
    """Give the module its chip. For power_on and tests."""
    global _chip
    _chip = chip


class Flash:
    """The file system's part of the flash, or `len` bytes of it from `start` (whole sectors)."""

    def __init__(self, *, start=-1, len=-1):
        start = 0 if start == -1 else start
        if not 0 <= start < _SIZE or start % _SECTOR:
            raise ValueError
        len = _SIZE - start if len == -1 else len
        if not 0 < len <= _SIZE - start or len % _SECTOR:
            raise ValueError
        self._base = _BASE + start
        self._size = len

    def readblocks(self, n, buf, off=0):
        """Fill `buf` from n * 4096 + off. No bounds: past the chip's end its begin is read."""
        _chip.read((self._base + n * _SECTOR + off) % _chip.size, buf)

    def writeblocks(self, n, buf, off=None):
        """Without `off`: erase, then program. With it, even 0: program only, bits go 1 to 0."""
        at = self._base + n * _SECTOR
        if off is None:
            _erase(at, len(buf))
        _program(at + (off or 0), buf)

    def ioctl(self, op, arg):
        """1 to 3: nothing. 4: blocks. 5: block size. 6: erase the block `arg`."""
        if op in (1, 2, 3):
            return 0
        if op == 4:
            return self._size // _SECTOR
        if op == 5:
            return _SECTOR
        if op == 6:
            _erase(self._base + arg * _SECTOR, _SECTOR)
            return 0
        return None


def _erase(at, length):
    _check("erase", at, length, _SECTOR)
    for sector in range(at, at + length, _SECTOR):
        _chip.erase(sector)


def _program(at, buf):
    _check("program", at, len(buf), _PAGE)
    _chip.program(at, buf)


def _check(what, at, length, unit):
    if at % unit or length % unit:
        control.end("panic %s of %d bytes at %d: multiples of %d" % (what, length, at, unit))
    if at < _BASE or at + length > _BASE + _SIZE:
        control.end("panic %s of %d bytes at %d: outside the storage" % (what, length, at))
