# What instar has to know of a Raspberry Pi Pico with Wi-Fi. Runs on the stock firmware.
#
#   class Board(PicoBoard): name = "RPI_PICO_W"
#
# Limits: the watchdog waits 8388 ms at most on an RP2040 (and on an RP2350 up to MicroPython
# 1.28), less than a setting may say, and starts where a slot starts: what blocks for longer
# restarts the board. A reset by software, a crash and the watchdog look the same afterwards.
# SPDX-License-Identifier: MIT
import os
import sys

import machine
from micropython import const

from .errors import Transient
from .wifi_board import WifiBoard

_BLOCK_SIZE = const(1)
_BLOCKS = const(2)
_EVERY_RP2_MS = const(8388)


class PicoBoard(WifiBoard):
    """One Pico W or Pico 2 W."""

    causes = {machine.PWRON_RESET: "power-on", machine.WDT_RESET: "reset or watchdog"}
    longest_watchdog_ms = _EVERY_RP2_MS
    led = "LED"

    def _mac(self):
        # Zeros until the radio was on once: an identity has to be the same for ever.
        self._station.active(True)
        return super()._mac()

    def _join(self):
        if not self._wifi:
            raise Transient("Wi-Fi: expected a setting wifi_ssid, got none; a Pico W keeps none")
        super()._join()

    def watchdog(self, timeout_ms):
        try:
            super().watchdog(timeout_ms)
        except ValueError:  # this MicroPython does not know yet that the chip can wait longer
            self.longest_watchdog_ms = _EVERY_RP2_MS
            super().watchdog(timeout_ms)

    def inventory(self):
        found = super().inventory()
        storage = os.statvfs("/")  # all of it: there is one file system
        found["storage_size"] = storage[_BLOCK_SIZE] * storage[_BLOCKS]
        # From where this start imports, which no record can be more right about.
        slots = [place[1:] for place in sys.path if place in ("/a", "/b")]
        found["slot"] = slots[0] if slots else ""
        return found
