# The end of an update: what the board provides from now on, the final status, the log.
#
#   await close(journal, provides, courier, server, note)
#
# Needed once an update only: update.py unloads this module after use.
# SPDX-License-Identifier: MIT

import asyncio

from micropython import const

from .errors import Broken

_TRIES = const(3)
_PAUSE_S = const(2)


async def close(journal, provides, courier, server, note):
    """Report, then close the journal. Raises what courier.deliver() raises; may be called again.

    The provides are stored first: the server must not hear of software that the board will not
    say it has. Where that cannot be done the update has failed, and its name is in doubt.
    """
    if journal.verdict == "success":
        new = journal.provides, journal.type, journal.gives
        if not await _stored(provides.put, note, *new):
            journal.verdict = "failure"
            journal.inconsistent = True
    if journal.verdict != "success" and journal.inconsistent:
        await _stored(provides.spoil, note)
    if journal.verdict != "aborted" and not journal.reported:
        await courier.deliver(courier.report, journal.id, journal.verdict)
        journal.reported = True
    if journal.verdict == "failure":
        await courier.deliver(server.send_log, journal.id, journal.log)
    journal.close()


async def _stored(put, note, *args):
    # A full flash may have room again in a moment; a board that waits for it takes no update.
    for left in range(_TRIES - 1, -1, -1):
        try:
            put(*args)
            return True
        except (OSError, Broken) as error:
            note("error", f"what this board provides could not be stored: {error}")
        if left:
            await asyncio.sleep(_PAUSE_S)
    return False
