# The machine module of the simulated RP2040: its constants, watchdog and identity.
# Behaves as ports/rp2/modmachine.c and machine_wdt.c do.
# SPDX-License-Identifier: MIT
import control
from machine_common import RTC, Pin, bootloader, idle, reset, soft_reset
from micropython import const

PWRON_RESET = 1
WDT_RESET = 3  # reset(), too: it is the watchdog that restarts the chip

_MOST_MS = const(8388)  # a counter of 24 bits that loses two each microsecond
_FLASH_ID = b"\xe6\x60"

_cause = PWRON_RESET
_id = bytes(8)


def attach(cause, mac):
    """Give the module what differs from boot to boot and from board to board. For power_on."""
    global _cause, _id
    _cause, _id = cause, _FLASH_ID + mac


def reset_cause():
    """Of the latest start of the chip: a soft reset does not change it."""
    return _cause


def unique_id():
    """Eight bytes, the flash chip's: not the MAC address."""
    return _id


def freq(hz=None):
    return None if hz else 125000000


class WDT:
    """WDT(id=0, timeout=5000 ms, at most 8388): cannot be stopped."""

    def __init__(self, id=0, timeout=5000):
        if id != 0:
            raise ValueError("WDT(%d) doesn't exist" % id)
        if not 0 <= timeout <= _MOST_MS:
            raise ValueError("timeout exceeds %d" % _MOST_MS)
        if not timeout:
            reset()
        control.send("wdt %d" % timeout)

    def feed(self):
        control.send("feed")
