# What the board does in test_http_tls.py: one JSON object from stdin, one to stdout.
# {"urls": [...], "client": {...}, "request": {...}} -> {"results": [...], "ticks": 9}
# "own": URLs whose origins see the client's certificate; the others do not.
# "present": a certificate and a key that the client shows after the first request.
import asyncio
import binascii
import hashlib
import json
import sys

from instar.errors import InstarError
from instar.http import Client
from instar.http.message import split_url


def from_files(options):
    def read(name):
        with open(name, "rb") as file:
            return file.read(8192)

    options["ca"] = [read(name) for name in options.get("ca", [])]
    for name in ("cert", "key"):
        if name in options:
            options[name] = read(options[name])
    return options


async def fetch(client, url, options):
    response = await client.get(url, stream=True, **options)
    digest, size = hashlib.sha256(), 0
    async for view in response:
        digest.update(view)
        size += len(view)
    return {
        "status": response.status_code,
        "size": size,
        "sha256": binascii.hexlify(digest.digest()).decode(),
        "url": response.url,
    }


async def main(task):
    ticks = []

    async def ticker():
        while True:
            ticks.append(1)
            await asyncio.sleep_ms(10)

    ticking = asyncio.create_task(ticker())
    client = Client(**from_files(task["client"]))
    client.own = [split_url(url)[0] for url in task["own"]]
    results = []
    for url in task["urls"]:
        try:
            result = await fetch(client, url, task.get("request", {}))
        except InstarError as error:
            kinds = [type(error).__name__] + [k.__name__ for k in type(error).__bases__]
            result = {"error": kinds, "message": str(error)}
        results.append(result)
        if "present" in task and len(results) == 1:
            pair = from_files(task["present"])
            client.present(pair["cert"], pair["key"])
    await client.close()
    ticking.cancel()
    print(json.dumps({"results": results, "ticks": len(ticks)}))


asyncio.run(main(json.load(sys.stdin)))
