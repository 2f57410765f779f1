# What instar has to know of a Raspberry Pi Pico 2 W. Lies in each application slot, or in a
# firmware with instar.
# SPDX-License-Identifier: MIT
from micropython import const

from instar.pico_board import PicoBoard

_RP2350_MS = const(16777)  # from MicroPython 1.29 on


class Board(PicoBoard):
    """One Pico 2 W: RP2350, 4 MiB of flash, 2.5 MiB of them for the file system."""

    name = "RPI_PICO2_W"
    longest_watchdog_ms = _RP2350_MS
