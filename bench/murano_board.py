# What bench/murano.py runs under MicroPython: three writes of one resource by each client in turn.
# One JSON object from stdin ({"ports": {name: port}, "ca": path, "rounds": 5}), one to stdout
# ({name: [seconds, ...]}).
# SPDX-License-Identifier: MIT

import asyncio
import json
import sys
import time

import requests

from instar.http import Client

WRITES = 3
TOKEN = "97eWgtm9Et5VxwuJT8NiOK7w27Ly2GS092oSxgpW"
PATH = "/onep:v1/stack/alias"
HEADERS = {
    "X-Exosite-CIK": TOKEN,
    "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
}
BODY = "temperature=63"


async def kept(url, ca):
    client = Client(ca=[ca])
    for _ in range(WRITES):
        response = await client.post(url + PATH, headers=HEADERS, data=BODY)
        assert response.status_code == 204
    await client.close()


async def anew(url, ca):
    client = Client(ca=[ca])
    for _ in range(WRITES):
        response = await client.post(url + PATH, headers=HEADERS, data=BODY)
        assert response.status_code == 204
        await client.close()


async def with_requests(url, ca):
    for _ in range(WRITES):
        response = requests.post(url + PATH, headers=HEADERS, data=BODY)  # noqa: ASYNC210
        assert response.status_code == 204
        response.close()


def read(path):
    with open(path, "rb") as file:
        return file.read(8192)


async def main(task):
    ca = read(task["ca"])
    seconds = {"kept": [], "anew": [], "requests": []}
    for _ in range(task["rounds"]):
        for name, write in (("kept", kept), ("anew", anew), ("requests", with_requests)):
            start = time.ticks_us()
            await write(f"https://localhost:{task['ports'][name]}", ca)
            seconds[name].append(time.ticks_diff(time.ticks_us(), start) / 1e6)
    print(json.dumps(seconds))


asyncio.run(main(json.load(sys.stdin)))
