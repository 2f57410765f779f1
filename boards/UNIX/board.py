# What instar has to know of the board it runs on: the network, the watchdog, the clock, resets.
# Goes into the firmware image. Written on the documented modules only, so it runs on an ESP32 as
# it does on the simulated one.
#
#   board = Board()                      # or Board("my network", "its key")
#   await board.connect(); board.watchdog(30000); board.feed()
#
# Limits: Wi-Fi station only; without an SSID the station joins the network it knows from before.
# SPDX-License-Identifier: MIT
import asyncio
import gc
import os
import time

import esp32
import machine
import network
from micropython import const

from instar.errors import Transient

_POLL_MS = const(100)
_EPOCH_2000 = const(946684800)

_CAUSES = {
    machine.PWRON_RESET: "power-on",
    machine.HARD_RESET: "hard",
    machine.WDT_RESET: "watchdog",
    machine.DEEPSLEEP_RESET: "deep-sleep",
    machine.SOFT_RESET: "soft",
}


class Board:
    """One ESP32. ssid, key: of the Wi-Fi network; connect_s: how long to try to join it."""

    name = "ESP32_GENERIC"
    settings_path = "/instar.json"
    state_dir = "/.instar"

    def __init__(self, ssid=None, key=None, connect_s=30):
        self._wifi = (ssid, key) if ssid else ()
        self._connect_s = connect_s
        self._station = network.WLAN(network.STA_IF)
        self._watchdog = None

    def identity(self):
        """What tells this board from others, as a server's identity attributes."""
        return {"mac": ":".join("%02x" % byte for byte in self._mac())}

    def _mac(self):
        # The station's address is the chip's; it can be read while the radio is off, too.
        return machine.unique_id()

    async def connect(self):
        """Join the network; returns at once if that is done.

        Raises:
            Transient: no address within connect_s seconds.
        """
        station = self._station
        if station.isconnected():
            return
        try:
            station.active(True)
            station.connect(*self._wifi)
        except OSError as error:  # the driver's own, of a radio that is busy or confused
            raise Transient(f"Wi-Fi: {error}")
        for _ in range(self._connect_s * 1000 // _POLL_MS):
            if station.isconnected():
                return
            self.feed()
            await asyncio.sleep_ms(_POLL_MS)
        status = station.status()
        station.disconnect()
        raise Transient(f"Wi-Fi: no connection after {self._connect_s} s, status {status}")

    def watchdog(self, timeout_ms):
        """Start the watchdog, once: from now on feed() has to come within `timeout_ms`."""
        if not self._watchdog:
            self._watchdog = machine.WDT(timeout=timeout_ms)

    def feed(self):
        if self._watchdog:
            self._watchdog.feed()

    def reset(self):
        """Restart the chip, through the boot loader. Does not return."""
        machine.reset()

    def reset_cause(self):
        """Why the board started: power-on, hard (reset() or a crash), watchdog, soft, ..."""
        return _CAUSES.get(machine.reset_cause(), "unknown")

    def set_clock(self, unix_seconds):
        """Set the RTC. unix_seconds: since 1970, whatever the port counts from."""
        epoch = _EPOCH_2000 if time.gmtime(0)[0] == 2000 else 0
        t = time.gmtime(unix_seconds - epoch)
        machine.RTC().datetime((t[0], t[1], t[2], t[6], t[3], t[4], t[5], 0))

    def inventory(self):
        """Attributes for the server: strings and numbers."""
        uname = os.uname()
        return {
            "board": uname.machine,
            "micropython_version": uname.release,
            "flash_size": _flash_size(),
            "heap_free": gc.mem_free(),
            "cpu_freq_mhz": machine.freq() // 1000000,
            "slot": esp32.Partition(esp32.Partition.RUNNING).info()[4],
            "rssi": self._station.status("rssi"),
        }


def _flash_size():
    # To the end of the last partition: stock tables fill the chip.
    partition = esp32.Partition
    parts = partition.find(partition.TYPE_APP) + partition.find(partition.TYPE_DATA)
    return max(part.info()[2] + part.info()[3] for part in parts)
