"""Magistrala's HTTP adapter: clients publish to their channels, the server keeps what came.

    POST /m/{domain}/c/{channel}[/sub/topic]          Authorization: Client <secret>, or Basic
    POST /channels/{channel}/messages[/sub/topic]     the older path, without a domain

Both also below /http, as behind upstream's nginx. A client may publish to a channel of its
configuration while that is active. Unlike upstream, SenML JSON is looked into: an array of
objects, or 400.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import base64
import binascii
import json
import re
import sqlite3
from typing import TYPE_CHECKING
from urllib.parse import unquote

from aiohttp import web

from .magistrala import bearer
from .magistrala_families import SERVED, not_found

if TYPE_CHECKING:
    from .app import Server

SENML = "application/senml+json"
TYPES = (SENML, "application/json", "application/senml+cbor")
_NEW = re.compile(r"(?:/http)?/m/([^/]+)/c/([^/]+)(?:/(.*))?")
_OLD = re.compile(r"(?:/http)?/channels/([^/]+)/messages(?:/(.*))?")
_BAD_SUBTOPIC = re.compile(r"[*>+#\s]|//|/$")


def routes(server: Server) -> list[web.RouteDef]:
    """POST below /m/ and /channels/, or below /http."""
    adapter = Adapter(server)
    paths = ("/m/{rest:.*}", "/channels/{channel}/messages{rest:.*}")
    return [web.route("*", way + path, adapter.publish) for way in ("", "/http") for path in paths]


class Adapter:
    def __init__(self, server: Server) -> None:
        self.server = server
        self._mainflux = server.options.bootstrap_profile.startswith("mainflux")
        self._words = {family.word for family in SERVED[server.options.bootstrap_profile]}

    async def publish(self, request: web.Request) -> web.Response:
        path = unquote(request.raw_path.partition("?")[0])
        new, old = _NEW.fullmatch(path), _OLD.fullmatch(path)
        if (new is None and old is None) or (new and self._mainflux):
            return not_found()
        domain, channel, subtopic = new.groups("") if new else (None, *old.groups(""))
        if request.method != "POST":
            return web.Response(status=500)
        kind, body = request.headers.get("Content-Type", ""), await request.read()
        if not self._takes(kind):
            return web.Response(status=415)
        if "Authorization" not in request.headers:
            return web.Response(status=400)
        client = self._client(request, domain)
        if client is None or not self._may_publish(client, channel):
            return web.Response(status=403 if self._mainflux else 401)
        if _BAD_SUBTOPIC.search(subtopic) or (body and kind == SENML and not _is_senml(body)):
            return web.Response(status=400)
        if body:
            subtopic = subtopic.replace("/", ".")
            self.server.messages.add(client, channel, subtopic, kind, body)
        return web.Response(status=202)

    def _takes(self, kind: str) -> bool:
        """Whether this version takes the content type: it compares the header's whole text."""
        return SENML in kind if self._mainflux else kind in TYPES

    def _client(self, request: web.Request, domain: str | None) -> sqlite3.Row | None:
        """The client that the request's credentials are of; None for none in this domain."""
        user, secret = self._credentials(request, domain)
        client = self.server.configs.by_secret(secret)
        if client is None or domain not in (None, client["domain"]):
            return None
        # The old path takes any name together with the right key.
        return client if user is None or domain is None or user == client["id"] else None

    def _credentials(self, request: web.Request, domain: str | None) -> tuple[str | None, str]:
        """(name or None, secret)."""
        given = request.headers["Authorization"]
        if given.startswith("Basic "):
            try:
                pair = base64.b64decode(given[6:], validate=True).decode()
            except (binascii.Error, UnicodeDecodeError):
                return None, ""
            user, _, secret = pair.partition(":")
            return user, secret
        words = {"Client "} if domain is not None else self._words
        return None, next((found for w in words if (found := bearer(request, w))), given)

    def _may_publish(self, client: sqlite3.Row, channel: str) -> bool:
        channels = self.server.configs.channels(client)
        return bool(client["active"]) and any(channel == found["id"] for found in channels)


def _is_senml(body: bytes) -> bool:
    try:
        records = json.loads(body)
    except (ValueError, RecursionError):
        return False
    return isinstance(records, list) and all(isinstance(record, dict) for record in records)
