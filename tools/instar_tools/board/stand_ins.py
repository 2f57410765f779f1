# Installers for payloads that check.py cannot try, since their place is not there.
#
#   installers.update(stand_ins(["my-type"], True))      # {payload type: class}
#
# Limits: of an image the header is looked at, but not for which chip it is.
# SPDX-License-Identifier: MIT
from micropython import const

from instar.errors import Rejected
from instar.installers.base import Installer

_HEAD = const(24)  # bytes of an ESP32 image's header
_MAGIC = const(0xE9)


class Anything(Installer):
    """A payload type of the user's own: its files are verified, and dropped."""

    def download(self, name, size):
        return self

    def write(self, view):
        pass

    def close(self):
        pass


class Image(Anything):
    """A firmware image, refused as installers/firmware.py does."""

    _head = None

    def download(self, name, size):
        if self._head is not None:
            raise Rejected(f"the payload holds a second file, {name}: expected one image")
        if size < _HEAD:
            raise Rejected(f"{name}: {size} bytes are no ESP32 image")
        self._head = bytearray()
        return self

    def write(self, view):
        self._head.extend(view[: _HEAD - len(self._head)])
        if self._head[0] != _MAGIC:
            came = self._head[0]
            raise Rejected(f"the payload is no ESP32 image: starts with {came:#x}, expected 0xe9")

    def close(self):
        if not self._head[23] & 1:
            raise Rejected("the image has no SHA-256 appended: expected one (esptool elf2image)")

    def installed(self):
        if self._head is None:
            raise Rejected("the payload holds no file: expected one image")


def stand_ins(types, firmware_slots):
    """One for each of the user's own payload types, and for rootfs-image where it has a place."""
    found = dict.fromkeys(types, Anything)
    if firmware_slots:
        found["rootfs-image"] = Image
    return found
