# What bench/murano.py runs under MicroPython: three writes of one resource by each client in turn.
# One JSON object from stdin ({"ports": {name: port}, "ca": path, "store": path of a
# folder, "rounds": 5}), one to stdout ({name: [seconds, ...]}).
# SPDX-License-Identifier: MIT

import asyncio
import json
import sys
import time

import requests

from instar.servers import connect
from instar.servers.murano import Murano
from instar.settings import Settings
from instar.store import Store

WRITES = 3
TOKEN = "97eWgtm9Et5VxwuJT8NiOK7w27Ly2GS092oSxgpW"


def device(url, task):
    """A Murano, provisioned, as a board has it."""
    values = {"murano_url": url, "murano_token": TOKEN, "ca": [task["ca"]]}
    settings = Settings(values, Store(task["store"]))
    return Murano(settings, "12345678", connect(settings, None, False))


async def kept(url, task):
    murano = device(url, task)
    for _ in range(WRITES):
        await murano.write({"temperature": 63})
    await murano.client.close()


async def anew(url, task):
    murano = device(url, task)
    for _ in range(WRITES):
        await murano.write({"temperature": 63})
        await murano.client.close()


async def with_requests(url, task):
    headers = {
        "X-Exosite-CIK": TOKEN,
        "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
    }
    for _ in range(WRITES):
        response = requests.post(  # noqa: ASYNC210
            url + "/onep:v1/stack/alias", headers=headers, data="temperature=63"
        )
        assert response.status_code == 204
        response.close()


async def main(task):
    seconds = {"kept": [], "anew": [], "requests": []}
    for _ in range(task["rounds"]):
        for name, write in (("kept", kept), ("anew", anew), ("requests", with_requests)):
            start = time.ticks_us()
            await write(f"https://localhost:{task['ports'][name]}", task)
            seconds[name].append(time.ticks_diff(time.ticks_us(), start) / 1e6)
    print(json.dumps(seconds))


asyncio.run(main(json.load(sys.stdin)))
