# What instar has to know of a board with an ESP32-C3. Goes into the firmware image, or into the
# slot where the firmware is stock MicroPython.
#
# Limits: no status LED, since no pin of these modules is sure to have one. Of those sold many are
# lit by a low pin: `Board.led, Board.led_on = 8, 0` in the application.
# SPDX-License-Identifier: MIT
from instar.esp32_board import Esp32Board


class Board(Esp32Board):
    """One ESP32-C3."""

    name = "ESP32_GENERIC_C3"
