"""Misbehaviour on demand: a list of faults, each for some requests, a number of times.

    {"match": "GET /storage/", "times": 1, "cut": 1000}

``match`` is a regular expression searched in "METHOD /path?query"; ``skip`` lets that many
matching requests pass first; ``times`` (1 if not said, null for always) is how often it strikes.
What it does is one or more of:

    status, headers, body   answer this, without acting
    stall                   seconds to wait before anything else
    drop                    "before": close without acting or answering;
                            "after": act, then close without an answer
    cut                     send the head and this many bytes of the body, then close
    ignore_range            do as if the request had no Range: 200 and everything
    content_range           act as asked, but say this in Content-Range
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

_ACTIONS = ("status", "stall", "drop", "cut", "ignore_range", "content_range")
_KNOWN = {"match", "times", "skip", "headers", "body", *_ACTIONS}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Fault:
    """One entry of a plan; see the module for its fields."""

    match: str
    times: int | None = 1
    skip: int = 0
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""
    stall: float = 0
    drop: str | None = None
    cut: int | None = None
    ignore_range: bool = False
    content_range: str | None = None

    def strikes(self, line: str) -> bool:
        """Whether this request is hit; counts it."""
        if self.times == 0 or not re.search(self.match, line):
            return False
        if self.skip:
            self.skip -= 1
            return False
        if self.times is not None:
            self.times -= 1
        return True


def parse(plan: list[dict[str, Any]]) -> list[Fault]:
    """A checked plan.

    Raises:
        ValueError: an entry is not understood; the message says which word.
    """
    return [_parse_one(entry) for entry in plan]


def _parse_one(entry: dict[str, Any]) -> Fault:
    if unknown := set(entry) - _KNOWN:
        raise ValueError(f"fault: expected some of {sorted(_KNOWN)}, got {sorted(unknown)}")
    if "match" not in entry or not any(name in entry for name in _ACTIONS):
        raise ValueError(f"fault: expected match and one of {_ACTIONS}, got {sorted(entry)}")
    if entry.get("drop") not in (None, "before", "after"):
        raise ValueError(f'fault: expected drop "before" or "after", got {entry["drop"]!r}')
    try:
        re.compile(entry["match"])
    except re.error as error:
        raise ValueError(f"fault: match is no regular expression: {error}") from None
    return Fault(**entry)


class Faults:
    """The plan in force. The first fault that strikes is the only one for that request."""

    def __init__(self) -> None:
        self.plan: list[Fault] = []

    def pick(self, request: web.Request) -> Fault | None:
        line = f"{request.method} {request.raw_path}"
        return next((fault for fault in self.plan if fault.strikes(line)), None)

    async def apply(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let ``handler`` answer, or misbehave."""
        fault = self.pick(request)
        if fault is None:
            return await handler(request)
        if fault.stall:
            await asyncio.sleep(fault.stall)
        if fault.drop == "before":
            return _hang_up(request)
        if fault.status is not None:
            return web.Response(status=fault.status, headers=fault.headers, text=fault.body)
        request["ignore_range"], request["cut"] = fault.ignore_range, fault.cut
        answer = await handler(request)
        if fault.drop == "after":
            return _hang_up(request)
        if fault.content_range is not None:
            answer.headers["Content-Range"] = fault.content_range
        if isinstance(answer, web.Response) and isinstance(answer.body, bytes):
            answer.headers["Content-Length"] = str(len(answer.body))
            answer.body = limited(request, [answer.body])
        return answer


def ignores_range(request: web.Request) -> bool:
    """For a handler that knows Range: whether it must not, this time."""
    return request.get("ignore_range", False)


def hung_up(request: web.Request) -> bool:
    """Whether the connection was closed in place of an answer."""
    return request.transport is None or request.transport.is_closing()


async def limited(request: web.Request, body: Iterable[bytes]) -> AsyncIterator[bytes]:
    """``body``, which a fault may cut: then its first bytes, and the end of the connection."""
    left = request.get("cut")
    for chunk in body:
        yield chunk[:left]
        if left is not None:
            left -= min(len(chunk), left)
            if not left:
                _close(request)
                return


def _hang_up(request: web.Request) -> web.Response:
    if request.transport:
        request.transport.abort()
    return web.Response()


def _close(request: web.Request) -> None:
    # close() and not abort(): what was written so far still arrives.
    if request.transport:
        request.transport.close()
