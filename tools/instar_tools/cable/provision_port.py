"""Puts the factory settings of a board onto it, over its REPL.

    with connect(port, secrets=secret_values) as link:
        written = into_board(link, factory.files(), force=False, key=identity_key)
        pem = present_key(link) or make_key(link)     # or the board makes its identity key itself
        link.reset()

Before anything is written the board's own code looks at the settings, under MicroPython on the
host. The files get their names when all of them are there and verified, the settings last. What a
run that was cut has left is no obstacle to the next one: a file that is there already as it is
wanted needs no --force.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections.abc import Mapping

import click

from ..board_code import BOARD
from ..factory import SETTINGS_PATH
from ..identity_key import RECORD, IdentityKey, public_half
from ..provisioning import (
    MADE,
    Refused,
    Written,
    checked,
    refuse_present,
    spoken_of,
    staying,
    to_write,
)
from .deploy_plan import sha256
from .port import BoardError, Link

_NEW = ".new"
_KEY_SECONDS = 120.0  # an RP2040 multiplies points on P-256 for seconds


def into_board(
    link: Link, files: Mapping[str, bytes], force: bool, key: IdentityKey | None = None
) -> Written:
    """The files to the board's root, and the identity key into its store.

    Raises:
        Refused, NotChecked: nothing was written.
        BoardGone, BoardError: running it again mends what was begun.
    """
    _prepare(link)
    changed = {path: data for path, data in files.items() if link.sha256(path) != sha256(data)}
    old = link.call("configuration")
    refuse_present([path for path in changed if _exists(link, path)] + old, force)
    there = present_key(link) if key else ""
    key = to_write(key, there, RECORD)
    kept = {path: link.read(path) for path in spoken_of(files) if _exists(link, path)}
    written = checked(files, kept, key)
    removed = old + (link.call("left_over", MADE, staying(files)) if force else [])
    link.call("remove", removed)
    if key:
        link.call("state_folder")
        changed = {RECORD: written.record, **changed}
    _write(link, changed)
    return Written(written.secret, sorted(removed), there=there)


def _prepare(link: Link) -> None:
    link.run((BOARD / "provisioner.py").read_text())


def _exists(link: Link, path: str) -> bool:
    return link.call("exists", path)


def _write(link: Link, files: Mapping[str, bytes]) -> None:
    # The settings last: with them the board starts.
    for path, data in files.items():
        link.write(path + _NEW, data)
        if link.sha256(path + _NEW) != sha256(data):
            raise Refused(f"{path}: the flash does not hold what was written to it")
    link.call("put_in_place", sorted(files, key=lambda path: path == SETTINGS_PATH), _NEW)


def present_key(link: Link) -> str:
    """The public half, as PEM, of the identity key that the board has; empty without one."""
    _prepare(link)
    if not _exists(link, RECORD):
        return ""
    if link.info.instar:  # the private half stays where it is
        return link.call("public_half", seconds=_KEY_SECONDS)
    return public_half(link.read(RECORD))


def check_makes_key(link: Link) -> None:
    """Raise Refused if the board cannot make an identity key."""
    if not link.info.instar:
        raise Refused(
            "--identity-key board: expected instar on the board, found none; run instar deploy"
            " first, or use --identity-key host"
        )


def make_key(link: Link) -> str:
    """The board makes its identity key: the public half as PEM. After present_key(), which found
    none, and check_makes_key()."""
    try:
        return link.call("make_key", seconds=_KEY_SECONDS)
    except BoardError as error:
        raise click.ClickException(f"the board made no key: {error.message}") from None


def mac(link: Link) -> str:
    """The board's MAC address, as instar uses it: 24:0a:c4:01:02:03."""
    _prepare(link)
    return link.call("mac")
