# What instar has to know of a Raspberry Pi Pico W. Lies in each application slot, and
# runs on the stock firmware.
#
# Limits: the watchdog waits at most 8388 ms, less than a setting may say, and starts where a slot
# starts: what blocks for longer restarts the board. A reset by software, a crash and the watchdog
# all look the same afterwards.
# SPDX-License-Identifier: MIT
import machine
import rp2
from micropython import const

from instar.errors import Transient
from instar.wifi_board import WifiBoard

_BLOCKS = const(4)
_BLOCK_SIZE = const(5)


class Board(WifiBoard):
    """One Pico W."""

    name = "RPI_PICO_W"
    causes = {machine.PWRON_RESET: "power-on", machine.WDT_RESET: "reset or watchdog"}
    longest_watchdog_ms = 8388  # the RP2040's; the RP2350's is longer

    def _mac(self):
        # Zeros until the radio was on once: an identity has to be the same for ever.
        self._station.active(True)
        return super()._mac()

    def _join(self):
        if not self._wifi:
            raise Transient("Wi-Fi: expected a setting wifi_ssid, got none; a Pico W keeps none")
        super()._join()

    def inventory(self):
        found = super().inventory()
        flash = rp2.Flash()
        found["storage_size"] = flash.ioctl(_BLOCKS, 0) * flash.ioctl(_BLOCK_SIZE, 0)
        # The slot is the folder that this module came from: no record can be more right.
        found["slot"] = __file__.rpartition("/")[0].strip("/")
        return found
