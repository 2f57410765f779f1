"""What Murano devices write and read: aliases, long polls, records.

    POST /onep:v1/stack/alias[?read&...]    alias=value&...           204, or 200 with what is read
    GET  /onep:v1/stack/alias?alias&...     [Request-Timeout: <ms>]   200, 204; 304 as it ends
    POST /onep:v1/stack/record              alias=A&<time>=value&...  204, or 409 with conflicts

An alias that the product does not define is no error; what is written to it is gone.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from aiohttp import web

from . import faults, murano_form
from .murano_access import FORM_TYPE
from .murano_form import FORM, SECOND, Refused, decoded, joined, microseconds, name, query, split
from .murano_resources import Entry
from .murano_state import now

if TYPE_CHECKING:
    from .murano import Service

VALUE_LIMIT = 64 << 10
MAX_WAIT = 300_000  # milliseconds


class Data:
    """Of one product's devices."""

    def __init__(self, service: Service) -> None:
        self.service, self.resources = service, service.resources

    async def write(self, request: web.Request) -> web.Response:
        identity = self.service.access.identify(request)
        pairs = [(name(key), value) for key, value in split(await _form(request))]
        reads = _aliases(request) if query(request) else []
        for _, value in pairs:
            _check_size(value)
        values = {alias: value for alias, value in pairs if self._is_defined(alias)}
        self.resources.write(identity, values)
        self._note(identity, [alias for alias, _ in pairs])
        if not reads:
            return web.Response(status=204)
        return self._ended(self._read(identity, reads))

    async def read(self, request: web.Request) -> web.StreamResponse:
        identity = self.service.access.identify(request)
        aliases = _aliases(request)
        if "Request-Timeout" in request.headers:
            answer = await self._poll(request, identity, aliases)
        else:
            answer = self._read(identity, aliases)
        return self._ended(answer)

    def _is_defined(self, alias: str) -> bool:
        return alias in self.service.product.resources

    def _note(self, identity: str, aliases: list[str]) -> None:
        self.service.identities.note(identity, {"type": "data_in", "aliases": aliases})

    def _ended(self, answer: web.Response) -> web.Response:
        if self.service.product.close:
            answer.force_close()
        return answer

    def _read(self, identity: str, aliases: list[str]) -> web.Response:
        """Those that have a value, in the order asked for; 204 if none has."""
        found = []
        for alias in filter(self._is_defined, aliases):
            state = self.resources.get(identity, alias)
            if state and self._is_sent(state[0]):
                found.append((alias, state[0]))
        return _form_answer(found) if found else web.Response(status=204)

    def _is_sent(self, value: bytes) -> bool:
        return value != b"" or self.service.product.empty == "sent"

    async def _poll(self, request: web.Request, identity: str, aliases: list[str]) -> web.Response:
        """Wait for a value that is newer than the request says, or than the request."""
        arrived = now()
        wait, since = _wait(request), request.headers.get("If-Modified-Since")
        if len(aliases) != 1:  # assumed
            raise Refused(400, "expected one alias for a long poll")
        if not self._is_defined(aliases[0]):
            raise Refused(404, "the product defines no such resource")
        start = arrived if since is None else self._start(murano_form.since(since))
        end = time.monotonic() + wait
        while not self.resources.closing:
            state = self.resources.get(identity, aliases[0])
            if state and state[1] >= start:
                return self._changed(aliases[0], *state)
            left = end - time.monotonic()
            if left <= 0:
                return web.Response(status=self.service.product.nothing)
            await self.resources.next(identity, aliases[0], left)
        return faults.hang_up(request)

    def _start(self, seconds: int) -> int:
        """The first moment whose values count as modified since."""
        exclusive = self.service.product.since == "exclusive"
        return (seconds + exclusive) * SECOND

    def _changed(self, alias: str, value: bytes, modified: int) -> web.Response:
        if not self._is_sent(value):
            return web.Response(status=204)  # assumed: at once, what a read would say by now
        seconds = modified // SECOND
        unix = self.service.product.dates == "unix"
        answer = _form_answer([(alias, value)])
        answer.headers["Last-Modified"] = str(seconds) if unix else murano_form.http_date(seconds)
        return answer

    async def record(self, request: web.Request) -> web.Response:
        identity = self.service.access.identify(request)
        entries = _entries(await _form(request))
        defined = [entry for entry in entries if self._is_defined(entry[0])]
        refused = self.resources.record(identity, defined)
        self._note(identity, list(dict.fromkeys(entry[0] for entry in entries)))
        if not refused:
            return self._ended(web.Response(status=204))
        pairs = [(alias, stamp) for alias, stamp, _, _ in refused]
        if self.service.product.conflicts == "lists":
            pairs = _listed(pairs)
        answer = _form_answer(pairs)
        answer.set_status(409)
        return self._ended(answer)


async def _form(request: web.Request) -> bytes:
    if request.content_type != FORM_TYPE:
        raise Refused(415, f"expected Content-Type: {FORM_TYPE}")
    return await request.read()


def _form_answer(pairs: list[tuple[str, bytes]] | list[tuple[str, str]]) -> web.Response:
    return web.Response(body=joined(pairs).encode(), headers={"Content-Type": FORM})


def _aliases(request: web.Request) -> list[str]:
    """
    Raises:
        Refused: 400 (assumed), none is named.
    """
    return [name(decoded(alias)) for alias in query(request).split(b"&")]


def _check_size(value: bytes) -> None:
    if len(value) > VALUE_LIMIT:  # 413 is assumed
        raise Refused(413, f"expected at most {VALUE_LIMIT} bytes in a value, got {len(value)}")


def _wait(request: web.Request) -> float:
    """The seconds of Request-Timeout."""
    given = request.headers["Request-Timeout"]
    if not re.fullmatch("[0-9]{1,6}", given) or int(given) > MAX_WAIT:  # assumed
        raise Refused(400, f"Request-Timeout: expected 0 to {MAX_WAIT} milliseconds")
    return int(given) / 1000


def _entries(form: bytes) -> list[Entry]:
    """A record's entries, in its order."""
    alias, found, at = "", [], now()
    for key, value in split(form):
        if key == b"alias":
            alias = name(value)
        elif not alias:
            raise Refused(400, "expected alias=<alias> before the first timestamp")
        else:
            _check_size(value)
            stamp = name(key)
            found.append((alias, stamp, microseconds(stamp, at), value))
    return found


def _listed(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The timestamps of each alias in one text, joined by commas."""
    lists: dict[str, list[str]] = {}
    for alias, stamp in pairs:
        lists.setdefault(alias, []).append(stamp)
    return [(alias, ",".join(stamps)) for alias, stamps in lists.items()]
