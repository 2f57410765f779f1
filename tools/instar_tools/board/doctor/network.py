# `instar doctor` on the board: the network and the servers, by instar's own Wi-Fi, clock and HTTP
# client, with the `settings` and the `board` that settings.py left.
#
#   look_join(); look_time(); look_address(url); look_server(url, allow_plain)
#
# Each returns {"problem": None, or what is wrong in instar's words, ...}. `feed` is hands.py's.
# Limits: look_time() sets the RTC, as the agent does at its start; nothing else is changed.
# SPDX-License-Identifier: MIT
import asyncio
import gc
import socket
import time

from instar.errors import InstarError

board.feed = feed  # noqa: F821


def look_try(work):
    """Run an async function while the watchdog is fed, and say what went wrong."""

    async def pulse():
        while True:
            feed()  # noqa: F821
            await asyncio.sleep_ms(1000)

    async def both():
        beat = asyncio.create_task(pulse())
        try:
            return await work()
        finally:
            beat.cancel()

    try:
        found = asyncio.run(both()) or {}
        found["problem"] = None
    except (InstarError, OSError, ValueError, MemoryError) as error:
        found = {"problem": str(error) or repr(error)}
    gc.collect()
    return found


def look_join():
    return look_try(board.connect)  # noqa: F821


def look_time():
    """`now`: the clock after it, in seconds since 1970."""
    from instar.clock import Clock

    clock = Clock(board, settings.ntp_host, settings.ntp_port)  # noqa: F821
    found = look_try(lambda: clock.sync(feed))  # noqa: F821
    found["now"] = clock.now()
    return found


def look_address(host, port):
    """`address`: of the host, "" on a port that shows none. Blocks as long as the network lets."""
    feed()  # noqa: F821
    try:
        address = socket.getaddrinfo(host, port)[0][-1][0]
        return {"problem": None, "address": address if isinstance(address, str) else ""}
    except OSError as error:
        return {"problem": f"no address for this name: {error}"}


def look_server(url, plain):
    """`status`: of the answer to one request; over TLS, the certificate was verified then."""
    from instar.servers import connect

    async def request():
        client = connect(settings, feed, plain)  # noqa: F821
        try:
            response = await client.get(url, stream=True)
            await response.close()
            return {"status": response.status_code, "ms": time.ticks_diff(time.ticks_ms(), began)}
        finally:
            await client.close()

    began = time.ticks_ms()
    return look_try(request)
