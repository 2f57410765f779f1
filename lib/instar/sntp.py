# One question to a time server, and whether its answer may be believed (RFC 4330).
#
#   seconds = await ask("pool.ntp.org", 123, floor, beat)      # since 1970
#
# Needed once a day: clock.py unloads this module after use. Limits: whole seconds; IPv4 UDP.
# SPDX-License-Identifier: MIT

import asyncio
import errno
import os
import socket

from micropython import const

from .errors import Transient

_FROM_1900 = const(2208988800)
_ERA = const(0x100000000)
_ANSWER_MS = const(3000)
_STEP_MS = const(20)
_TRIES = const(3)


async def ask(host, port, floor, beat):
    """Microseconds since 1970. Raises Transient if there is no answer, or none that is past
    `floor`, in seconds."""
    try:
        address = socket.getaddrinfo(host, port, 0, socket.SOCK_DGRAM)[0][-1]
    except OSError as error:
        raise Transient(f"SNTP: no address for {host} (errno {error.errno})")
    for _ in range(_TRIES):
        beat()
        try:
            now_us = await _exchange(address, floor)
        except OSError as error:
            raise Transient(f"SNTP: {host}:{port}: errno {error.errno}")
        if now_us:
            return now_us
    raise Transient(f"SNTP: no usable answer from {host}:{port}")


async def _exchange(address, floor):
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
            if answer and (now_us := unix_time(answer, cookie, floor)):
                return now_us
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


def unix_time(answer, cookie, floor):
    """Microseconds since 1970 of an SNTP answer of 48 bytes, or None if it must not be believed.

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
    if seconds < floor:
        return None
    return seconds * 1000000 + (int.from_bytes(answer[44:48], "big") * 1000000 >> 32)
