# The simulated RTC and, on it, the `time` module: seconds since 2000-01-01, or since 1970-01-01.
# The RTC is the host's clock plus an offset. The offset changes only when the RTC is set, and the
# parent keeps it, or does not: so the RTC counts on through resets as far as the board's does.
# Ticks and sleeps are the host's own.
# SPDX-License-Identifier: MIT
import time as _time

import control
from micropython import const
from standin import StandIn

_EPOCH = const(946684800)  # 2000-01-01 in Unix time
_offset_us = 0


def start(offset_us=None):
    """Go on with the parent's offset (RTC minus host clock, microseconds), or at 2000-01-01."""
    global _offset_us
    _offset_us = -_host_us() if offset_us is None else offset_us
    control.send("rtc %d" % _offset_us)


def _host_us():
    return _time.time_ns() // 1000 - _EPOCH * 1000000


def now_us():
    """Microseconds since 2000-01-01."""
    return _host_us() + _offset_us


def set_us(us):
    """Set the RTC to `us` microseconds since 2000-01-01."""
    start(us - _host_us())


class Time(StandIn):
    """Stands in sys.modules as `time`. epoch: where it counts from, in Unix time."""

    def __init__(self, epoch=_EPOCH):
        super().__init__(_time)
        self._epoch = epoch
        self._to_2000 = _EPOCH - epoch

    def time(self):
        return now_us() // 1000000 + self._to_2000

    def time_ns(self):
        return (now_us() + self._to_2000 * 1000000) * 1000

    def gmtime(self, seconds=None):
        """(year, month, day, hour, minute, second, weekday, day of year): eight, as on a board."""
        seconds = self.time() if seconds is None else int(seconds)
        return _time.gmtime(seconds + self._epoch)[:8]

    localtime = gmtime  # boards know no time zones

    def mktime(self, when):
        """Seconds since the epoch; fields out of range carry over."""
        year, month, day, hour, minute, second = when[:6]
        year, month = year + (month - 1) // 12, (month - 1) % 12 + 1
        if month < 3:  # count years from March, so that the leap day is their last
            year, month = year - 1, month + 12
        days = 365 * year + year // 4 - year // 100 + year // 400 + (153 * month - 457) // 5 + day
        seconds = (days - 730426) * 86400 + hour * 3600 + minute * 60 + second
        return seconds + self._to_2000
