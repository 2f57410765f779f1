"""A time server: answers SNTP requests (RFC 4330) with the host's clock, moved by an offset.

    transport, port = await serve(bind, port, offset=0)

Only client requests (mode 3, version 1 to 4) are answered; what else comes is dropped.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import asyncio
import struct
import time

_NTP_EPOCH = 2208988800  # seconds from 1900 to 1970
_CLIENT, _SERVER = 3, 4


def _stamp(seconds: float) -> bytes:
    """64 bits of NTP time: seconds since 1900, which wrap in 2036, and a binary fraction."""
    return struct.pack(">Q", int((seconds + _NTP_EPOCH) * 2**32) & (2**64 - 1))


def answer(request: bytes, now: float) -> bytes | None:
    """The reply to ``request`` at ``now`` (Unix time), or None where there is nothing to say."""
    if len(request) < 48:
        return None
    version, mode = request[0] >> 3 & 7, request[0] & 7
    if mode != _CLIENT or not 1 <= version <= 4:
        return None
    # Leap 0, stratum 1, precision 2^-20 s; the client's transmit time comes back as originate.
    head = struct.pack(">BBbb", version << 3 | _SERVER, 1, request[2], -20)
    stamp = _stamp(now)
    return head + bytes(8) + b"LOCL" + stamp + request[40:48] + stamp + stamp


class _Protocol(asyncio.DatagramProtocol):
    def __init__(self, offset: float) -> None:
        self.offset = offset

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple) -> None:
        if reply := answer(data, time.time() + self.offset):
            self.transport.sendto(reply, addr)


async def serve(bind: str, port: int, offset: float = 0) -> tuple[asyncio.DatagramTransport, int]:
    """Listen on UDP ``bind``:``port`` (0: any). Returns the transport, to close, and the port."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(
        lambda: _Protocol(offset), local_addr=(bind, port)
    )
    return transport, transport.get_extra_info("sockname")[1]
