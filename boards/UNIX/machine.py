# The machine module of the simulated ESP32: its constants, watchdog and identity.
# SPDX-License-Identifier: MIT
import control
from machine_common import RTC, Pin, bootloader, idle, reset, soft_reset

PWRON_RESET = 1  # also brown-out
HARD_RESET = 2  # reset(), and every panic
WDT_RESET = 3
DEEPSLEEP_RESET = 4
SOFT_RESET = 5

_cause = PWRON_RESET
_mac = bytes(6)


def attach(cause, mac):
    """Give the module what differs from boot to boot and from board to board. For power_on."""
    global _cause, _mac
    _cause, _mac = cause, mac


def reset_cause():
    return _cause


def unique_id():
    return _mac


def freq(hz=None):
    return None if hz else 160000000


class WDT:
    """WDT(id=0, timeout=5000 ms): cannot be stopped; made again, it has the new timeout."""

    def __init__(self, id=0, timeout=5000):
        if id != 0:
            raise ValueError
        if timeout <= 0:
            raise ValueError("WDT timeout too short")
        control.send("wdt %d" % timeout)

    def feed(self):
        control.send("feed")
