# What a payload does to the board, in the states of Mender's update modules.
#
# INSTALLERS: payload type -> callable(board, identity of what was installed or None, settings) ->
# installer. An installer's module is imported only when its payload type is asked for.
# SPDX-License-Identifier: MIT

from ..errors import Rejected
from .base import Installer


def _firmware(board, installed, settings):
    try:
        from .firmware import Firmware

        return Firmware(board, installed, settings)
    except ImportError:
        raise Rejected("this board has no firmware slots: its MicroPython has no module esp32")


INSTALLERS = {"rootfs-image": _firmware}


def make(installers, board, kind, installed=None, settings=None):
    """The installer for a payload type (None: no payload). Raises Rejected if there is none."""
    if kind is None:
        return Installer(board, installed, settings)
    if kind not in installers:
        has = sorted(installers)
        raise Rejected(f"no installer for payload type {kind!r}: this board has {has}")
    return installers[kind](board, installed, settings)


def able(installers, board, settings=None):
    """One of each installer that this board can have."""
    found = []
    for kind in installers:
        try:
            found.append(make(installers, board, kind, None, settings))
        except Rejected:
            continue
    return found
