# What instar has to know of a Raspberry Pi Pico W. Lies in each application slot, or in a firmware
# with instar.
# SPDX-License-Identifier: MIT
from instar.pico_board import PicoBoard


class Board(PicoBoard):
    """One Pico W: RP2040, 2 MiB of flash, 848 KiB of them for the file system."""

    name = "RPI_PICO_W"
