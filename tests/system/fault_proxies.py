"""Links that fail: TCP proxies on loopback between a board and the development server.

    with Network(server) as network:
        lab = Lab(folder, server, options={"dns": network.dns})
        lab.flash(settings=network.settings)
        network.begin(storage=[cut(After(5000, DOWN))])
        lab.run("idle")
        assert network.storage.struck == ["cut"]

The server's certificates need the NAMES, and its URLs the storage's: DevServer(folder, **SERVER).
The board finds the proxies by these names (power_on's dns=), so nothing in its flash depends on a
port, and TLS goes through unopened. link_faults.py has what can happen.

Limits: a proxy knows no HTTP. The end of one direction ends the other: neither a board nor the
server goes on reading after its own end.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import asyncio
import random
import socket
import threading
from collections.abc import Callable, Coroutine, Iterable, Iterator
from typing import Any
from urllib.parse import urlsplit

from link_faults import DOWN, UP, Fault, Over

from instar_tools.server.pki import LOCAL_NAMES
from instar_tools.server.testing import DevServer

NAMES = API, STORAGE = "updates.test", "storage.test"
SERVER = {"names": [*LOCAL_NAMES, *NAMES], "storage_host": STORAGE}
_CHUNK = 16 << 10
_SEND_BUFFER = 8 << 10  # a board's network holds no more either
_HANDSHAKE_TURNS = 2  # of TLS 1.2, before the first request
_PULSE = 0.1  # seconds


class Flow:
    """One direction of one connection.

    passed: bytes of it so far. garbler, rate, slow_bytes: what faults have set.
    """

    def __init__(self, pair: Pair, direction: str) -> None:
        self.pair, self.proxy, self.direction = pair, pair.proxy, direction
        self.passed = 0
        self.garbler: random.Random | None = None
        self.rate = self.slow_bytes = 0
        self.reader: asyncio.StreamReader
        self.writer: asyncio.StreamWriter

    async def pump(self) -> None:
        """Pass on what comes, until it ends or a fault says so."""
        while chunk := await self.reader.read(_CHUNK):
            self.pair.turn(self.direction)
            self.proxy.look(self, chunk)
            await self.pass_on(chunk)

    async def pass_on(self, chunk: bytes) -> None:
        while struck := self.proxy.strike(self, chunk):
            fault, offset = struck
            await self._send(chunk[:offset])
            chunk = await fault.act(self, chunk[offset:])
        await self._send(chunk)

    async def _send(self, data: bytes) -> None:
        if self.garbler:
            data = self.garbler.randbytes(len(data))
        while data and self.slow_bytes:
            step = min(len(data), self.slow_bytes, max(1, int(self.rate * _PULSE)))
            await self._write(data[:step])
            await asyncio.sleep(_PULSE)
            data, self.slow_bytes = data[step:], self.slow_bytes - step
        await self._write(data)

    async def _write(self, data: bytes) -> None:
        if data:
            self.passed += len(data)
            self.proxy.passed[self.direction] += len(data)
            self.writer.write(data)
            await self.writer.drain()


class Pair:
    """A connection. number: from 0, since begin(); turns: how often something went up, after
    something had come down."""

    def __init__(self, proxy: Proxy, number: int) -> None:
        self.proxy, self.number = proxy, number
        self.turns = 0
        self._last = DOWN
        self.up, self.down = Flow(self, UP), Flow(self, DOWN)

    @property
    def requests(self) -> int:
        """How many went up, the one under way included."""
        return self.turns - (_HANDSHAKE_TURNS if self.proxy.secure else 0)

    def turn(self, direction: str) -> None:
        self.turns += direction == UP and self._last == DOWN
        self._last = direction

    def writers(self) -> Iterator[asyncio.StreamWriter]:
        for flow in (self.up, self.down):
            if hasattr(flow, "writer"):
                yield flow.writer

    async def run(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """From the board's connection on to the end of either direction."""
        self.up.reader, self.down.writer = reader, writer
        pumps = []
        try:
            await self.up.pass_on(b"")  # what strikes here, strikes before the server knows
            server = await asyncio.open_connection("127.0.0.1", self.proxy.upstream)
            self.down.reader, self.up.writer = server
            for each in self.writers():
                _hold_little(each)
            pumps = [asyncio.create_task(flow.pump()) for flow in (self.up, self.down)]
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        except (Over, ConnectionError):
            pass  # that is what this is for
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            for each in self.writers():
                each.close()


