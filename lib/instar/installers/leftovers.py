# What a power cut during a download leaves on the file system, and where it lies.
#
#   sweep(board.feed)              # at a start that finds no update open, or one in its download
#
# Only then: from install() to the report, what lies there may be needed. Costs one listdir() where
# there is nothing, and imports the installers' tools (tree.py) only where there is something.
# SPDX-License-Identifier: MIT

import os

STAGE = "/.instar-files"  # what is on its way; on the file system of what it replaces
GONE = STAGE + ".gone"  # what is being deleted
OLD = STAGE + "/old"  # a copy of the file that was replaced
_LEFT = ("/a.part", "/b.part", GONE, STAGE)


def sweep(feed=None):
    """Delete half a slot and half a stage. feed: called every so often. Raises OSError.

    Where a rollback failed, the stage holds the only copy of the old file: it stays, until the
    next payload of its type.
    """
    for name in os.listdir("/"):
        path = "/" + name
        if path in _LEFT:
            from . import tree

            if path != STAGE or not tree.exists(OLD):
                tree.remove(path, feed)
