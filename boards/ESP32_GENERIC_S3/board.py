# What instar has to know of a board with an ESP32-S3. Goes into the firmware image, or into the
# slot where the firmware is stock MicroPython.
#
# Limits: no status LED, since what many of these boards have is an RGB LED, on differing pins.
# SPDX-License-Identifier: MIT
from instar.esp32_board import Esp32Board


class Board(Esp32Board):
    """One ESP32-S3."""

    name = "ESP32_GENERIC_S3"
