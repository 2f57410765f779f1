"""The development server in a thread, on ports that are free: for tests and the demo.

    with DevServer(tmp_path) as server:
        board.connect(server.url, trust=[server.ca_der, server.storage_ca_der])
        server.accept_all()
        server.upload(artifact)
        deployment = server.deploy("release-2")
        assert server.statuses(deployment) == ["downloading", "installing", "success"]

A `DevServer` is a `client.Client` of the server that it runs. Stopped and made again on the same
folder (and port) it is the same server after a restart.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import asyncio
import ssl
import threading
from pathlib import Path
from typing import Any

from .app import Options, Server
from .client import Client


class DevServer(Client):
    """See the module. ``options``: the fields of `app.Options` but ``data``.

    ``mutual_port`` is any that is free, if not said.
    """

    def __init__(self, data: Path, **options: Any) -> None:
        if not options.get("plain"):
            options.setdefault("mutual_port", 0)
        self.options = Options(data=Path(data), **options)

    def __enter__(self) -> DevServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Run; returns when everything listens.

        Raises:
            OSError: a port is taken.
        """
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="instar serve", daemon=True)
        self._thread.start()
        self._ready.wait()
        if self._failure:
            self._thread.join()
            raise self._failure
        server, found = self.server, self.server.ready()
        ca = None if self.options.plain else server.ca.pem
        super().__init__(found["api"], server.token, ca, self.options.bootstrap_profile)
        if self._context and (self.options.validity or "localhost" not in self.options.names):
            # A certificate that is wrong on purpose must not keep the test out.
            self._context.check_hostname, self._context.verify_mode = False, ssl.CERT_NONE
        self.storage_url, self.sntp_port = found["storage"], found["sntp_port"]
        self.bootstrap_url, self.mutual_url = found["bootstrap"], found.get("mutual", "")
        self.ca_der = server.ca.der.read_bytes()
        self.storage_ca_der = server.storage_ca.der.read_bytes()
        self.ca_bundle = server.bundle

    def stop(self) -> None:
        """Stop, as on SIGTERM; the folder keeps the state."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        if self._failure:
            raise self._failure

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as failure:
            self._failure = failure
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self.server = Server(self.options)
        try:
            await self.server.start()
            self._ready.set()
            await self._stop.wait()
        finally:
            await self.server.stop()
