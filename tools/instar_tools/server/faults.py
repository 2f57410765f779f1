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
from contextvars import ContextVar
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


# The fault of the request being handled, for the parts of its handler that must know.
_striking: ContextVar[Fault | None] = ContextVar("striking", default=None)


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
            return hang_up(request)
        if fault.status is not None:
            return web.Response(status=fault.status, headers=fault.headers, text=fault.body)
        token = _striking.set(fault)
        try:
            answer = await handler(request)
        finally:
            _striking.reset(token)
        if fault.drop == "after":
            return hang_up(request)
        if fault.content_range is not None:
            answer.headers["Content-Range"] = fault.content_range
        if fault.cut is not None and isinstance(answer, web.Response):
            _cut(request, answer, fault.cut)
        return answer


def ignores_range() -> bool:
    """For a handler that knows Range: whether it must not, this time."""
    fault = _striking.get()
    return fault is not None and fault.ignore_range


def hung_up(request: web.Request) -> bool:
    """Whether the connection was closed in place of an answer."""
    return request.transport is None or request.transport.is_closing()


def limited(request: web.Request, body: Iterable[bytes]) -> AsyncIterator[bytes]:
    """A handler's streamed body, which the fault of the moment may cut."""
    fault = _striking.get()
    return _first(request, body, fault.cut if fault else None)


def _cut(request: web.Request, answer: web.Response, count: int) -> None:
    """Cut a body that is there whole; a streamed one went through `limited`."""
    if isinstance(answer.body, bytes):
        answer.headers["Content-Length"] = str(len(answer.body))
        answer.body = _first(request, [answer.body], count)


async def _first(
    request: web.Request, body: Iterable[bytes], count: int | None
) -> AsyncIterator[bytes]:
    for chunk in body:
        yield chunk[:count]
        if count is not None:
            count -= min(len(chunk), count)
            if not count:
                break
    if count is not None and request.transport:
        # close() and not abort(): what was written so far still arrives.
        request.transport.close()


def hang_up(request: web.Request) -> web.Response:
    """Close the connection without an answer. What is returned is sent to nobody."""
    if request.transport:
        request.transport.abort()
    return web.Response()
