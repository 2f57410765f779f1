# A download that a restart ended, taken up at its last checkpoint.
#
#   await take_up(intake, courier, deployment, checkpoint)
#
# The head of the Artifact comes again and is verified as always; then the bytes that lie in the
# slot are read back through the same reader, so that everything is hashed again; then the rest.
# Needed for such a download only: update.py unloads this module after use.
# SPDX-License-Identifier: MIT

from .errors import Rejected


async def take_up(intake, courier, deployment, checkpoint):
    """Returns when the reader got all bytes. Raises what courier.fetch() raises, and Rejected if
    what comes now, or what lies in the slot, is not what it was: then only a download from the
    beginning tells whether the Artifact is good."""
    head, done = checkpoint.head, checkpoint.done
    if head:
        await courier.fetch(deployment, intake, 0, head)
    for _ in intake.steps(memoryview(b"")):  # a raw image has no head: this opens its sink
        pass
    if (intake.manifest(), intake.size) != (checkpoint.manifest, checkpoint.size):
        raise Rejected("another Artifact than the one before the restart")
    intake.sink.take_up(done)
    for view in intake.sink.kept():
        await courier.take(intake, view)
    await courier.fetch(deployment, intake, head + done)