def _hold_little(writer: asyncio.StreamWriter) -> None:
    writer.transport.set_write_buffer_limits(0)
    option = (socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
    writer.get_extra_info("socket").setsockopt(*option)


class Proxy:
    """One port that leads to `upstream`, another one. secure: with TLS.

    Since begin(): passed, the bytes in each direction; connections, their number; faults, those
    that have yet to strike; struck, the names of those that did. look: called with each flow and
    chunk before faults are.
    """

    def __init__(self, upstream: int, secure: bool) -> None:
        self.upstream, self.secure = upstream, secure
        self.port = 0
        self.look: Callable[[Flow, bytes], None] = lambda flow, chunk: None
        self._serving: set[asyncio.Task] = set()
        self._forget()

    def _forget(self) -> None:
        self.passed = {UP: 0, DOWN: 0}
        self.connections = 0
        self.faults: list[Fault] = []
        self.struck: list[str] = []

    async def begin(self, faults: Iterable[Fault] = ()) -> None:
        """End all connections, and count anew."""
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)
        self._forget()
        self.faults = list(faults)

    async def listen(self) -> None:
        """Take connections, on the same port as ever."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def refuse(self) -> None:
        """Take no connections until listen(); those that are, end."""
        self._server.close()
        await self.begin(self.faults)

    def strike(self, flow: Flow, chunk: bytes) -> tuple[Fault, int] | None:
        """The next fault in this chunk, and the bytes before it."""
        for fault in self.faults:
            offset = fault.where.offset(flow, chunk)
            if offset is not None:
                self.faults.remove(fault)
                self.struck.append(fault.name)
                return fault, offset
        return None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pair = Pair(self, self.connections)
        self.connections += 1
        task = asyncio.create_task(pair.run(reader, writer))
        self._serving.add(task)
        await asyncio.wait([task])
        self._serving.discard(task)


class Network:
    """The links between one board and a DevServer: api and storage, each a Proxy."""

    def __init__(self, server: DevServer) -> None:
        urls = urlsplit(server.url), urlsplit(server.storage_url)
        self._scheme = urls[0].scheme
        ports = [url.port or 0 for url in urls]
        self.proxies = [Proxy(port, self._scheme == "https") for port in ports]
        self.api, self.storage = self.proxies
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="network", daemon=True)

    def __enter__(self) -> Network:
        self._thread.start()
        for proxy in self.proxies:
            self._do(proxy.listen())
        return self

    def __exit__(self, *_: object) -> None:
        self.refuse()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, action: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(action, self._loop).result()

    @property
    def dns(self) -> str:
        """For power_on's dns=."""
        ports = zip(NAMES, [proxy.port for proxy in self.proxies], strict=True)
        return ",".join(f"{name}=127.0.0.1:{port}" for name, port in ports)

    @property
    def settings(self) -> dict[str, Any]:
        """Of a board behind these links."""
        url = f"{self._scheme}://{API}"
        return {"mender_url": url, "allow_plain_http": self._scheme == "http"}

    def begin(self, api: Iterable[Fault] = (), storage: Iterable[Fault] = ()) -> None:
        """End all connections, and count anew; then these faults strike."""
        self._do(self.api.begin(api))
        self._do(self.storage.begin(storage))

    def refuse(self) -> None:
        """Nobody takes a connection any more."""
        for proxy in self.proxies:
            self._do(proxy.refuse())

    def listen(self) -> None:
        """As before refuse()."""
        for proxy in self.proxies:
            self._do(proxy.listen())

    @property
    def struck(self) -> list[str]:
        """The faults that have struck since begin()."""
        return self.api.struck + self.storage.struck
