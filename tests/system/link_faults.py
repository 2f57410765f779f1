"""What can happen to a connection, and where on it: what fault_proxies.py is told to do.

    cut(After(5000, DOWN))              # the first connection that gets so far
    cut(Answer(2))                      # the second request was acted on, its answer is lost
    stall(AfterAll(20000, DOWN), 3)     # counted over all connections

A fault is *where* and *what*, and strikes once. Where: a class with offset(). What: a function of
this module, by its name; its act() gets the flow and the rest of the chunk, and returns what of it
goes on, or raises Over.

Limits: what lies in the kernel's buffers when a link is cut has been sent, and arrives. After
garbage(), double() and alert() a link goes on: what was sent until the board has noticed is lost.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from fault_proxies import Flow

UP, DOWN = "up", "down"  # from the board, to the board
_MOMENT = 0.3  # seconds
_LINGER_0 = struct.pack("ii", 1, 0)
_FATAL_ALERT = bytes.fromhex("15 0303 0002 02 50")  # TLS 1.2, internal_error


class Over(Exception):
    """Nothing more goes through this connection."""


class Where(Protocol):
    def offset(self, flow: Flow, chunk: bytes) -> int | None:
        """How many bytes of this chunk pass before the fault strikes; None: it does not. Asked
        once with no bytes when a flow begins, before the server was reached."""


@dataclass
class After:
    """After `byte` bytes in a direction of the first connection that has so many."""

    byte: int
    direction: str

    def offset(self, flow: Flow, chunk: bytes) -> int | None:
        return self._within(flow, flow.passed, chunk)

    def _within(self, flow: Flow, passed: int, chunk: bytes) -> int | None:
        left = self.byte - passed
        return left if flow.direction == self.direction and 0 <= left <= len(chunk) else None


class AfterAll(After):
    """After `byte` bytes in a direction of all connections since the proxy's begin()."""

    def offset(self, flow: Flow, chunk: bytes) -> int | None:
        return self._within(flow, flow.proxy.passed[self.direction], chunk)


@dataclass
class Answer:
    """Before the answer to the `request`th request (from 1) of a connection, which was acted on.

    connection: its number since begin(), from 0; None: the first that has so many requests. A
    request ends where something comes down. That of number 0 of a TLS connection would be the
    handshake's end.
    """

    request: int
    connection: int | None = None

    def offset(self, flow: Flow, chunk: bytes) -> int | None:
        here = flow.pair.requests == self.request
        here &= self.connection in (None, flow.pair.number)
        return 0 if chunk and flow.direction == DOWN and here else None


@dataclass
class Fault:
    """One thing that happens, once."""

    name: str
    where: Where
    act: Callable[[Flow, bytes], Awaitable[bytes]]


def cut(where: Where) -> Fault:
    """Close both sides; what was sent before arrives."""

    async def act(flow: Flow, rest: bytes) -> bytes:
        raise Over

    return Fault("cut", where, act)


def reset(where: Where) -> Fault:
    """RST to both sides, once what was sent has had the time to arrive."""

    async def act(flow: Flow, rest: bytes) -> bytes:
        # A host's sockets hold much more than a board's: what they lost would be counted.
        await asyncio.sleep(_MOMENT)
        for writer in flow.pair.writers():
            option = (socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_0)
            writer.get_extra_info("socket").setsockopt(*option)
            writer.transport.abort()
        raise Over

    return Fault("reset", where, act)


def half_close(where: Where) -> Fault:
    """The end of this direction alone; the other one stays open."""

    async def act(flow: Flow, rest: bytes) -> bytes:
        flow.writer.write_eof()
        return await _never()

    return Fault("half-close", where, act)


def stall(where: Where, seconds: float | None = None) -> Fault:
    """Nothing more in this direction for so long; None: for ever."""

    async def act(flow: Flow, rest: bytes) -> bytes:
        if seconds is None:
            return await _never()
        await asyncio.sleep(seconds)
        return rest

    return Fault("stall", where, act)


async def _never() -> bytes:
    # Until the other direction ends, and the connection with it.
    await asyncio.Event().wait()
    return b""


def drip(where: Where, count: int, rate: int = 200) -> Fault:
    """The next `count` bytes at `rate` bytes a second."""

    async def act(flow: Flow, rest: bytes) -> bytes:
        flow.rate, flow.slow_bytes = rate, count
        return rest

    return Fault("drip", where, act)


def garbage(where: Where) -> Fault:
    """Other bytes in place of all that follow."""

    async def act(flow: Flow, rest: bytes) -> bytes:
        flow.garbler = random.Random(1)
        return rest

    return Fault("garbage", where, act)


def double(where: Where, count: int = 500) -> Fault:
    """What comes next, `count` bytes of it at most, arrives twice."""

    async def act(flow: Flow, rest: bytes) -> bytes:
        return rest[:count] + rest

    return Fault("double", where, act)


def alert(where: Where) -> Fault:
    """A fatal TLS alert that neither side sent, as from a middlebox."""

    async def act(flow: Flow, rest: bytes) -> bytes:
        return _FATAL_ALERT + rest

    return Fault("alert", where, act)


def mute(where: Where | None = None) -> Fault:
    """A connection that is taken, and nobody ever answers; the first one, if not said."""
    fault = stall(where or After(0, UP))
    fault.name = "mute"
    return fault
