# What takes the members of an Artifact: a small text, a packed tar, the payload's files. Each
# checks what it can while the bytes pass, the rest at the end.
# SPDX-License-Identifier: MIT

import hashlib

from .refusal import brief, refused
from .tar import FILE, Tar


class Text:
    """A member kept whole: done(memoryview) gets it. Refused if larger than `limit` bytes."""

    def __init__(self, name, size, limit, done):
        if size > limit:
            raise refused(name, f"at most {limit} bytes", size)
        self._raw = memoryview(bytearray(size))
        self._at = 0
        self._done = done

    def data(self, view):
        self._raw[self._at : self._at + len(view)] = view
        self._at += len(view)

    def end(self):
        self._done(self._raw)

    def close(self):
        pass


class Packed:
    """A tar, perhaps compressed: `handler` gets its members, then complete().

    limit: the most bytes it may unpack to, or None.
    """

    def __init__(self, name, gzip, handler, limit=None):
        self._handler = handler
        self._tar = Tar(handler, name)
        self._gzip = None
        self.data = self._tar.feed
        if gzip:
            from .inflate import Inflater  # not in the heap of who needs none

            self._gzip = Inflater(self._tar.feed, limit, name)
            self.data = self._gzip.feed

    def offset(self):
        """Where the file that began last has its first byte; None if that is packed."""
        return None if self._gzip else self._tar.offset

    def end(self):
        if self._gzip:
            self._gzip.finish()
        self._tar.finish()
        # The window is given back before anybody else is called who may need memory.
        self.close()
        self._handler.complete()

    def close(self):
        if self._gzip:
            self._gzip.close()


class PayloadFiles:
    """The handler of data/0000.tar: each file that the manifest lists, once, into its sink."""

    def __init__(self, files, open_file):
        self._missing = dict(files)
        self._open_file = open_file
        self._name = self._sum = ""
        self._running = hashlib.sha256()

    def begin(self, name, size, kind):
        if kind != FILE:
            raise refused("data/0000.tar", "plain files", f"{brief(name)} of type {kind!r}")
        if name not in self._missing:
            raise refused("data/0000.tar", "a file of the manifest, and once", brief(name))
        self._name = name
        self._sum = self._missing.pop(name)
        self._running = hashlib.sha256()
        self._sink = self._open_file(name, size)

    def data(self, view):
        self._running.update(view)
        self._sink.write(view)

    def end(self):
        actual = hex_digest(self._running)
        if actual != self._sum:
            raise refused(f"data/0000/{self._name}", f"SHA-256 {self._sum}", actual)
        self._sink.close()

    def complete(self):
        if self._missing:
            raise refused(
                "data/0000.tar", "every file of the manifest", f"no {brief(list(self._missing))}"
            )


def hex_digest(running):
    """The digest of a running hash as lower-case hex."""
    return running.digest().hex()
