# How the Artifact's parsers say no: what was expected, and what came, in a bounded message.
# SPDX-License-Identifier: MIT

from micropython import const

from ..errors import Rejected

_MAX_SHOWN = const(120)  # characters of a stranger's value in a message


def refused(what, expected, came):
    """The Rejected to raise: `what`, a part of the Artifact, is not as expected."""
    return Rejected(f"{what}: expected {expected}, got {came}")


def brief(value):
    """repr(value), cut to what a log line can bear."""
    shown = repr(value)
    return shown if len(shown) <= _MAX_SHOWN else shown[:_MAX_SHOWN] + "..."
