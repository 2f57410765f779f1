# A trusted time before the first certificate is checked.
#
#   clock = Clock(board, settings.ntp_host, settings.ntp_port)
#   await clock.sync()
#   clock.now()                     # seconds since 1970, whatever the port's epoch is
#
# The order: a floor (the date this code was made), the RTC, SNTP, and another server where there
# is one (Murano's /timestamp). Each is a hint only: SNTP is not authenticated, and who asks over
# TLS has checked the server by the clock that is to be set. So it is believed for the dates of
# certificates, for log entries and measurements, and never goes back before the floor.
# Limits: an RTC takes whole seconds. What is missing is kept beside it, for stamps.
# SPDX-License-Identifier: MIT

import time

from micropython import const

from . import memory
from .errors import Transient

FLOOR = const(1793491200)  # 2026-11-01: no board that runs this lives before it
_FRESH_S = const(86400)
_SECOND_US = const(1000000)
_PAUSE_MS = const(60000)


def _epoch():
    # ESP32 counts from 2000-01-01, RP2 and unix from 1970 (platform: MICROPY_EPOCH_IS_1970).
    return 946684800 if time.gmtime(0)[0] == 2000 else 0


class Clock:
    """Reads the board's RTC and sets it from a server's time.

    board: needs set_clock(unix_seconds). host: an SNTP server, or "" for none. told: whether
    sync() is given somebody else to ask.
    """

    floor_us = FLOOR * _SECOND_US

    def __init__(self, board, host, port=123, told=False):
        self._board = board
        self._told = bool(host or told)
        self._host = host
        self._port = port
        self._synced = None  # time of the last answer
        self._ahead_us = 0  # of the RTC: what came with it below a second
        self.moved_us = 0  # by how much this start has set the RTC forward, in all
        self._failed = None  # ticks of the last question, if there was no answer to it

    def now(self):
        """Seconds since 1970-01-01 UTC."""
        return time.time() + _epoch()

    def stamp_us(self):
        """Microseconds since 1970-01-01 UTC, or None while nobody said what time it is.

        The floor is no time: what is measured before the first answer of a time server has no
        stamp. Without a server in the settings, the RTC is what the application sets it to.
        """
        if (self._told and self._synced is None) or self.now() < FLOOR:
            return None
        return self.rtc_us() + self._ahead_us

    def rtc_us(self):
        """What the RTC says, right or wrong, in microseconds since 1970. It counts on through
        resets where the chip's does, and begins at its epoch where the power was off."""
        return time.time_ns() // 1000 + _epoch() * _SECOND_US

    def rfc3339(self):
        """Now as `2026-11-21T20:00:00Z`, the form that deployment logs want."""
        return "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z".format(*time.gmtime(time.time())[:6])

    def doubt(self):
        """A certificate was refused: who told the time may have lied. It is asked again."""
        self._synced = self._synced and 0  # stamps go on: there is no better time

    async def sync(self, beat=lambda: None, other=None):
        """Lift the clock to the floor, then ask SNTP if it was not asked for a day; and `other`,
        an async callable -> seconds since 1970, where SNTP has no answer.

        Raises Transient if no server answered; the clock then stands at the RTC or the floor, and
        for a minute nobody is asked again.
        """
        if self.now() < FLOOR:
            self._set(FLOOR)
        nobody = not self._host and not other
        if nobody or (self._synced and self.now() - self._synced < _FRESH_S):
            return
        # Who did not answer is not asked again by each request of the next minute.
        if self._failed is not None and time.ticks_diff(time.ticks_ms(), self._failed) < _PAUSE_MS:
            return
        self._failed = time.ticks_ms()
        beat()
        now_us = await self._ask(beat, other)
        self._set(now_us // _SECOND_US)
        ahead = now_us - self.rtc_us()
        self._ahead_us = ahead if -_SECOND_US < ahead < _SECOND_US else 0
        self._synced = self.now()
        self._failed = None

    def _set(self, seconds):
        before = self.rtc_us()
        self._board.set_clock(seconds)
        self.moved_us += self.rtc_us() - before

    async def _ask(self, beat, other):
        try:
            if self._host:
                from .sntp import ask

                return await ask(self._host, self._port, FLOOR, beat)
        except Transient:
            if not other:
                raise
        finally:
            memory.forget("instar.sntp")
        now = await other()
        if now < FLOOR:
            raise Transient(f"time: expected it to be after {FLOOR}, got {now}")
        return now * _SECOND_US + _SECOND_US // 2  # somewhere in that second
