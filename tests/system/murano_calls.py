"""Requests as a Murano device sends them: for tests of the server."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from calls import call

FORM = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
ALIAS, RECORD = "/onep:v1/stack/alias", "/onep:v1/stack/record"
ACTIVATE, DOWNLOAD = "/provision/activate", "/provision/download"
CONTENT = "/onep:v1/content/"


class Device:
    """A device of one product; ``credentials``: the headers that say who it is."""

    def __init__(self, server, product="lab", identity="board", context=None):
        self.server, self.product, self.identity = server, product, identity
        self.url = server.product(product)["url"]
        self.context, self.credentials = context, {}

    def call(self, method, path, body="", **headers):
        """(status, headers, body as bytes)."""
        sent = {**self.credentials, **(FORM if method == "POST" else {})}
        sent |= {name.replace("_", "-"): text for name, text in headers.items()}
        return call(self.server, method, path, sent, body, url=self.url, context=self.context)

    def activate(self, **headers):
        """The status; keeps the token where there is one."""
        status, _, body = self.call("POST", ACTIVATE, f"id={self.identity}", **headers)
        if status == 200:
            self.credentials = {"X-Exosite-CIK": body.decode()}
        return status

    def read(self, *aliases, **headers):
        """(status, text)."""
        status, _, body = self.call("GET", f"{ALIAS}?{'&'.join(aliases)}", **headers)
        return status, body.decode()

    def write(self, form):
        return self.call("POST", ALIAS, form)[0]

    def record(self, form):
        """(status, text)."""
        status, _, body = self.call("POST", RECORD, form)
        return status, body.decode()

    def poll(self, alias, ms=5000, **headers):
        """(status, text, Last-Modified)."""
        path = f"{ALIAS}?{alias}"
        status, found, body = self.call("GET", path, Request_Timeout=str(ms), **headers)
        return status, body.decode(), found["Last-Modified"]

    def polling(self, alias, count=1, **more):
        """Futures of long polls that the server has received."""
        entries = self.server.server.recorder.entries
        arrived = len(entries) + count
        pool = ThreadPoolExecutor(count)
        found = [pool.submit(self.poll, alias, **more) for _ in range(count)]
        pool.shutdown(wait=False)
        while len(entries) < arrived:
            time.sleep(0.005)
        return found


def activated(server, product="lab", identity="board"):
    device = Device(server, product, identity)
    assert device.activate() == 200
    return device
