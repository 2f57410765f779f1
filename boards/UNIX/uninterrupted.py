# A block device that Ctrl-C cannot stop half-way: a real one is written in C, but the interpreter
# raises KeyboardInterrupt between any two steps of Python, so in the emulated flash, too, below
# LittleFS, whose state in RAM would be torn. Here the operation is done once more, which changes
# nothing in a NOR flash, and the parent is told to press the key again.
# Used for the file system's device where there is a serial port (power_on's port=1).
# SPDX-License-Identifier: MIT
import control


class Uninterrupted:
    """device: any block device."""

    def __init__(self, device):
        self._device = device

    def readblocks(self, *args):
        return _whole(self._device.readblocks, args)

    def writeblocks(self, *args):
        return _whole(self._device.writeblocks, args)

    def ioctl(self, *args):
        return _whole(self._device.ioctl, args)


def _whole(call, args):
    while True:
        try:
            return call(*args)
        except KeyboardInterrupt:
            control.send("interrupted")
