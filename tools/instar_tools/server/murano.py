"""Murano's device API: one product, which is one domain and one listener.

Who comes by another name than the product's domain, in SNI or in Host, gets no answer: the
connection is closed. `murano_products` keeps the products and runs them.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import ssl
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from aiohttp import web

from . import faults, recorder
from .murano_access import Access
from .murano_content import Content, Download
from .murano_data import Data
from .murano_files import Files
from .murano_form import Refused
from .murano_product import Product
from .murano_resources import Resources
from .murano_state import Identities

if TYPE_CHECKING:
    from .app import Server

BODY_LIMIT = 16 << 20  # of an upload
_ALIAS = "/onep:v1/stack/alias"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Service:
    """One product at work: its state, and who answers for it."""

    def __init__(self, server: Server, product: Product) -> None:
        self.server, self.product = server, product
        self.identities = Identities(server.db, product.name)
        self.resources = Resources(server.db, product.name)
        self.files = Files(server.db, product.name, server.options.data / "murano")
        self.access = Access(self)

    def application(self) -> web.Application:
        app = web.Application(client_max_size=BODY_LIMIT, middlewares=[_around(self)])
        data, content = Data(self), Content(self)
        app.add_routes(
            [
                web.post("/provision/activate", self.access.activate),
                web.get("/provision/download", content.download, allow_head=False),
                web.put("/onep:v1/content/{id:.+}", content.upload),
                web.get(_ALIAS, data.read, allow_head=False),
                web.post(_ALIAS, data.write),
                web.post("/onep:v1/stack/record", data.record),
                web.get("/timestamp", _timestamp, allow_head=False),
            ]
        )
        app.on_response_prepare.append(_dressed)
        return app

    def tls(self) -> ssl.SSLContext | None:
        if self.product.plain:
            return None
        ca, options = self.server.ca, self.server.options
        context = ca.server_context([self.product.domain], options.validity)
        if self.product.auth == "certificate":
            ca.demand(context)
        context.sni_callback = self._check_sni
        return context

    def _check_sni(self, _: ssl.SSLObject, name: str | None, __: ssl.SSLContext) -> int | None:
        # asyncio drops the connection before this alert could be sent.
        return None if self.is_mine(name or "") else ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME

    def is_mine(self, name: str) -> bool:
        return name.lower() == self.product.domain.lower()


async def _timestamp(request: web.Request) -> web.Response:
    return web.Response(text=str(int(time.time())))


async def _dressed(request: web.Request, answer: web.StreamResponse) -> None:
    """The headers of Murano's answers. aiohttp does not let a body have both lengths; here the
    head is as good as written, and the body will be chunked."""
    answer.headers["Server"] = "Murano"
    if answer.keep_alive:
        answer.headers["Connection"] = "Keep-Alive"
    if isinstance(answer, Download) and answer.also_length is not None:
        answer.headers["Content-Length"] = str(answer.also_length)


def _around(service: Service) -> Callable:
    """What surrounds every handler of one product."""
    server, host = service.server, f"murano:{service.product.name}"

    @web.middleware
    async def around(request: web.Request, handler: Handler) -> web.StreamResponse:
        entry = server.recorder.note(request, host)
        if not service.is_mine(request.headers.get("Host", "").partition(":")[0]):
            return faults.hang_up(request)
        return await recorder.watched(
            server.faults, entry, request, lambda r: _guarded(r, handler), _too_large
        )

    return around


async def _guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
    """``handler``, with refusals and the router's errors as short texts."""
    try:
        return await handler(request)
    except Refused as refused:
        return web.Response(status=refused.status, text=refused.text)
    except web.HTTPException as error:
        return web.Response(status=error.status, text=error.reason)


def _too_large() -> web.Response:
    return web.Response(status=413, text=f"at most {BODY_LIMIT} bytes")
