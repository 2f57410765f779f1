"""The Bootstrap service's configuration routes, and as much of channels as these need.

    POST /{domain}/clients/configs    Authorization: Bearer <management token>

The same below things/, as the older services have them (without a domain, or with one). The
family's version decides the names of fields, the statuses and which routes there are. Channels
need not exist beforehand: one that a configuration names is made; POST /{domain}/channels gives
it a name and metadata.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import re
import sqlite3
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from aiohttp import web

from . import answers, management
from .magistrala_families import JSON, SERVED, Family, Refused
from .magistrala_fields import names_in, page, read_object, texts
from .magistrala_state import CERTS
from .state import new_id

if TYPE_CHECKING:
    from .app import Server

_MANAGED = re.compile(
    r"(/[^/]+)?/(clients|things)/(configs|state)(/.*)?|/[^/]+/channels|/channels|/health"
)

Handler = Callable[[web.Request], Awaitable[web.Response]]


def is_managed(path: str) -> bool:
    """Whether a path is the operator's and not a device's."""
    return _MANAGED.fullmatch(path) is not None


def routes(server: Server) -> list[web.RouteDef]:
    """The configuration routes of the families served."""
    families = SERVED[server.options.bootstrap_profile]
    found = [web.get("/health", _health)]
    for family in families:
        api = Manage(server, family)
        bases = ["/{domain}/" + family.prefix] if "mainflux" not in family.names[0] else []
        if family.prefix == "things":
            bases.append("/things")
        for base in bases:
            found += api.routes(base)
    channels = Manage(server, families[0])
    for path in ("/{domain}/channels", "/channels"):
        found.append(web.get(path, channels.checked(channels.channels)))
        found.append(web.post(path, channels.checked(channels.add_channel)))
    return found


async def _health(request: web.Request) -> web.Response:
    body = answers.go_json({"status": "pass", "description": "bootstrap service"})
    return web.Response(body=body, headers={"Content-Type": "application/health+json"})


class Manage:
    """One family's configuration routes."""

    def __init__(self, server: Server, family: Family) -> None:
        self.server, self.family, self.configs = server, family, server.configs

    def routes(self, base: str) -> list[web.RouteDef]:
        configs, checked = base + "/configs", self.checked
        found = [
            web.post(configs, checked(self.create)),
            web.get(configs, checked(self.list), allow_head=False),
            web.get(configs + "/{id}", checked(self.view), allow_head=False),
            web.delete(configs + "/{id}", checked(self.remove)),
            web.patch(configs + "/certs/{id}", checked(self.certs)),
        ]
        if self.family.has_profiles:
            return [
                *found,
                web.patch(configs + "/{id}", checked(self.update)),
                web.post(configs + "/{id}/enable", checked(self.enable)),
                web.post(configs + "/{id}/disable", checked(self.disable)),
            ]
        return [
            *found,
            web.put(configs + "/{id}", checked(self.update)),
            web.put(configs + "/connections/{id}", checked(self.connections)),
            web.put(base + "/state/{id}", checked(self.state)),
        ]

    def checked(self, handler: Handler) -> Handler:
        """``handler``, for whoever bears the management token."""

        async def around(request: web.Request) -> web.Response:
            if not request.headers.get("Authorization", "").startswith("Bearer "):
                raise Refused(self.family, "no token")
            if not management.is_allowed(request, self.server.token):
                raise Refused(self.family, "bad token")
            return await handler(request)

        return around

    def _config(self, request: web.Request) -> sqlite3.Row:
        config = self.configs.get(_domain(request), request.match_info["id"])
        if config is None:
            raise Refused(self.family, "unknown id")
        return config

    async def create(self, request: web.Request) -> web.Response:
        body = await read_object(request, self.family)
        id_name = "id" if self.family.has_profiles else f"{self.family.prefix[:-1]}_id"
        wanted = (id_name, "external_id", "external_key", "name", "content", *CERTS)
        fields = texts(body, wanted, self.family)
        fields["id"] = fields.pop(id_name)
        if not fields["external_key"]:
            raise Refused(self.family, "no key")
        if not fields["external_id"]:
            raise Refused(self.family, "no id")
        channels = names_in(body.get("channels"), self.family)
        if not channels and not self.family.has_profiles:
            raise Refused(self.family, "no channels")
        active = self.family.has_profiles
        try:
            config = self.configs.add(_domain(request), fields, channels, active)
        except sqlite3.IntegrityError:
            raise Refused(self.family, "exists") from None
        where = f"/{self.family.prefix}/configs/{config}"
        return web.Response(status=201, headers={"Content-Type": JSON, "Location": where})

    async def view(self, request: web.Request) -> web.Response:
        return _json(self._shown(self._config(request)))

    def _shown(self, config: sqlite3.Row) -> dict[str, Any]:
        """A configuration as view and list show it: never with its certificates."""
        names, rest = self.family.names, ("content", "name")
        if self.family.has_profiles:
            status = "enabled" if config["active"] else "disabled"
            shown = {"id": config["id"], "external_id": config["external_id"], "status": status}
        else:
            channels = self.configs.channels(config)
            shown = {names[0]: config["id"], names[1]: config["secret"], names[2]: channels}
            shown |= {name: config[name] for name in ("external_id", "external_key")}
            shown["state"] = config["active"]
        return shown | {name: config[name] for name in rest if config[name]}

    async def list(self, request: web.Request) -> web.Response:
        shown = [self._shown(config) for config in self.configs.list(_domain(request))]
        exact = ("state", "external_id", *self.family.names[:2])
        return _json(page(request, shown, exact, self.family))

    async def update(self, request: web.Request) -> web.Response:
        body = await read_object(request, self.family)
        fields = texts(body, ("name", "content"), self.family)
        if self.family.has_profiles:
            fields = {name: fields[name] for name in fields if name in body}
        config = self._config(request)
        if fields:
            self.configs.change(config["id"], **fields)
        return _done()

    async def certs(self, request: web.Request) -> web.Response:
        fields = texts(await read_object(request, self.family), CERTS, self.family)
        config = self._config(request)
        self.configs.change(config["id"], **fields)
        order = ("ca_cert", "client_cert", "client_key")
        return _json({self.family.names[0]: config["id"], **{n: fields[n] for n in order}})

    async def connections(self, request: web.Request) -> web.Response:
        body = await read_object(request, self.family)
        channels = names_in(body.get("channels"), self.family)
        self.configs.connect(self._config(request), channels)
        return _done()

    async def state(self, request: web.Request) -> web.Response:
        state = (await read_object(request, self.family)).get("state")
        if type(state) is not int or state not in (0, 1):
            raise Refused(self.family, "bad state")
        self.configs.change(self._config(request)["id"], active=state)
        return _done()

    async def enable(self, request: web.Request) -> web.Response:
        return self._enable(request, True)

    async def disable(self, request: web.Request) -> web.Response:
        return self._enable(request, False)

    def _enable(self, request: web.Request, active: bool) -> web.Response:
        config = self._config(request)
        self.configs.change(config["id"], active=active)
        return _json(self._shown(self._config(request)))

    async def remove(self, request: web.Request) -> web.Response:
        self.configs.remove(_domain(request), request.match_info["id"])
        return web.Response(status=204)

    async def channels(self, request: web.Request) -> web.Response:
        found = self.configs.all_channels(_domain(request))
        shown = {"total": len(found), "offset": 0, "limit": len(found), "channels": found}
        return _json(shown)

    async def add_channel(self, request: web.Request) -> web.Response:
        body = await read_object(request, self.family)
        fields, metadata = texts(body, ("id", "name"), self.family), body.get("metadata")
        if metadata is not None and not isinstance(metadata, dict):
            raise Refused(self.family, "malformed", "metadata: expected an object")
        channel = fields["id"] or new_id()
        self.configs.add_channel(_domain(request), channel, fields["name"], metadata)
        where = {"Content-Type": JSON, "Location": f"/channels/{channel}"}
        return web.Response(status=201, headers=where)


def _domain(request: web.Request) -> str:
    return request.match_info.get("domain", "")


def _json(value: Any) -> web.Response:
    return web.Response(body=answers.go_json(value) + b"\n", headers={"Content-Type": JSON})


def _done() -> web.Response:
    return web.Response(headers={"Content-Type": JSON})
