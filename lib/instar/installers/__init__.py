# What a payload does to the board, in the states of Mender's update modules.
#
# INSTALLERS: payload type -> callable(board, identity of what was installed or None, settings) ->
# installer. An installer's module is imported only when its payload type is asked for.
# SPDX-License-Identifier: MIT

import sys

from .. import memory
from ..errors import Broken, Rejected
from .base import Installer

_MODULES = (
    "firmware",
    "otadata",
    "app",
    "files",
    "staged",
    "places",
    "leftovers",
    "tree",
)


def _firmware(board, installed, settings):
    try:
        from .firmware import Firmware

        return Firmware(board, installed, settings)
    except ImportError as error:  # of esp32, or this instar's own part
        raise Rejected(f"this board has no firmware slots: {error}")


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
    try:
        return installers[kind](board, installed, settings)
    except ImportError as error:
        raise Rejected(f"no installer for payload type {kind!r}: {error}")


def unload():
    """Take the installers' modules out of the heap. What is still in use stays until it is not."""
    for name in _MODULES:
        memory.forget("instar.installers." + name)
    memory.forget("instar.boot")


def sweep(feed, note):
    """Delete what a download left that was cut: see leftovers.py."""
    try:
        from .leftovers import sweep

        sweep(feed)
    except ImportError:
        pass  # without the payload types that leave any
    except OSError as error:
        note("error", f"what a cut download left could not be deleted: {error}")


def on_trial(installers, board, settings):
    """The installers whose software runs on trial since this start."""
    found = []
    for kind in installers:
        # These have nothing on trial, so their modules stay out of the heap.
        if installers[kind] in (_single_file, _directory):
            continue
        if installers[kind] is _app and not _slot_on_trial(settings):
            continue
        try:
            installer = make(installers, board, kind, None, settings)
            if installer.on_trial():
                found.append(installer)
        except Rejected:
            continue  # not on this board
        except Exception as error:  # of a user's own: not the agent's end
            sys.print_exception(error)
    return found


def _slot_on_trial(settings):
    try:
        record = settings.store.get_json("slots")
    except (Broken, ValueError):
        record = None  # the boot guard starts a slot then that is not on trial
    return isinstance(record, dict) and record.get("left") is not None
