# What bench/http.py runs under MicroPython: the same TLS download by instar.http and by asyncio's
# own streams, in turn. One JSON object from stdin, one to stdout.
# SPDX-License-Identifier: MIT

import asyncio
import json
import ssl
import sys
import time

from instar.http import Client


async def with_instar(task, ca):
    client = Client(ca=[ca])
    response = await client.get(f"https://localhost:{task['port']}/", stream=True)
    start = time.ticks_us()
    total = 0
    async for view in response:
        total += len(view)
    spent = time.ticks_diff(time.ticks_us(), start)
    await client.close()
    return total, spent


async def with_streams(task, ca):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=ca)
    reader, writer = await asyncio.open_connection(
        "localhost", task["port"], ssl=context, server_hostname="localhost"
    )
    writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    await writer.drain()
    while await reader.readline() != b"\r\n":
        pass
    start = time.ticks_us()
    buffer = bytearray(4096)
    total = 0
    while total < task["size"]:
        total += await reader.readinto(buffer)
    spent = time.ticks_diff(time.ticks_us(), start)
    writer.close()
    await writer.wait_closed()
    return total, spent


def read(path):
    with open(path, "rb") as file:
        return file.read(8192)


async def main(task):
    ca = read(task["ca"])
    rows = {"instar": [], "streams": []}
    for _ in range(task["rounds"]):
        for name, run in (("instar", with_instar), ("streams", with_streams)):
            total, spent = await run(task, ca)
            assert total == task["size"]
            rows[name].append(spent)
    print(json.dumps(rows))


asyncio.run(main(json.load(sys.stdin)))
