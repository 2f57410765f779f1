# What a payload does to the board, in the states of Mender's update modules.
#
# INSTALLERS: payload type -> callable(board, identity of what was installed or None, settings) ->
# installer. An installer's module is imported only when its payload type is asked for.
# SPDX-License-Identifier: MIT

from ..errors import Broken, Rejected
from .base import Installer


def _firmware(board, installed, settings):
    try:
        from .firmware import Firmware

        return Firmware(board, installed, settings)
    except ImportError:
        raise Rejected("this board has no firmware slots: its MicroPython has no module esp32")


def _app(board, installed, settings):
    from .app import App

    return App(board, installed, settings)


def _single_file(board, installed, settings):
    from .files import SingleFile

    return SingleFile(board, installed, settings)


def _directory(board, installed, settings):
    from .files import Directory

    return Directory(board, installed, settings)


INSTALLERS = {
    "rootfs-image": _firmware,
    "micropython-app": _app,
    "single-file": _single_file,
    "directory": _directory,
}


def make(installers, board, kind, installed=None, settings=None):
    """The installer for a payload type (None: no payload). Raises Rejected if there is none."""
    if kind is None:
        return Installer(board, installed, settings)
    if kind not in installers:
        has = sorted(installers)
        raise Rejected(f"no installer for payload type {kind!r}: this board has {has}")
    return installers[kind](board, installed, settings)


def able(installers, board, settings):
    """One of each installer that this board can have, and of which something may run on trial."""
    found = []
    for kind in installers:
        # These have nothing on trial, so their modules stay out of the heap.
        if installers[kind] in (_single_file, _directory):
            continue
        if installers[kind] is _app and not _slot_on_trial(settings):
            continue
        try:
            found.append(make(installers, board, kind, None, settings))
        except Rejected:
            continue
    return found


def _slot_on_trial(settings):
    try:
        record = settings.store.get_json("slots")
    except Broken:
        return False  # the boot guard starts a slot then that is not on trial
    return bool(record) and record["left"] is not None
