"""Magistrala's Bootstrap service as a device meets it: the plain route and the secure one.

    GET /clients/bootstrap/{external id}           Authorization: Client <external key>
    GET /clients/bootstrap/secure/{external id}    Authorization: Client <hex of IV, ciphertext>

For every family that the server's profile has (`magistrala_families`), with that family's order
of checks: the id is looked up first, then the key is decrypted, then compared.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from aiohttp import web

from . import answers, faults, magistrala_keys
from .magistrala_families import JSON, SERVED, Family, Refused, go_hex, not_found
from .magistrala_state import CERTS

if TYPE_CHECKING:
    from .app import Server

# Go's server sends up to this with a Content-Length, and more in chunks.
WHOLE = 2048
# What Go leaves alone in a path, besides letters and digits.
_GO_SAFE = "$&+,/:;=@-_.~"


def routes(server: Server) -> list[web.RouteDef]:
    """The device routes of the families served."""
    found = []
    for family in SERVED[server.options.bootstrap_profile]:
        api = Bootstrap(server, family)
        found.append(web.route("*", f"/{family.prefix}/bootstrap", api.answer))
        found.append(web.route("*", f"/{family.prefix}/bootstrap/{{rest:.*}}", api.answer))
    return found


class Bootstrap:
    """One family's device routes."""

    def __init__(self, server: Server, family: Family) -> None:
        self.server, self.family = server, family

    async def answer(self, request: web.Request) -> web.Response:
        path = request.raw_path.partition("?")[0]
        if request.method != "GET":
            return web.Response(status=405)
        # The older router redirects what ends in a slash, but for its route of an empty id.
        if not self.family.routes_raw and path.endswith("/") and path.count("/") > 3:
            return web.Response(status=302, headers={"Location": path.rstrip("/")})
        place = self._place(path)
        if place is None:
            return not_found()
        return self._bootstrap(request, *place)

    def _place(self, path: str) -> tuple[str, bool] | None:
        """(external id, whether secure) of a path as it was sent; None where no route is."""
        parts = path.split("/")[3:]
        if not parts:
            return ("", False) if self.family.routes_raw else None
        secure = len(parts) == 2 and parts[0] == "secure"
        if len(parts) > 1 and not (secure and parts[1]):
            return None
        external_id = parts[-1]
        if not self.family.routes_raw or _is_gos(path):
            external_id = unquote(external_id)
        return external_id, secure

    def _bootstrap(self, request: web.Request, external_id: str, secure: bool) -> web.Response:
        key = bearer(request, self.family.word)
        if not key:
            raise Refused(self.family, "no key")
        if not external_id:
            raise Refused(self.family, "no id")
        config = self.server.configs.by_external_id(external_id)
        if config is None:
            raise Refused(self.family, "unknown id")
        if secure:
            key = self._decrypt(key)
        if key != config["external_key"]:
            raise Refused(self.family, "wrong key")
        if self.family.has_profiles and not config["active"]:
            raise Refused(self.family, "disabled")
        body = answers.go_json(self._shown(config))
        if secure:
            body = magistrala_keys.encrypt(self.server.bootstrap_key, body)
            return sized(request, body, self.family.secure_type)
        return sized(request, body + b"\n", JSON)

    def _decrypt(self, given: str) -> str:
        """The external key in the header of a secure request."""
        try:
            secure = go_hex(given)
        except ValueError as error:
            raise Refused(self.family, "not hex", str(error)) from None
        key = self.server.bootstrap_key
        if len(key) not in magistrala_keys.SIZES:
            detail = f"crypto/aes: invalid key size {len(key)}"
            raise Refused(self.family, "bad crypto key", detail)
        if len(secure) < magistrala_keys.IV:
            raise Refused(self.family, "short")
        return magistrala_keys.decrypt(key, secure).decode(errors="replace")

    def _shown(self, config: sqlite3.Row) -> dict[str, Any]:
        """The answer's fields in Go's order; what is empty is left out."""
        names = self.family.names
        shown: dict[str, Any] = {names[0]: config["id"]}
        if not self.family.has_profiles:
            shown[names[1]] = config["secret"]
            shown[names[2]] = self.server.configs.channels(config) or None
        for name in ("content", *CERTS):
            if config[name]:
                shown[name] = config[name]
        return shown


def _is_gos(path: str) -> bool:
    """Whether Go would have escaped the decoded path in just this way."""
    return quote(unquote(path), safe=_GO_SAFE) == path


def bearer(request: web.Request, word: str) -> str:
    """What follows ``word`` in Authorization; "" where it begins in another way."""
    given = request.headers.get("Authorization", "")
    return given[len(word) :] if given.startswith(word) else ""


def sized(request: web.Request, body: bytes, content_type: str) -> web.Response:
    """A 200 with ``body``, framed as Go's server frames it."""
    headers = {"Content-Type": content_type}
    if len(body) <= WHOLE:
        return web.Response(body=body, headers=headers)
    # Without a length aiohttp sends chunks, and to HTTP/1.0 closes the connection at the end.
    return web.Response(body=faults.limited(request, [body]), headers=headers)
