# Payload type rootfs-image: a whole firmware image into the app partition that is not running.
#
#   installer = Firmware(board)
#   sink = installer.download("micropython.bin", size)   # sink.write(view)..., sink.close()
#   await installer.install()                            # read back, compare, set_boot()
#   await installer.reboot()                             # it has one boot to prove itself
#   await installer.commit()                             # mark_app_valid_cancel_rollback()
#
# The methods are the states of Mender's update modules. The identity of an image is its slot and
# the SHA-256 that the image format appends: read from the flash, it tells which software runs.
#
# Going back is one flash operation: the otadata entry that names the new slot is erased, and the
# old slot's entry, still valid and never touched, is in force again. (set_boot() of the old slot
# would write over that entry and make the old image a trial too: a cut there strands the board.)
# Limits: boards with two OTA slots (otadata); set_boot() reads the whole image and blocks.
# SPDX-License-Identifier: MIT

import asyncio
import hashlib
import struct

from micropython import const

from ..errors import Broken, Rejected
from . import otadata
from .base import Installer
from .otadata import image_identity, label

_SECTOR = const(4096)
_PAGE = const(1024)
_CHECKPOINT = const(131072)
_BREATH = const(32768)
_ERASE = const(6)  # block device ioctl
_MAGIC = const(0xE9)
_HEADER = const(24)


class Firmware(Installer):
    """Installs ESP32 app images. board: needs reset() and feed()."""

    needs_reboot = True
    supports_rollback = True
    adopts = True  # images are flashed and tried by other tools, too

    def __init__(self, board, installed=None, settings=None):
        """installed: the identity that an earlier boot got from installed(), or None."""
        from esp32 import Partition

        self._partition = Partition
        super().__init__(board, installed, settings)
        self._slot = None
        self._running = Partition(Partition.RUNNING)  # pyright: ignore[reportArgumentType]
        self._other()  # a board without two slots has no such installer
        otadata.state()

    def running(self):
        """Identity of the image that runs now: `label:digest`."""
        return image_identity(self._running)

    def installed(self):
        """Identity of the image that download() wrote: equals running() once that image runs."""
        if not self._slot:
            raise Rejected("the payload holds no file: expected one image")
        self._installed = image_identity(self._slot.partition, self._slot.size)
        return self._installed

    def download(self, name, size):
        """A sink for the image.

        Raises Rejected if it cannot fit here, Broken if no slot may be touched now.
        """
        if self._slot:
            raise Rejected(f"the payload holds a second file, {name}: expected one image")
        target = self._other()
        space = target.info()[3]
        if size < _HEADER:
            raise Rejected(f"{name}: {size} bytes are no ESP32 image")
        if size > space:
            raise Rejected(f"{name}: {size} bytes do not fit slot {label(target)} of {space}")
        if self._boots(target):
            otadata.forget(target)  # a slot that would boot next is not written to
        if otadata.state() in (otadata.NEW, otadata.PENDING):
            raise Broken("the running image is unconfirmed: its only fallback is not overwritten")
        self._slot = _Slot(target, self._running, size, self._board.feed, self.mark)
        return self._slot

    def _other(self):
        try:
            target = self._running.get_next_update()
        except OSError as error:
            raise Rejected(f"this board has no OTA slots (get_next_update: {error})")
        if target.info()[2] == self._running.info()[2]:
            raise Rejected("this board has one app slot only: expected two")
        return target

    async def install(self):
        """Read the slot back, compare, and make it the one to boot.

        Raises Broken if the flash does not hold what was written, Rejected if the boot loader
        would not take the image.
        """
        slot: _Slot = self._slot  # pyright: ignore[reportAssignmentType]
        digest = await slot.read_back(self._board.feed)
        if digest != slot.written:
            raise Broken(f"slot {label(slot.partition)} does not hold what was written to it")
        self._board.feed()  # set_boot() blocks: it reads the whole image
        try:
            slot.partition.set_boot()
        except OSError as error:
            raise Rejected(f"the boot loader refuses the image: {error}")

    async def commit(self):
        """Keep the running image: no rollback from here on. Raises Broken if that did not hold."""
        try:
            self._partition.mark_app_valid_cancel_rollback()
        except OSError as error:
            raise Broken(f"the running image could not be marked valid: {error}")
        state = otadata.state()
        if state != otadata.VALID:
            raise Broken(f"otadata: expected state {otadata.VALID} (valid), got {state}")

    async def rollback(self):
        """Make the old slot the one to boot. Does nothing where it is that already."""
        old, new = self._running, self._other()
        if self.running() == self._installed:
            old, new = new, old
        if self._boots(new):
            otadata.forget(new)
        if self._boots(new):
            old.set_boot()  # otadata had no entry but this

    async def cleanup(self):
        self._slot = None

    def on_trial(self):
        """Whether the running image is pending: one boot to prove itself."""
        return otadata.state() == otadata.PENDING

    def _boots(self, partition):
        chosen = self._partition(self._partition.BOOT)  # pyright: ignore[reportArgumentType]
        return chosen.info()[2] == partition.info()[2]


