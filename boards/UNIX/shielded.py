# A block device that Ctrl-C does not stop half-way. A real one is written in C: interrupts wait
# until the interpreter is back in its bytecode. The emulated one is bytecode itself, below
# LittleFS, whose state in RAM would be torn. For the file system, where there is a serial port.
# SPDX-License-Identifier: MIT
import micropython
from micropython import const

_CTRL_C = const(3)
_NEVER = const(-1)


class Shielded:
    """device: any block device."""

    def __init__(self, device):
        self._device = device

    def readblocks(self, *args):
        return _shielded(self._device.readblocks, args)

    def writeblocks(self, *args):
        return _shielded(self._device.writeblocks, args)

    def ioctl(self, *args):
        return _shielded(self._device.ioctl, args)


def _shielded(call, args):
    micropython.kbd_intr(_NEVER)
    try:
        return call(*args)
    finally:
        micropython.kbd_intr(_CTRL_C)
