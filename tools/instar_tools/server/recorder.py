"""Every request in the order it came, with what was answered: what tests assert on.

Tokens and passwords are masked: a record says that there was an Authorization, never which.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from . import faults

KEPT = 5000
BODY_LIMIT = 256 << 10
_SCHEMES = ("bearer", "basic", "client", "thing", "token")
_PASSWORD = re.compile(r"(?<![^&\s])(password=)[^&\s]*")


class Recorder:
    """The last `KEPT` requests, oldest first."""

    def __init__(self) -> None:
        self.entries: deque[dict[str, Any]] = deque(maxlen=KEPT)

    def note(self, request: web.Request, host: str) -> dict[str, Any]:
        """Record ``request``, arrived at ``host``: the listener ("api", "storage",
        "bootstrap", "mutual" or "murano:" and the product). Completed by the caller.

        Keys: at (Unix time), host, peer (the client's port: equal on a kept-alive connection),
        method, path, query (as sent), headers (pairs), body (text), status (None: no answer).
        """
        path, _, query = request.raw_path.partition("?")
        peer = request.transport.get_extra_info("peername") if request.transport else None
        entry = {
            "at": time.time(),
            "host": host,
            "peer": peer[1] if peer else None,
            "method": request.method,
            "path": path,
            "query": query,
            "headers": [[name, _mask(name, text)] for name, text in request.headers.items()],
            "body": "",
            "status": None,
        }
        self.entries.append(entry)
        return entry


async def watched(
    plan: faults.Faults,
    entry: dict[str, Any],
    request: web.Request,
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
    too_large: Callable[[], web.Response],
) -> web.StreamResponse:
    """What every request of a device goes through: its body is read and added to its ``entry``,
    it may meet a fault of the ``plan``, and what came of it is noted."""
    try:
        _note_body(entry, await request.read())
    except web.HTTPRequestEntityTooLarge:
        answer = too_large()
    except ConnectionResetError:  # gone in the middle of its body
        return faults.hang_up(request)
    else:
        answer = await plan.apply(request, handler)
    if not faults.hung_up(request):
        entry["status"] = answer.status
    return answer


def _note_body(entry: dict[str, Any], body: bytes) -> None:
    """Beyond `BODY_LIMIT` it is cut."""
    text = body[:BODY_LIMIT].decode(errors="replace")
    if entry["path"].endswith("/provision/activate"):
        text = _PASSWORD.sub(r"\1***", text)
    entry["body"] = text


def _mask(name: str, text: str) -> str:
    if name.lower() == "x-exosite-cik":
        return "***"
    if name.lower() != "authorization":
        return text
    scheme = text.partition(" ")[0]
    # Where it is no scheme, it is a part of a bare key.
    return f"{scheme} ***" if scheme.lower() in _SCHEMES else "***"
