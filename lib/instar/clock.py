# A trusted time before the first certificate is checked.
#
#   clock = Clock(board, settings.ntp_host, settings.ntp_port)
#   await clock.sync()
#   clock.now()                     # seconds since 1970, whatever the port's epoch is
#
# The order: a floor (the date this code was made), the RTC, SNTP. Each is a hint only: SNTP is not
# authenticated, so it is believed for the dates of certificates and for log entries, nothing else,
# and never takes the clock back before the floor.
# Limits: whole seconds; SNTP over IPv4 UDP (RFC 4330).
# SPDX-License-Identifier: MIT

import asyncio
import errno
import os
import socket
import time

from micropython import const

from .errors import Transient

FLOOR = const(1793491200)  # 2026-11-01: no board that runs this lives before it
_FROM_1900 = const(2208988800)
_ERA = const(0x100000000)
_ANSWER_MS = const(3000)
_STEP_MS = const(20)
_TRIES = const(3)
_FRESH_S = const(86400)


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

    def now(self):
        """Seconds since 1970-01-01 UTC."""
        return time.time() + _epoch()

    def rfc3339(self):
        """Now as `2026-11-21T20:00:00Z`, the form that deployment logs want."""
        return "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z".format(*time.gmtime(time.time())[:6])

    async def sync(self, beat=lambda: None):
        """Lift the clock to the floor, then ask SNTP if it was not asked for a day.

        Raises Transient if no server answered; the clock then stands at the RTC or the floor.
        """
        if self.now() < FLOOR:
            self._board.set_clock(FLOOR)
        if not self._host or (self._synced and self.now() - self._synced < _FRESH_S):
            return
        beat()
        self._board.set_clock(await self._ask(beat))
        self._synced = self.now()

    async def _ask(self, beat):
        try:
            address = socket.getaddrinfo(self._host, self._port, 0, socket.SOCK_DGRAM)[0][-1]
        except OSError as error:
            raise Transient(f"SNTP: no address for {self._host} (errno {error.errno})")
        for _ in range(_TRIES):
            beat()
            seconds = await self._exchange(address)
            if seconds:
                return seconds
        raise Transient(f"SNTP: no usable answer from {self._host}:{self._port}")

    async def _exchange(self, address):
        # The random transmit time comes back as the originate time: an answer to somebody else's
        # question, or one made up blindly, does not match.
        cookie = os.urandom(8)
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            udp.setblocking(False)
            udp.sendto(b"\x23" + bytes(39) + cookie, address)
            for _ in range(_ANSWER_MS // _STEP_MS):
                await asyncio.sleep_ms(_STEP_MS)
                answer = _receive(udp)
                if answer and (seconds := unix_time(answer, cookie)):
                    return seconds
        except OSError as error:
            raise Transient(f"SNTP: {self._host}:{self._port}: errno {error.errno}")
        finally:
            udp.close()
        return None


def _receive(udp):
    try:
        return udp.recvfrom(64)[0]
    except OSError as error:
        if error.errno == errno.EAGAIN:
            return None
        raise


def unix_time(answer, cookie):
    """Seconds since 1970 from an SNTP answer of 48 bytes, or None if it must not be believed.

    RFC 4330 §5: mode 4 (server), a clock that is synchronised (leap 0-2, stratum 1-15), our own
    transmit time as originate time, and a transmit time that is not before the floor.
    """
    if len(answer) < 48 or answer[0] & 7 != 4 or answer[0] >> 6 == 3:
        return None
    if not 1 <= answer[1] <= 15 or answer[24:32] != cookie:
        return None
    seconds = int.from_bytes(answer[40:44], "big")
    # The 32-bit count starts again in 2036; before 1968 means after that.
    seconds += (0 if seconds & 0x80000000 else _ERA) - _FROM_1900
    return seconds if seconds >= FLOOR else None
