# What the machine modules of all simulated boards share: resets, the RTC, pins that are seen.
# A reset ends the process; the parent starts the next one with its cause. The watchdog is the
# parent's too: it cannot hang together with the board.
# Limits: a pin is an output or reads as 0; no buses, timers or sleep modes.
# SPDX-License-Identifier: MIT
import control
import rtc
from micropython import const

_US = const(1000000)


def reset():
    """Restart the chip. Does not return."""
    control.end("reset")


def soft_reset():
    """Restart the interpreter; neither boot loader nor watchdog notice.

    Raises:
        SystemExit: always, as on a board.
    """
    raise SystemExit


def bootloader(timeout=0):
    """Wait for new firmware, from USB or the serial line. Does not return."""
    control.end("bootloader")


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


class Pin:
    """Pin(id, mode=-1, value=None): a number, or a name as "LED". What it puts out is told to the
    parent whenever it changes."""

    IN = 0
    OUT = 1
    _levels = {}

    def __init__(self, id, mode=-1, *, value=None):
        self._id = id
        if value is not None:
            self.value(value)

    def value(self, level=None):
        """Read the pin, or set it."""
        if level is None:
            return Pin._levels.get(self._id, 0)
        level = 1 if level else 0
        if Pin._levels.get(self._id) != level:
            Pin._levels[self._id] = level
            control.send("pin %s %d" % (self._id, level))

    def on(self):
        self.value(1)

    def off(self):
        self.value(0)
