# Payload types single-file and directory: what Mender's update modules of these names do.
#
# A single-file puts one file into the folder dest_dir; a directory replaces the whole folder
# dest_dir by what update.tar holds. Each step is one rename, so a power cut leaves the old or the
# new content, whole, and what lies in the stage (staged.py) and beside the target says how to go
# back. Replacing a folder takes two: a start between them ends in the constructor, which puts the
# old folder back before the application runs.
#
# Limits: LittleFS, and dest_dir on the file system of the root; places.py says where. Copying the
# old file lets no other task run. LittleFS has no permissions: they are checked, not applied.
# SPDX-License-Identifier: MIT

import os

from micropython import const

from ..artifact.refusal import brief, refused
from . import places, tree
from .leftovers import OLD, STAGE
from .staged import NEW, NONE, Staged, mark_none

_COPY = "old.part"  # becomes OLD once it is whole
_CHUNK = const(512)


class SingleFile(Staged):
    """One file: texts dest_dir, filename and perhaps permissions, and a file of that name."""

    _type = "single-file"
    _texts = ("dest_dir", "filename")
    _optional = ("permissions",)
    _expected = "dest_dir, filename, perhaps permissions, and one file more"

    def _open(self, size):
        return tree.open_file(STAGE, "new", size, self._content, self._board.feed)

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
        size = os.stat(self._target)[6]
        sink = tree.open_file(STAGE, _COPY, size, "backup", self._board.feed)
        try:
            buffer = memoryview(bytearray(_CHUNK))
            with open(self._target, "rb") as file:
                while count := file.readinto(buffer):
                    sink.write(buffer[:count])
        except:
            sink.abandon()
            raise
        sink.close()
        os.rename(f"{STAGE}/{_COPY}", OLD)

    async def rollback(self):
        """Put the old file back, or take the new one away if there was none."""
        self._failed = True
        if not tree.exists(NEW):
            if tree.exists(OLD):
                os.rename(OLD, self._target)
            elif tree.exists(NONE):
                tree.remove(self._target)
                tree.remove(NONE)
        self._failed = False


class Directory(Staged):
    """A folder with all that is in it: dest_dir and update.tar.

    During an update, two more folders may lie beside it: the old one, and the new one that a
    rollback took away. Beside, not in the stage: a cut while one moves within its parent hides
    none of the application's files, see settle().
    """

    _type = "directory"
    _texts = ("dest_dir",)
    _named = "update.tar"
    _expected = "dest_dir and update.tar"

    def __init__(self, board, installed=None, settings=None):
        """Ends what a power cut in install() or rollback() left between two renames.

        Raises OSError if the flash does not take it.
        """
        super().__init__(board, installed, settings)
        if installed:
            self._mend()

    @property
    def _old(self):
        return self._target + places.MARK + "old"

    @property
    def _away(self):
        return self._target + places.MARK + "new"

    def _open(self, size):
        tree.make_folders(STAGE)
        return tree.Unpacker(NEW, self._content, self._board.feed)

    def _find_target(self):
        target = places.normal(self._said["dest_dir"])
        if not target:
            raise refused("dest_dir", "a folder to replace", "/, which is everything")
        places.check(target, target, self._settings, self._board)
        if tree.exists(target) and not tree.is_folder(target):
            raise refused("dest_dir", "a folder to replace or nothing", f"the file {target}")
        return target

    def installed(self):
        if not self._installed:
            self._clear()  # an update whose journal was lost may have left something
        return super().installed()

    async def install(self):
        """Set the old folder aside, and move the new one to its place."""
        self._make_parent()
        if tree.exists(self._target):
            os.rename(self._target, self._old)
        else:
            mark_none()
        os.rename(NEW, self._target)

    async def rollback(self):
        """Set the new folder aside, and move the old one back, if there was one."""
        self._failed = True
        had_old = tree.exists(self._old)
        if not tree.exists(NEW) and (had_old or tree.exists(NONE)):
            if tree.exists(self._target):
                tree.remove(self._away, self._board.feed)
                os.rename(self._target, self._away)
            tree.remove(NONE)
        if had_old:
            self._put_back()
        self._failed = False

    def _mend(self):
        # Both lie aside only between two renames: the old one is what belongs back.
        if tree.exists(self._old) and (tree.exists(NEW) or tree.exists(self._away)):
            self._put_back()

    def _put_back(self):
        tree.remove(self._target, self._board.feed)  # what somebody put there in between
        os.rename(self._old, self._target)

    async def cleanup(self):
        await super().cleanup()
        if self._target:
            self._clear()

    def _clear(self):
        # Where a rollback failed, the old folder is not what may be deleted. And no rollback may
        # find half of it: its name goes first.
        if tree.exists(self._old) and not tree.exists(self._target):
            os.rename(self._old, self._target)
        tree.remove(self._away, self._board.feed)
        if tree.exists(self._old):
            os.rename(self._old, self._away)
            tree.remove(self._away, self._board.feed)