def present():
    """Hex of the SHA-256 that the running image ends in. In which slot it lies is all the same: a
    cable may write it into the first again. Raises Broken for no image like an update's."""
    from esp32 import Partition

    running = Partition(Partition.RUNNING)  # pyright: ignore[reportArgumentType]
    return image_identity(running).split(":")[1]


class _Slot:
    """The sink: erases sector by sector, programs whole pages, and hashes what it writes.

    A page of 1 KiB instead of a sector, because the heap is at its fullest here.
    """

    def __init__(self, partition, running, size, feed, mark):
        self.partition = partition
        self.written = None
        self._mark = mark
        self._kept = 0  # bytes that are there already
        self._running = running
        self._feed = feed
        self.size = size
        self._page = memoryview(bytearray(_PAGE))
        self._fill = 0
        self._at = 0  # where the page belongs in the partition
        self._sha = hashlib.sha256()

    def write(self, view):
        while len(view):
            take = min(_PAGE - self._fill, len(view))
            self._page[self._fill : self._fill + take] = view[:take]
            self._fill += take
            view = view[take:]
            if self._fill == _PAGE:
                self._flush()

    def _flush(self):
        if self._at == 0:
            self._check_head()
        self._sha.update(self._page[: self._fill])
        if self._at >= self._kept:
            self._program()
        self._at += _PAGE
        self._fill = 0
        if self._at % _CHECKPOINT == 0 and self._at > self._kept:
            self._mark(self._at)

    def _program(self):
        sector, offset = divmod(self._at, _SECTOR)
        if offset == 0:
            self._feed()
            self.partition.ioctl(_ERASE, sector)
        for at in range(self._fill, _PAGE):
            self._page[at] = 0xFF
        self.partition.writeblocks(sector, self._page, offset)

    def take_up(self, done):
        """`done` bytes lie in the slot, as mark() got it: they come again, but are not written."""
        self._kept = done

    def kept(self):
        """Views of those bytes, from the flash; each is valid until the next."""
        page = memoryview(bytearray(_PAGE))
        for at in range(0, self._kept, _PAGE):
            self.partition.readblocks(at // _SECTOR, page, at % _SECTOR)
            yield page

    def _check_head(self):
        # Before the first erase: a payload for another machine leaves the slot as it was.
        own = bytearray(_HEADER)
        self._running.readblocks(0, own)
        if self._fill < _HEADER or self._page[0] != _MAGIC:
            came = self._page[0]
            raise Rejected(f"the payload is no ESP32 image: starts with {came:#x}, expected 0xe9")
        chip, ours = (struct.unpack_from("<H", head, 12)[0] for head in (self._page, own))
        if chip != ours:
            raise Rejected(f"the image is for chip id {chip}, this board has chip id {ours}")
        if not self._page[23] & 1:
            raise Rejected("the image has no SHA-256 appended: expected one (esptool elf2image)")

    def close(self):
        """All bytes came and their checksum was right: write what is left."""
        if self._fill:
            self._flush()
        self.written = self._sha.digest()

    async def read_back(self, feed):
        """SHA-256 of what the flash holds now, yielding so that other tasks go on."""
        sha = hashlib.sha256()
        for at in range(0, self.size, _PAGE):
            self.partition.readblocks(at // _SECTOR, self._page, at % _SECTOR)
            sha.update(self._page[: min(_PAGE, self.size - at)])
            if at % _BREATH == 0:
                feed()
                await asyncio.sleep_ms(0)
        return sha.digest()
