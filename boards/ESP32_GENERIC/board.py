# What instar has to know of a board with a plain ESP32, real or simulated. Goes into the firmware
# image, or into the slot where the firmware is stock MicroPython.
#
# Limits: no status LED, since no pin of these modules is sure to have one: an application that
# knows better says `Board.led = 2`.
# SPDX-License-Identifier: MIT
from instar.esp32_board import Esp32Board


class Board(Esp32Board):
    """One ESP32."""

    name = "ESP32_GENERIC"
