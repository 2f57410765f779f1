# The machine module of the simulated board: resets, watchdog, RTC. Constants are the ESP32's.
# A reset ends the process; the parent starts the next one with its cause. The watchdog is the
# parent's too: it cannot hang together with the board.
# Limits: no pins, buses, timers or sleep modes.
# SPDX-License-Identifier: MIT
import control
import rtc
from micropython import const

PWRON_RESET = 1  # also brown-out
HARD_RESET = 2  # reset(), and every panic
WDT_RESET = 3
DEEPSLEEP_RESET = 4
SOFT_RESET = 5

_US = const(1000000)
_cause = PWRON_RESET
_mac = bytes(6)


def attach(cause, mac):
    """Give the module what differs from boot to boot and from board to board. For power_on."""
    global _cause, _mac
    _cause, _mac = cause, mac


def reset():
    """Restart the chip, boot loader and all. Does not return."""
    control.end("reset")


def soft_reset():
    """Restart the interpreter; neither boot loader nor watchdog notice. Does not return."""
    control.end("soft_reset")


def reset_cause():
    return _cause


def unique_id():
    return _mac


def freq(hz=None):
    return None if hz else 160000000


def idle():
    """Nothing waits for an interrupt here."""


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


class RTC:
    """The one RTC. datetime(): (year, month, day, weekday, hour, minute, second, microsecond)."""

    def datetime(self, when=None):
        """Read the RTC, or set it (the weekday given is not looked at)."""
        clock = rtc.Time()
        if when is not None:
            seconds = clock.mktime(tuple(when[:3]) + tuple(when[4:7]))
            rtc.set_us(seconds * _US + when[7])
            return None
        us = rtc.now_us()
        t = clock.gmtime(us // _US)
        return t[0], t[1], t[2], t[6], t[3], t[4], t[5], us % _US

    def init(self, when):
        self.datetime(when)
