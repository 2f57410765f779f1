# Small named records that survive a power cut at any flash operation.
#
#   store = Store("/.instar")
#   store.put("token", b"...")      # durable when it returns
#   store.get("token")              # bytes, or None if there never was one
#
# A record is one file: magic, length and CRC-32 of the payload, then the payload. It is written
# beside the old one, closed, read back and compared, then renamed over it. On LittleFS that
# rename is one program operation, so a cut leaves the old record or the new one, never a mix.
# Limits: LittleFS only (FAT's rename is not atomic); a record is at most 16 KiB.
# SPDX-License-Identifier: MIT

import binascii
import errno
import json
import os
import struct

from micropython import const

from .errors import Broken

_HEADER = "<4sII"
_HEADER_SIZE = const(12)
_MAGIC = b"iST1"
_MAX_SIZE = const(16384)
_NEW = ".new"


class Store:
    """Records in one folder. The folder is made if it is missing; half-written records go."""

    def __init__(self, root):
        self._root = root
        try:
            names = os.listdir(root)
        except OSError:
            os.mkdir(root)
            names = ()
        for name in names:
            if name.endswith(_NEW):
                os.remove(f"{root}/{name}")

    def _path(self, name):
        return f"{self._root}/{name}"

    def _read(self, name):
        return read_file(self._path(name), _MAX_SIZE + _HEADER_SIZE)

    def get(self, name):
        """The record's bytes, or None if there is none. Raises Broken if it is damaged."""
        raw = self._read(name)
        return None if raw is None else _payload(name, raw)

    def put(self, name, data):
        """Write a record; durable when this returns. An equal record costs no flash operation.

        Raises Broken if what is read back is not what was written, OSError if the flash is full.
        """
        raw = _packed(name, data)
        if self._read(name) != raw:
            self._write(name + _NEW, "wb", raw)
            os.rename(self._path(name + _NEW), self._path(name))

    def rewrite(self, name, data):
        """As put(), in place where the record has that length already: one program, for a small
        record that is written often and padded to one length.

        Atomic on LittleFS too: what is written to a file becomes its content at close, in one
        commit. It is not opened for truncation, so whatever fails before that changes nothing.
        """
        raw = _packed(name, data)
        held = self._read(name)
        if held is None or len(held) != len(raw):
            self.put(name, data)
        elif held != raw:
            self._write(name, "r+b", raw)

    def _write(self, name, mode, raw):
        with open(self._path(name), mode) as file:
            file.write(raw)
        if self._read(name) != raw:
            raise Broken(f"record {name}: the flash does not hold what was written to it")

    def delete(self, name):
        """Remove a record; one that is not there is no error."""
        try:
            os.remove(self._path(name))
        except OSError:
            if self._read(name) is not None:
                raise

    def move(self, name, to):
        """Give a record another name, in place of one that has it; in one atomic step."""
        os.rename(self._path(name), self._path(to))

    def names(self, prefix=""):
        """The names of all records that begin with `prefix`, sorted."""
        found = [name for name in os.listdir(self._root) if name.startswith(prefix)]
        return sorted(name for name in found if not name.endswith(_NEW))

    def get_json(self, name):
        """The record as the object it was put as, or None."""
        data = self.get(name)
        return None if data is None else json.loads(data)

    def put_json(self, name, value):
        """Write an object as JSON, as put() does."""
        self.put(name, json.dumps(value).encode())


def read_file(path, most):
    """A whole small file, or None if there is none. Raises Broken if it is larger than `most`.

    read(n) allocates n bytes before it reads: so the size is asked for first.
    """
    try:
        with open(path, "rb") as file:
            size = file.seek(0, 2)
            if size > most:
                raise Broken(f"{path}: at most {most} bytes expected, got {size}")
            file.seek(0)
            return file.read(size)
    except OSError as error:
        if error.errno == errno.ENOENT:
            return None
        raise


def _packed(name, data):
    if len(data) > _MAX_SIZE:
        raise Broken(f"record {name}: at most {_MAX_SIZE} bytes, got {len(data)}")
    return struct.pack(_HEADER, _MAGIC, len(data), binascii.crc32(data)) + data


def _payload(name, raw):
    if len(raw) >= _HEADER_SIZE:
        magic, length, crc = struct.unpack(_HEADER, raw[:_HEADER_SIZE])
        data = raw[_HEADER_SIZE:]
        if magic == _MAGIC and len(data) == length and binascii.crc32(data) == crc:
            return data
    raise Broken(f"record {name} is damaged: {len(raw)} bytes do not match their checksum")
