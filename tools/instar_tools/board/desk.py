# What the programs beside it share: they run the board's own code, on a desk instead of a board.
#
#   options = desk.options()              # stdin, before the host's files go out of reach
#   flash = desk.HostFile(path)           # a file of the host as a flash chip
#   desk.mount(rom)                       # from here on instar is what can be imported
#   ballast = desk.take_surplus(heap)     # what a board has not is not there: keep it
#   desk.ready()                          # from here on it is the board that fails
#
# Options come on stdin: a long command line kills the unix port.
# Limits: of the unix port; one file system at a time.
# SPDX-License-Identifier: MIT
import gc
import json
import sys

import vfs
from micropython import const

_BLOCK = const(4096)
_BLOCKS = const(16384)  # 64 MiB: the file is sparse


class HostFile:
    """The flash under the board's file system: one host file, opened once."""

    def __init__(self, path):
        self._file = open(path, "r+b")

    def readblocks(self, block, buf, offset=0):
        self._file.seek(block * _BLOCK + offset)
        for i in range(self._file.readinto(buf), len(buf)):  # beyond what was ever written
            buf[i] = 0

    def writeblocks(self, block, buf, offset=0):
        self._file.seek(block * _BLOCK + offset)
        self._file.write(buf)

    def ioctl(self, request, argument):
        return {4: _BLOCKS, 5: _BLOCK}.get(request, 0)


def options():
    """The object on stdin."""
    return json.load(sys.stdin)


def format(flash, files):
    """An empty file system at /, and then these files (path -> hex) on it."""
    vfs.VfsLfs2.mkfs(flash)
    vfs.mount(vfs.VfsLfs2(flash, mtime=False), "/")
    write(files)


def write(files):
    """Files (path -> hex) in folders that are there."""
    for path in files:
        with open(path, "wb") as file:
            file.write(bytes.fromhex(files[path]))


def mount(rom, place="/rom"):
    """The ROMFS with instar (a file of the host) instead of the host's files, which go."""
    with open(rom, "rb") as file:
        content = file.read()
    vfs.umount("/")  # from here on nothing can reach a file of the host
    vfs.mount(vfs.VfsRom(memoryview(content)), place)
    sys.path[:] = [place, ".frozen"]


def take_surplus(heap):
    """Blocks that leave `heap` bytes: the interpreter's heap has room for this program, too."""
    gc.collect()
    ballast = []
    try:
        for _ in range((gc.mem_free() - heap) // 304):
            ballast.append(bytearray(256))
    except MemoryError:
        pass  # the list takes some, too
    return ballast


def ready():
    """Tell the host that it is the board's code that runs now."""
    print("ready")


def say(answer):
    """One line of JSON for the host."""
    print(json.dumps(answer))
