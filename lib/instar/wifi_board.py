# What instar has to know of a board with Wi-Fi: the network, the watchdog, the clock, resets.
# A board's own module extends it by what its chip has (boards/*/board.py). Documented modules
# only.
#
#   class Board(WifiBoard): ...
#   board = Board()                      # or Board("my network", "its key")
#   await board.connect(); board.watchdog(30000); board.feed()
#
# Limits: Wi-Fi station only. A link that the radio's driver believes in is taken for one.
# SPDX-License-Identifier: MIT
import asyncio
import gc
import os
import time

import machine
import network
from micropython import const

from .errors import Transient

_POLL_MS = const(100)
_AGAIN = const(20)  # polls between two attempts of ours
_EPOCH_2000 = const(946684800)


class WifiBoard:
    """One board. ssid, key: of the Wi-Fi network; connect_s: how long to try to join it.

    `led`: what machine.Pin knows the status LED by, None where it is not certain that there is
    one; `led_on`: the value that lights it. An application may set both: `Board.led = 2`.
    """

    settings_path = "/instar.json"
    state_dir = "/.instar"
    causes = {}  # machine.reset_cause() -> a word
    longest_watchdog_ms = None
    led = None
    led_on = 1

    def __init__(self, ssid=None, key=None, connect_s=30):
        self._wifi = (ssid, key) if ssid else ()
        self._connect_s = connect_s
        self._station = network.WLAN(network.STA_IF)
        self._watchdog = None

    def identity(self):
        """What tells this board from others, as a server's identity attributes."""
        return {"mac": ":".join("%02x" % byte for byte in self._mac())}

    def _mac(self):
        return self._station.config("mac")

    async def connect(self):
        """Join the network, or join it again; returns at once if that is done.

        Raises:
            Transient: no address within connect_s seconds.
        """
        if self._station.isconnected():
            return
        self.light(True)
        try:
            self._station.active(True)
            await self._joined()
        except OSError as error:  # the driver's own, of a radio that is busy or confused
            raise Transient(f"Wi-Fi: {error}")
        self.light(False)

    async def _joined(self):
        station = self._station
        # An ESP32 that lost its access point tries to come back for ever, and takes no connect()
        # meanwhile. A Pico's radio may hold on to what is gone.
        station.disconnect()
        self._join()
        for poll in range(1, self._connect_s * 1000 // _POLL_MS + 1):
            if station.isconnected():
                return
            # Below zero a Pico's radio gave up: refused, or nobody there. An ESP32's tries on.
            if poll % _AGAIN == 0 and station.status() < 0:
                self._join()
            self.feed()
            await asyncio.sleep_ms(_POLL_MS)
        why = self._status()
        station.disconnect()
        raise Transient(f"Wi-Fi: no connection after {self._connect_s} s, {why}")

    def _join(self):
        self._station.connect(*self._wifi)

    def _status(self):
        status = self._station.status()
        for name in ("WRONG_PASSWORD", "NO_AP_FOUND", "HANDSHAKE_TIMEOUT"):
            if getattr(network, "STAT_" + name, None) == status:
                return name.lower().replace("_", " ")
        return f"status {status}"

    @classmethod
    def show(cls, event):
        """Light the status LED from an update's first event, or the first failure, until the agent
        has nothing to do. event: one of the agent's."""
        if event["event"] in ("deployment", "state", "retry", "pending"):
            cls.light(True)
        elif event["event"] == "idle":
            cls.light(False)

    @classmethod
    def light(cls, on):
        """Switch the status LED, if there is one. A pin that is none is told, and let alone."""
        if cls.led is None:
            return
        try:
            machine.Pin(cls.led, machine.Pin.OUT, value=cls.led_on if on else 1 - cls.led_on)
        except (OSError, TypeError, ValueError) as error:  # it must not keep the board off the air
            print("board: no status LED on pin", cls.led, repr(error))
            cls.led = None

    def watchdog(self, timeout_ms):
        """Start the watchdog, once: from now on feed() has to come within `timeout_ms`, or within
        longest_watchdog_ms where the chip's cannot wait that long."""
        if not self._watchdog:
            longest = self.longest_watchdog_ms or timeout_ms
            self._watchdog = machine.WDT(timeout=min(timeout_ms, longest))

    def feed(self):
        if self._watchdog:
            self._watchdog.feed()

    def reset(self):
        """Restart the chip. Does not return."""
        machine.reset()

    def reset_cause(self):
        """Why the board started: one of the words in `causes`."""
        return self.causes.get(machine.reset_cause(), "unknown")

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
            "heap_free": gc.mem_free(),
            "cpu_freq_mhz": machine.freq() // 1000000,
            "rssi": self._rssi(),
        }

    def _rssi(self):
        try:
            return self._station.status("rssi")
        except OSError:  # an ESP32 whose access point is gone since
            return None
