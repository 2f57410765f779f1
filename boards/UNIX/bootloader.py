# The boot loader: which slot runs, at every simulated reset. It writes otadata through the chip,
# so its writes are numbered and can be cut like any other.
# The rules are those of ESP-IDF's bootloader_utility.c with rollback enabled, in its order:
# an image that is new gets exactly one boot to prove itself.
# SPDX-License-Identifier: MIT
import image
from micropython import const
from otadata import (
    ABORTED,
    ADDRESS,
    APP,
    FACTORY,
    NEW,
    PENDING_VERIFY,
    SIZE,
    VALID,
    find,
    otadata,
    slots,
)

_FACTORY = const(-1)  # below slot 0: the search for a bootable image goes down to here


class NoBootable(Exception):
    """No partition holds an image that starts."""


def select(flash, rows):
    """Apply the rules; the row of the partition that runs.

    Raises:
        NoBootable: every app partition was tried, or the table has none.
    """
    ota = otadata(flash, rows)
    apps = slots(rows)
    factory = find(rows, APP, FACTORY)
    wanted, unset = _wanted(ota, len(apps), factory) if ota else (_FACTORY, False)
    for index in list(range(wanted, _FACTORY - 1, -1)) + list(range(wanted + 1, len(apps))):
        row = factory if index == _FACTORY else _at(apps, index)
        if row and _starts(flash, row):
            if unset and index != _FACTORY:
                ota.write(0, index + 1, VALID)
            return row
    raise NoBootable("no app partition holds an image that starts")


def _wanted(ota, count, factory):
    # (index of the slot to try first, whether otadata is to be set to what starts)
    for place, entry in enumerate(ota.entries):
        if entry.state == PENDING_VERIFY:
            ota.write(place, entry.seq, ABORTED)
    if all(entry.is_invalid() for entry in ota.entries):
        if factory:
            return _FACTORY, False
        return 0, not any(entry.is_intact() for entry in ota.entries)
    place = ota.active()
    if place < 0 or not count:
        return _FACTORY, False
    entry = ota.entries[place]
    if entry.state == NEW:
        ota.write(place, entry.seq, PENDING_VERIFY)
    return (entry.seq - 1) % count, False


def _at(apps, index):
    return apps[index] if index < len(apps) else None


def _starts(flash, row):
    try:
        image.verify(flash, row[ADDRESS], row[SIZE])
    except image.BadImage:
        return False
    return True
