"""Every request in the order it came, with what was answered: what tests assert on.

Tokens are masked: a record says that there was an Authorization, never which.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import time
from collections import deque
from typing import Any

from aiohttp import web

KEPT = 5000
BODY_LIMIT = 256 << 10
_SCHEMES = ("Bearer", "Basic", "Client", "Thing")


class Recorder:
    """The last `KEPT` requests, oldest first."""

    def __init__(self) -> None:
        self.entries: deque[dict[str, Any]] = deque(maxlen=KEPT)

    def note(self, request: web.Request, host: str) -> dict[str, Any]:
        """Record ``request``, arrived at ``host``: the listener ("api", "storage",
        "bootstrap" or "mutual"). Completed by the caller.

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


def note_body(entry: dict[str, Any], body: bytes) -> None:
    """Add the request's body to its entry; beyond `BODY_LIMIT` it is cut."""
    entry["body"] = body[:BODY_LIMIT].decode(errors="replace")


def _mask(name: str, text: str) -> str:
    if name.lower() != "authorization":
        return text
    scheme = text.partition(" ")[0]
    return f"{scheme} ***" if scheme in _SCHEMES else "***"  # else it is a part of a bare key
