"""Puts instar into a board's ROMFS, whose bytecode runs where it lies, and so costs no heap.

    if differs(link, image):             # build_romfs(files)
        write(link, image, sent)

A ROMFS has no second slot: the old image is gone before the new one is there. A board whose ROMFS
is half written starts without instar, and another run mends it.

Limits: firmware with a ROMFS segment, which no stock ESP32 or Pico has.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import base64
from collections.abc import Callable

import click

from ..board_code import BOARD
from .deploy_plan import sha256
from .port import Link

_PIECE = 1024  # bytes: a flash may take multiples of 256 only
_PAGE = 256
_LONG = 60.0


class NoRomfs(click.ClickException):
    """The board has no ROMFS, or not enough of it."""


def differs(link: Link, image: bytes) -> bool:
    """Whether another image is there. Nothing is written.

    Raises:
        NoRomfs: the board has none, or too small a one.
    """
    link.run((BOARD / "segment.py").read_text())
    _check(link.call("segment_size"), len(image))
    return link.call("segment_sha256", len(image), seconds=_LONG) != sha256(image)


def write(link: Link, image: bytes, sent: Callable[[int], None] = lambda count: None) -> None:
    """Write the image, verify it, and soft-reset the board so that it is mounted. After
    differs().

    Raises:
        NoRomfs: the segment does not hold what was written.
        BoardGone, BoardError: running it again mends that.
    """
    link.call("leave")
    padded = image + bytes(-len(image) % _PAGE)
    for at in range(0, len(padded), _PIECE):
        piece = padded[at : at + _PIECE]
        link.call("write_segment", at, base64.b64encode(piece).decode())
        sent(len(piece))
    if link.call("segment_sha256", len(image), seconds=_LONG) != sha256(image):
        raise NoRomfs("the ROMFS does not hold what was written to it; run this again")
    link.restart()


def _check(size: int | None, needed: int) -> None:
    if size is None:
        raise NoRomfs(
            "expected firmware with a ROMFS, found none: no stock ESP32 or Pico has one; build"
            " one with MICROPY_VFS_ROM and a partition romfs (ESP32) or MICROPY_HW_ROMFS_BYTES"
            " (RP2): docs/porting.md; or deploy without --romfs"
        )
    if needed > size:
        raise NoRomfs(
            f"expected a ROMFS of {needed} bytes or more, found one of {size}; leave parts of"
            " instar out (--set)"
        )
