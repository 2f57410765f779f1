# What the machine modules of all simulated boards share: resets and the RTC.
# A reset ends the process; the parent starts the next one with its cause. The watchdog is the
# parent's too: it cannot hang together with the board.
# Limits: no pins, buses, timers or sleep modes.
# SPDX-License-Identifier: MIT
import control
import rtc
from micropython import const

_US = const(1000000)


def reset():
    """Restart the chip. Does not return."""
    control.end("reset")


def soft_reset():
    """Restart the interpreter; neither boot loader nor watchdog notice. Does not return."""
    control.end("soft_reset")


def idle():
    """Nothing waits for an interrupt here."""


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
