# What the payload types single-file and directory share: small texts, and content that waits in a
# stage until install() puts it in place. In the stage (leftovers.py says where) lie:
#
#   new    what the payload brought; while it is there, it is not active
#   old    a copy of the file that it replaced
#   none   there was nothing to replace
#
# The identity, `target:digest`, names where it belongs and what it holds. So what changes the
# content before the commit makes the update fail.
# SPDX-License-Identifier: MIT

import errno
import os

from micropython import const

from ..artifact.refusal import brief, refused
from . import tree
from .base import Installer
from .leftovers import GONE, STAGE

NEW = STAGE + "/new"
NONE = STAGE + "/none"
_MAX_TEXT = const(256)  # bytes, without the newline


class Staged(Installer):
    """Says which files a payload has, and where the content goes. All raise Rejected for a payload
    that is not as Mender's tools write it, or that may not go where it wants to."""

    supports_rollback = True
    _type = ""
    _texts = ()  # files of one line that have to be there
    _optional = ()
    _named = ""  # what the content has to be called; "": as it likes
    _expected = ""  # the files, in words

    def __init__(self, board, installed=None, settings=None):
        """installed: `target:digest` from an earlier start, or None. Raises OSError."""
        super().__init__(board, installed, settings)
        self._target: str = installed.rpartition(":")[0] if installed else ""
        self._said: dict[str, str] = {}
        self._content = ""
        self._sink = None
        self._failed = False  # a rollback, which cleanup() tries again
        if installed:
            settle(STAGE)

    def begin(self, header):
        names = [name for name, _ in header.files]
        content = [name for name in names if name not in self._texts + self._optional]
        missing = [name for name in self._texts if name not in names]
        if missing or len(content) != 1 or self._named not in ("", content[0]):
            raise refused(self._type, self._expected, f"the files {brief(names)}")
        self._content = content[0]
        empty_stage(self._board.feed)

    def download(self, name, size):
        if name != self._content:
            return _Text(name, size, self._read)
        tree.check_size(size, name)
        self._sink = self._open(size)
        return self._sink

    def _read(self, name, text):
        self._check_text(name, text)
        self._said[name] = text
        if not self._target and all(key in self._said for key in self._texts):
            self._target = self._find_target()

    def _open(self, size):
        """The sink for the content."""

    def _check_text(self, name, text):
        """Refuse a text that cannot be right."""

    def _find_target(self):
        """All texts were read: the absolute path of what is to be replaced."""
        return ""

    def installed(self):
        """`target:digest` of what download() brought; equals running() once it is in place."""
        if not self._installed:
            self._installed = f"{self._target}:{tree.digest(NEW, self._board.feed)}"
        return self._installed

    def running(self):
        """`target:digest` of what is in place now; None if nothing is."""
        found = tree.digest(self._target, self._board.feed) if self._target else None
        return found and f"{self._target}:{found}"

    def _make_parent(self):
        tree.make_folders("", self._target[1:].rpartition("/")[0], "dest_dir")

    async def cleanup(self):
        if self._sink:
            self._sink.abandon()
            self._sink = None
        if self._failed:
            await self.rollback()  # if this fails, too, the only copy of the old content stays
        empty_stage(self._board.feed)


class _Text:
    """The sink for one line of text: done(name, text) gets it without its newline."""

    def __init__(self, name, size, done):
        if size > _MAX_TEXT + 1:
            raise refused(name, f"a line of at most {_MAX_TEXT} bytes", size)
        self._name = name
        self._raw = bytearray()
        self._done = done
        self.write = self._raw.extend

    def close(self):
        raw = bytes(self._raw)
        raw = raw[:-1] if raw[-1:] == b"\n" else raw
        from ..artifact.utf8 import decode, is_printable  # in the heap during a download only

        try:
            text = decode(raw)
        except UnicodeError:
            text = ""
        if not text or not is_printable(text):
            raise refused(self._name, "one line of printable UTF-8", brief(raw))
        self._done(self._name, text)


def mark_none():
    """Note that there was nothing to replace."""
    open(NONE, "wb").close()


def empty_stage(feed):
    """Delete the stage; missing is fine. One rename first: no rollback may find half of it."""
    tree.remove(GONE, feed)
    if tree.exists(STAGE):
        os.rename(STAGE, GONE)
        tree.remove(GONE, feed)


def settle(folder):
    """End a move between two folders that a power cut interrupted. Costs nothing if there is none.

    LittleFS marks such a move, and until its first write after the start, the entry that follows
    the moved one in its old folder is not found, not even by listdir(). remove() ends the move
    before it looks for its file, so one that does not exist will do.
    """
    try:
        os.remove(folder + "/.none")
    except OSError as error:
        if error.errno != errno.ENOENT:
            raise
