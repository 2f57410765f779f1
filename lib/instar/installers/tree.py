# Files and folders as a payload brings them: what they may be called, and how they get onto the
# flash. Nothing here knows where they belong; `root` is the caller's, and empty at the start.
#
#   sink = tree.Unpacker("/b", "update.tar")       # a tar's files and folders, below /b
#   sink = tree.open_file("/b", "app/main.py", 120)        # one file; its folders are made
#   sink.write(view) ...; sink.close()             # or sink.abandon()
#   tree.digest("/b"); tree.exists("/b/app"); tree.remove("/b")
#
# What may take long takes `feed`, the board's, and calls it every 4 KiB and with each file.
# Memory: a tar's header block and one buffer, however much comes. Names are not kept: what lies
# below `root` already is what was named before. Limits: see the constants; LittleFS or POSIX.
# SPDX-License-Identifier: MIT

import binascii
import errno
import hashlib
import os
import struct

from micropython import const

from ..artifact.refusal import brief, refused
from ..errors import Broken

_MAX_PATH = const(128)  # bytes, below root
_MAX_PART = const(64)  # bytes between two slashes
_MAX_DEPTH = const(8)
_MAX_COUNT = const(256)  # files and folders of one tar
_CHUNK = const(512)
_FEED = const(4096)  # bytes
_FOLDER = const(0x4000)  # in a mode, as os.stat() gives it
_ENOTDIR = const(20)  # MicroPython's errno does not name these
_ENOSPC = const(28)


def safe(name, what="path"):
    """`name` as a relative path without a leading "./". Raises Rejected if it is not harmless.

    Harmless: relative, no empty part, no "." or "..", no backslash, no control character, and
    not too long (128 bytes, 64 a part, 8 parts), so that it fits LittleFS below any root.
    """
    if name[:1] == "/":
        raise refused(what, "a relative path", brief(name))
    if "\\" in name:
        raise refused(what, "a path without a backslash", brief(name))
    from ..artifact.utf8 import is_printable  # in the heap during a download only

    if not is_printable(name):
        raise refused(what, "a path without control characters", brief(name))
    path = name[2:] if name[:2] == "./" else name
    if len(path.encode()) > _MAX_PATH:
        raise refused(what, f"a path of at most {_MAX_PATH} bytes", brief(name))
    parts = path.split("/")
    if len(parts) > _MAX_DEPTH:
        raise refused(what, f"a path of at most {_MAX_DEPTH} parts", brief(name))
    for part in parts:
        if not part:
            raise refused(what, "a path without empty parts", brief(name))
        if part in (".", ".."):
            raise refused(what, f"a path without {part!r} in it", brief(name))
        if len(part.encode()) > _MAX_PART:
            raise refused(what, f"at most {_MAX_PART} bytes between slashes", brief(name))
    return path


def open_file(root, path, size, what="path", feed=None):
    """A sink for the file `path` below the folder `root`: write(view), close(), abandon().

    Folders on the way are made. Raises Rejected if the path is not safe() or is there already; so
    does the sink if the file system is full or not exactly `size` bytes come. Its close() raises
    Broken if the flash does not hold them.
    """
    path = safe(path, what)
    make_folders(root, path.rpartition("/")[0], what)
    return _create(root, path, size, what, feed)


def make_folders(root, path="", what="path"):
    """Make the folder `path` below `root`, all between and root itself; how many were missing.

    root: its parent exists; "" is the file system's. Raises Rejected if one of them is a file or
    does not fit.
    """
    made = 0
    at = root
    parts = path.split("/") if path else []
    for part in ([""] if root else []) + parts:
        at = f"{at}/{part}" if part else at
        mode = _mode(at)
        if mode is None:
            _flash(what, at, os.mkdir, at)
            made += 1
        elif not mode & _FOLDER:
            raise refused(what, "a name for a file or for a folder", f"{brief(at)} for both")
    return made


def exists(path):
    """Whether there is a file or folder of that name."""
    return _mode(path) is not None


def is_folder(path):
    return bool((_mode(path) or 0) & _FOLDER)


def check_size(size, what):
    """Raise Rejected if the whole file system has no room for it.

    What is free is not known: MicroPython's statvfs() counts each folder of a LittleFS twice, and
    open files, too, so its answer may be far too small, or below zero.
    """
    state = os.statvfs("/")
    whole = state[1] * state[2]
    if size > whole:
        raise refused(what, f"at most the file system's {whole} bytes", size)


def remove(path, feed=None):
    """Delete a file, or a folder with everything in it. What is missing is fine."""
    mode = _mode(path)
    if mode is None:
        return
    if feed:
        feed()
    if mode & _FOLDER:
        for name in os.listdir(path):
            remove(f"{path}/{name}", feed)
        os.rmdir(path)
    else:
        os.remove(path)


