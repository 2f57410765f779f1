# Payload types single-file and directory: what Mender's update modules of these names do.
#
# A single-file puts one file into the folder dest_dir; a directory replaces the whole folder
# dest_dir by what update.tar holds. Each step is one rename, so a power cut leaves the old or the
# new content, whole, and what lies in the stage (staged.py) says how to go back. Replacing a
# folder takes two: a start between them ends in the constructor, which puts the old folder back
# before the application runs.
#
# Limits: LittleFS, and dest_dir on the file system of the root; places.py says where. Copying the
# old file lets no other task run. LittleFS has no permissions: they are checked, not applied.
# SPDX-License-Identifier: MIT

import os

from micropython import const

from ..artifact.refusal import brief, refused
from ..errors import Rejected
from . import places, tree
from .staged import NEW, NONE, OLD, Staged, mark_none

_COPY = "old.part"  # becomes OLD once it is whole
_CHUNK = const(1024)


class SingleFile(Staged):
    """One file: texts dest_dir, filename and perhaps permissions, and a file of that name."""

    _type = "single-file"
    _texts = ("dest_dir", "filename")
    _optional = ("permissions",)
    _expected = "dest_dir, filename, perhaps permissions, and one file more"

    def _open(self, size):
        return tree.open_file(places.STAGE, "new", size, self._content)

    def _check_text(self, name, text):
        if name == "filename":
            if "/" in text:
                raise refused(name, "a plain name", brief(text))
            if tree.safe(text, name) != self._content:
                raise refused(name, f"{brief(self._content)}, as in the payload", brief(text))
        elif name == "permissions":
            if len(text) > 4 or any(digit not in "01234567" for digit in text):
                raise refused(name, "1 to 4 octal digits", brief(text))

    def _find_target(self):
        folder = places.normal(self._said["dest_dir"])
        target = f"{folder}/{self._content}"
        places.check(target, folder, self._settings, self._board)
        if tree.is_folder(target):
            raise refused("filename", "a file to replace or nothing", f"the folder {target}")
        return target

    async def install(self):
        """Keep the old file, then replace it by the new one in one step."""
        self._make_parent()
        if tree.exists(self._target):
            self._copy_old()
        else:
            mark_none()
        os.rename(NEW, self._target)

    def _copy_old(self):
        # A half copy must not be taken for the old file: it gets that name when it is whole.
        sink = tree.open_file(places.STAGE, _COPY, os.stat(self._target)[6], "backup")
        try:
            buffer = memoryview(bytearray(_CHUNK))
            with open(self._target, "rb") as file:
                while count := file.readinto(buffer):
                    sink.write(buffer[:count])
                    self._board.feed()
        except:
            sink.abandon()
            raise
        sink.close()
        os.rename(f"{places.STAGE}/{_COPY}", OLD)

    async def rollback(self):
        """Put the old file back, or take the new one away if there was none."""
        if tree.exists(NEW):
            return
        if tree.exists(OLD):
            os.rename(OLD, self._target)
        elif tree.exists(NONE) and tree.exists(self._target):
            os.rename(self._target, NEW)


class Directory(Staged):
    """A folder with all that is in it: dest_dir and update.tar."""

    _type = "directory"
    _texts = ("dest_dir",)
    _expected = "dest_dir and update.tar"

    def __init__(self, board, installed=None, settings=None):
        """Ends what a power cut in install() or rollback() left between two renames.

        Raises Rejected if the flash does not take it.
        """
        super().__init__(board, installed, settings)
        if installed:
            try:
                self._mend()
            except OSError as error:
                raise Rejected(f"{OLD} could not be put back to {self._target}: {error}")

    def begin(self, header):
        super().begin(header)
        if self._content != "update.tar":
            raise refused(self._type, self._expected, f"the file {brief(self._content)}")

    def _open(self, size):
        return tree.Unpacker(NEW, self._content)

    def _find_target(self):
        target = places.normal(self._said["dest_dir"])
        if not target:
            raise refused("dest_dir", "a folder to replace", "/, which is everything")
        places.check(target, target, self._settings, self._board)
        if tree.exists(target) and not tree.is_folder(target):
            raise refused("dest_dir", "a folder to replace or nothing", f"the file {target}")
        return target

    async def install(self):
        """Move the old folder into the stage, and the new one to its place."""
        self._make_parent()
        if tree.exists(self._target):
            os.rename(self._target, OLD)
        else:
            mark_none()
        os.rename(NEW, self._target)

    async def rollback(self):
        """The same two steps backwards."""
        active = not tree.exists(NEW) and (tree.exists(OLD) or tree.exists(NONE))
        if active and tree.exists(self._target):
            os.rename(self._target, NEW)
        if tree.exists(OLD):
            self._put_back()

    def _put_back(self):
        tree.remove(self._target)  # what somebody put there in between
        os.rename(OLD, self._target)

    def _mend(self):
        if tree.exists(NEW) and tree.exists(OLD):
            self._put_back()

    async def cleanup(self):
        self._mend()  # where a rollback failed: the old folder must not be deleted
        await super().cleanup()
