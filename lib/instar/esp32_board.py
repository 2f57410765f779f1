# What instar has to know of an ESP32, whichever chip of the family. Written on the documented
# modules only, so it runs on an ESP32 as it does on the simulated one.
#
#   class Board(Esp32Board): name = "ESP32_GENERIC"
#
# Limits: MicroPython keeps no network over a reset: without an SSID the station joins what a
# program before (boot.py, say) joined since the last one.
# SPDX-License-Identifier: MIT
import esp32
import machine

from .wifi_board import WifiBoard


class Esp32Board(WifiBoard):
    """One ESP32."""

    causes = {
        machine.PWRON_RESET: "power-on",
        machine.HARD_RESET: "hard",  # reset(), or a crash
        machine.WDT_RESET: "watchdog",
        machine.DEEPSLEEP_RESET: "deep-sleep",
        machine.SOFT_RESET: "soft",
    }

    def _mac(self):
        # The station's address is the chip's; it can be read while the radio is off, too.
        return machine.unique_id()

    def inventory(self):
        found = super().inventory()
        found["flash_size"] = _flash_size()
        running = esp32.Partition.RUNNING
        found["slot"] = esp32.Partition(running).info()[4]  # pyright: ignore[reportArgumentType]
        return found


def _flash_size():
    # To the end of the last partition: stock tables fill the chip.
    partition = esp32.Partition
    parts = partition.find(partition.TYPE_APP) + partition.find(partition.TYPE_DATA)
    return max(part.info()[2] + part.info()[3] for part in parts)
