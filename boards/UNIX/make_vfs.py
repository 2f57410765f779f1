# Makes the file system of a new flash file, by MicroPython's own LittleFS; `instar sim create`
# runs it:  micropython boards/UNIX/make_vfs.py FLASH [HOST:BOARD ...]
# Each HOST file is copied to BOARD, an absolute path; folders on the way are made.
# SPDX-License-Identifier: MIT
import os
import sys

import esp32
import nor
import otadata
import vfs

_AT = "/flash"


def main(flash, files):
    chip = nor.Flash(flash)
    rows = otadata.table(chip)
    esp32.attach(chip, otadata.with_vfs(rows, chip.size), None)
    partition = esp32.Partition.find(esp32.Partition.TYPE_DATA, label="vfs")[0]
    vfs.VfsLfs2.mkfs(partition)
    # No times of files, as the board mounts it: equal content is equal bytes.
    vfs.mount(vfs.VfsLfs2(partition, mtime=False), _AT)
    for pair in files:
        host, _, board = pair.rpartition(":")
        _copy(host, _AT + board)
    vfs.umount(_AT)


def _copy(host, board):
    for i in range(len(_AT) + 1, len(board)):
        if board[i] == "/" and not _is_there(board[:i]):
            os.mkdir(board[:i])
    buf = memoryview(bytearray(4096))
    with open(host, "rb") as source, open(board, "wb") as target:
        while count := source.readinto(buf):
            target.write(buf[:count])


def _is_there(path):
    try:
        os.stat(path)
    except OSError:
        return False
    return True


main(sys.argv[1], sys.argv[2:])