def digest(path, feed=None):
    """SHA-256 in hex of a file's content, or of all names and contents in a folder, in the order
    of their names; None if there is nothing. Empty folders count, times do not."""
    mode = _mode(path)
    if mode is None:
        return None
    running = hashlib.sha256()
    buffer = memoryview(bytearray(_CHUNK))
    if mode & _FOLDER:
        _digest_folder(path, running, buffer, feed)
    else:
        _each_chunk(path, buffer, running.update, feed)
    return running.digest().hex()


def _digest_folder(path, running, buffer, feed):
    # Kind, length and name before each entry, a size before content, an end after each folder:
    # no two trees give the same bytes.
    for name in sorted(os.listdir(path)):
        below = f"{path}/{name}"
        state = os.stat(below)
        folder = state[0] & _FOLDER
        raw = name.encode()
        running.update(b"d" if folder else b"f")
        running.update(struct.pack("<I", len(raw)))
        running.update(raw)
        if folder:
            _digest_folder(below, running, buffer, feed)
        else:
            running.update(struct.pack("<Q", state[6]))
            _each_chunk(below, buffer, running.update, feed)
    running.update(b"e")


def _each_chunk(path, buffer, take, feed):
    with open(path, "rb") as file:
        while True:
            if feed and file.tell() % _FEED == 0:
                feed()
            count = file.readinto(buffer)
            if not count:
                return
            take(buffer[:count])


def _mode(path):
    try:
        return os.stat(path)[0]
    except OSError as error:
        if error.errno in (errno.ENOENT, _ENOTDIR):
            return None
        raise


def _create(root, path, size, what, feed):
    full = f"{root}/{path}"
    if exists(full):
        raise refused(what, "each name once", f"{brief(path)} again")
    return _File(full, size, what, feed)


def _flash(what, path, step, *args):
    try:
        return step(*args)
    except OSError as error:
        if error.errno == _ENOSPC:
            raise refused(what, f"room for {path}", "a full file system")
        raise


class _File:
    """The sink for one file. LittleFS buffers what is written; the file counts once closed."""

    def __init__(self, path, size, what, feed):
        self._path = path
        self._left = size
        self._what = what
        self._feed = feed
        self._crc = self._read = 0
        self._file = _flash(what, path, open, path, "wb")

    def write(self, view):
        if len(view) > self._left:
            raise refused(self._what, f"{self._left} more bytes of {self._path}", len(view))
        left = self._left - len(view)
        if self._feed and left // _FEED != self._left // _FEED:
            self._feed()
        self._left = left
        self._crc = binascii.crc32(view, self._crc)
        _flash(self._what, self._path, self._file.write, view)

    def close(self):
        _flash(self._what, self._path, self._file.close)
        if self._left:
            raise refused(self._what, f"{self._left} more bytes of {self._path}", "its end")
        # LittleFS has no checksums over content, and flash wears out: read it back.
        _each_chunk(self._path, memoryview(bytearray(_CHUNK)), self._add, self._feed)
        if self._read != self._crc:
            raise Broken(f"{self._path}: the flash does not hold what was written to it")

    def _add(self, view):
        self._read = binascii.crc32(view, self._read)

    def abandon(self):
        """Close it as it is: a file must not be open while it is deleted."""
        try:
            self._file.close()
        except OSError:
            pass  # its last bytes found no room: they are not wanted


class Unpacker:
    """The sink for a tar: its plain files and folders go below `root`, which is made.

    what: how messages call the tar. write() and close() raise Rejected for anything that is not a
    complete tar of at most 256 safe() names, each once, and Broken or OSError for the flash.
    """

    def __init__(self, root, what, feed=None):
        # Here, because the parser is in the heap during a download only.
        from ..artifact import tar

        make_folders(root)
        self._tar = tar.Tar(self, what)
        self._file_kind, self._folder_kind = tar.FILE, tar.DIRECTORY
        self._root = root
        self._what = what
        self._feed = feed
        self._count = 0
        self._file = None
        self.write = self._tar.feed
        self.close = self._tar.finish

    def begin(self, name, size, kind):
        """Tar's handler: a member begins."""
        if kind == self._folder_kind:
            name = name[:-1] if name[-1] == "/" else name
            path = "" if name == "." else safe(name, self._what)
            # One that is there already changes nothing, but counts, so that they come to an end.
            self._add(make_folders(self._root, path, self._what) or 1)
            return
        if kind != self._file_kind:
            raise refused(self._what, "plain files and folders", f"{brief(name)}, type {kind!r}")
        path = safe(name, self._what)
        parent = path.rpartition("/")[0]
        self._add(make_folders(self._root, parent, self._what) + 1)
        self._file = _create(self._root, path, size, self._what, self._feed)

    def _add(self, count):
        if self._feed:
            self._feed()
        self._count += count
        if self._count > _MAX_COUNT:
            raise refused(self._what, f"at most {_MAX_COUNT} files and folders", "more")

    def data(self, view):
        self._file.write(view)  # pyright: ignore[reportOptionalMemberAccess]

    def end(self):
        if self._file:
            self._file.close()
            self._file = None

    def abandon(self):
        """Give up: closes what is open. What was unpacked stays."""
        if self._file:
            self._file.abandon()
