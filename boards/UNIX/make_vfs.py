# Makes the file system of a new flash file, by MicroPython's own LittleFS; `instar sim create`
# runs it:  micropython boards/UNIX/make_vfs.py FLASH [HOST:BOARD ...]
# Each HOST file is copied to BOARD, an absolute path; folders on the way are made.
# SPDX-License-Identifier: MIT
import os
import sys

import mainboard
import nor
import vfs

_AT = "/flash"


def main(flash, files):
    chip = nor.Flash(flash)
    family = mainboard.family_of(chip)
    family.attach(chip)
    device = family.storage()
    family.format(device)
    # No times of files, as the board mounts it: equal content is equal bytes.
    vfs.mount(family.file_system(device), _AT)
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
