# A payload without an Artifact around it: the bytes of one firmware image, whose size and SHA-256
# came on another way. And a SHA-256 over all of an Artifact, where one was told beforehand.
#
#   reader = RawReader(on_header, open_file, size, sha256, "1.2", "esp32")    # or
#   reader = Summed(Reader(on_header, open_file), sha256)
#   for _ in reader.steps(view): ...
#   reader.finish()          # only now is everything verified
#   reader.close()
#
# Both are used as reader.Reader is. Limits: nothing signs a raw image, so nobody may take one
# where signatures are asked for (intake.py sees to that); it is not compressed.
# SPDX-License-Identifier: MIT

import hashlib

from .. import memory
from .header import Header
from .members import hex_digest
from .refusal import refused

_KIND = "rootfs-image"
_NAME = "firmware.bin"
# What mender-artifact writes for an image that comes without more words.
_CLEARS = ("artifact_group", "rootfs_image_checksum", "rootfs-image.*")


class RawReader:
    """One image on its way through.

    on_header, open_file: as reader.Reader's. size: bytes; sha256: 64 lower-case hex digits;
    version: becomes the artifact_name; device_type: of the board that it is for. Raises Rejected
    for other bytes than those; the sink is closed only when all of them came and nothing else.
    """

    def __init__(self, on_header, open_file, size, sha256, version, device_type):
        self.header = None
        self._new_header = _header(sha256, version, device_type)
        self._on_header = on_header
        self._open_file = open_file
        self._size = self._left = size
        self._sink = None
        self._running = hashlib.sha256()

    def offset(self):
        """As reader.Reader's: the image is all there is."""
        return 0

    def feed(self, view):
        """Take the next bytes: a memoryview of any length, used only now."""
        if not self.header:
            self._begin()
        if len(view) > self._left:
            raise refused("image", f"{self._size} bytes", "more")
        self._left -= len(view)
        self._running.update(view)
        self._sink.write(view)  # pyright: ignore[reportOptionalMemberAccess]

    def steps(self, view):
        """As feed, with the steps that reader.Reader's has: there are none."""
        self.feed(view)
        return ()

    def _begin(self):
        # Nothing to inflate: the room is the installer's.
        memory.release(memory.SMALL_WINDOW)
        memory.release(memory.FULL_WINDOW)
        self.header = self._new_header
        self._on_header(self.header)
        self._sink = self._open_file(_NAME, self._size)

    def finish(self):
        """The download is over. Returns only if the image is the one that was told."""
        if self._left:
            raise refused("image", f"{self._size} bytes", self._size - self._left)
        _check("image", self._running, self._new_header.files[0][1])
        self._sink.close()  # pyright: ignore[reportOptionalMemberAccess]

    def close(self):
        """Nothing is held."""


class Summed:
    """`reader`, and over all that it takes one SHA-256, which has to be `sha256` (hex)."""

    def __init__(self, reader, sha256):
        self._reader = reader
        self._sha256 = sha256
        self._running = hashlib.sha256()

    @property
    def header(self):
        """As the reader's."""
        return self._reader.header

    def offset(self):
        """As the reader's."""
        return self._reader.offset()

    def steps(self, view):
        """As the reader's."""
        self._running.update(view)
        return self._reader.steps(view)

    def finish(self):
        """As the reader's."""
        _check("Artifact", self._running, self._sha256)
        self._reader.finish()

    def close(self):
        """As the reader's."""
        self._reader.close()


def _header(sha256, version, device_type):
    provides = {
        "artifact_name": version,
        "rootfs-image.version": version,
        "rootfs-image.checksum": sha256,
    }
    header = Header(_KIND, provides, {"device_type": [device_type]}, _CLEARS, {})
    header.files = [(_NAME, sha256)]
    return header


def _check(what, running, sha256):
    actual = hex_digest(running)
    if actual != sha256:
        raise refused(what, f"SHA-256 {sha256}", actual)
