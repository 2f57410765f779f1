# A trusted time before the first certificate is checked.
#
#   clock = Clock(board, settings.ntp_host, settings.ntp_port)
#   await clock.sync()
#   clock.now()                     # seconds since 1970, whatever the port's epoch is
#
# The order: a floor (the date this code was made), the RTC, SNTP. Each is a hint only: SNTP is not
# authenticated, so it is believed for the dates of certificates and for log entries, nothing else,
# and never takes the clock back before the floor.
# Limits: whole seconds.
# SPDX-License-Identifier: MIT

import time

from micropython import const

from . import memory

FLOOR = const(1793491200)  # 2026-11-01: no board that runs this lives before it
_FRESH_S = const(86400)
_PAUSE_MS = const(60000)


def _epoch():
    # ESP32 counts from 2000-01-01, RP2 and unix from 1970 (platform: MICROPY_EPOCH_IS_1970).
    return 946684800 if time.gmtime(0)[0] == 2000 else 0


class Clock:
    """Reads the board's RTC and sets it from SNTP.

    board: needs set_clock(unix_seconds). host: an SNTP server, or "" for none.
    """

    def __init__(self, board, host, port=123):
        self._board = board
        self._host = host
        self._port = port
        self._synced = None  # time of the last SNTP answer
        self._failed = None  # ticks of the last question, if there was no answer to it

    def now(self):
        """Seconds since 1970-01-01 UTC."""
        return time.time() + _epoch()

    def stamp_us(self):
        """Microseconds since 1970-01-01 UTC, or None while nobody said what time it is.

        The floor is no time: what is measured before the first answer of a time server has no
        stamp. Without a server in the settings, the RTC is what the application sets it to.
        """
        if (self._host and self._synced is None) or self.now() < FLOOR:
            return None
        return time.time_ns() // 1000 + _epoch() * 1000000

    def rfc3339(self):
        """Now as `2026-11-21T20:00:00Z`, the form that deployment logs want."""
        return "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z".format(*time.gmtime(time.time())[:6])

    async def sync(self, beat=lambda: None):
        """Lift the clock to the floor, then ask SNTP if it was not asked for a day.

        Raises Transient if no server answered; the clock then stands at the RTC or the floor, and
        for a minute nobody is asked again.
        """
        if self.now() < FLOOR:
            self._board.set_clock(FLOOR)
        if not self._host or (self._synced and self.now() - self._synced < _FRESH_S):
            return
        # Who did not answer is not asked again by each request of the next minute.
        if self._failed is not None and time.ticks_diff(time.ticks_ms(), self._failed) < _PAUSE_MS:
            return
        self._failed = time.ticks_ms()
        beat()
        from .sntp import ask

        try:
            self._board.set_clock(await ask(self._host, self._port, FLOOR, beat))
        finally:
            memory.forget("instar.sntp")
        self._synced = self.now()
        self._failed = None
