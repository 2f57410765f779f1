"""The operator's side of Murano's products, below /api/dev/murano/, for the management token."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from aiohttp import web

from .answers import Refusal, answer_json, empty
from .management import found_or_404, read_object
from .murano import Service
from .murano_client import PRODUCTS
from .murano_data import VALUE_LIMIT

if TYPE_CHECKING:
    from .app import Server

CONTENT_LIMIT = 64 << 20


def routes(server: Server) -> list[web.RouteDef]:
    api = Manage(server)
    product = PRODUCTS + "/{product}"
    identity = product + "/identities/{identity}"
    return [
        web.get(PRODUCTS, api.products),
        web.post(PRODUCTS, api.add_product),
        web.get(product, api.product),
        web.patch(product, api.change_product),
        web.get(product + "/identities", api.identities),
        web.put(identity, api.allow),
        web.delete(identity + "/credentials", api.reset),
        web.get(identity + "/resources", api.resources),
        web.put(identity + "/resources/{alias}", api.set_resource),
        web.get(identity + "/resources/{alias}/history", api.history),
        web.get(identity + "/events", api.events),
        web.get(identity + "/uploads", api.uploads),
        web.get(product + "/content", api.contents),
        web.post(product + "/content", api.add_content),
        web.delete(product + "/content", api.remove_content),
    ]


class Manage:
    def __init__(self, server: Server) -> None:
        self.server = server

    def _service(self, request: web.Request) -> Service:
        name = request.match_info["product"]
        return found_or_404(self.server.murano.services.get(name), f"product {name!r}")

    def _identity(self, request: web.Request) -> tuple[Service, str]:
        """One that is known; reading needs none, an unknown one has nothing."""
        service, identity = self._service(request), request.match_info["identity"]
        found_or_404(service.identities.is_known(identity), f"identity {identity!r}")
        return service, identity

    # Products

    async def products(self, request: web.Request) -> web.Response:
        found = self.server.murano.services.values()
        return answer_json([service.product.shown() for service in found])

    async def add_product(self, request: web.Request) -> web.Response:
        try:
            product = await self.server.murano.add(await read_object(request))
        except ValueError as error:
            raise Refusal(400, str(error)) from None
        except KeyError as error:
            raise Refusal(409, f"product {error} already exists") from None
        except OSError as error:
            raise Refusal(409, f"cannot listen: {error}") from None
        return answer_json(product.shown(), 201)

    async def product(self, request: web.Request) -> web.Response:
        return answer_json(self._service(request).product.shown())

    async def change_product(self, request: web.Request) -> web.Response:
        name, changes = self._service(request).product.name, await read_object(request)
        try:
            return answer_json(self.server.murano.change(name, changes).shown())
        except ValueError as error:
            raise Refusal(400, str(error)) from None

    # Identities

    async def identities(self, request: web.Request) -> web.Response:
        return answer_json(self._service(request).identities.list())

    async def allow(self, request: web.Request) -> web.Response:
        self._service(request).identities.allow(request.match_info["identity"])
        return empty(204)

    async def reset(self, request: web.Request) -> web.Response:
        service, identity = self._identity(request)
        service.identities.reset(identity)
        return empty(204)

    async def events(self, request: web.Request) -> web.Response:
        service, identity = self._service(request), request.match_info["identity"]
        return answer_json(service.identities.events(identity))

    # Resources

    async def resources(self, request: web.Request) -> web.Response:
        service, identity = self._service(request), request.match_info["identity"]
        return answer_json(service.resources.all(identity))

    async def set_resource(self, request: web.Request) -> web.Response:
        service, identity = self._identity(request)
        alias, value = request.match_info["alias"], (await read_object(request)).get("value")
        found_or_404(alias in service.product.resources, f"resource {alias!r}")
        if not isinstance(value, str):
            raise Refusal(400, "expected value, a string")
        if len(raw := value.encode(errors="replace")) > VALUE_LIMIT:
            raise Refusal(413, f"expected at most {VALUE_LIMIT} bytes, got {len(raw)}")
        service.resources.set(identity, {alias: raw})
        return empty(204)

    async def history(self, request: web.Request) -> web.Response:
        service, identity = self._service(request), request.match_info["identity"]
        return answer_json(service.resources.history(identity, request.match_info["alias"]))

    # Content

    async def contents(self, request: web.Request) -> web.Response:
        return answer_json(self._service(request).files.list())

    async def add_content(self, request: web.Request) -> web.Response:
        files, fields = self._service(request).files, _content_fields(request)
        data = bytearray()
        # Not request.read(): the API's limit on a body is smaller than a firmware image.
        async for chunk in request.content.iter_any():
            data += chunk
            if len(data) > CONTENT_LIMIT:
                raise Refusal(413, f"expected at most {CONTENT_LIMIT} bytes")
        files.add("", fields["id"], bytes(data), fields["type"], fields["description"])
        return empty(204)

    async def remove_content(self, request: web.Request) -> web.Response:
        id = request.query.get("id", "")
        found_or_404(self._service(request).files.remove(id), f"content {id!r}")
        return empty(204)

    async def uploads(self, request: web.Request) -> web.Response:
        service, identity = self._service(request), request.match_info["identity"]
        found = service.files.uploads(identity)
        return answer_json(
            [{**one, "data": base64.b64encode(one["data"]).decode()} for one in found]
        )


def _content_fields(request: web.Request) -> dict[str, Any]:
    """id, type and description; each is a part of one line of an answer or of its head."""
    wanted = {"id": "", "type": "application/octet-stream", "description": ""}
    fields = {name: request.query.get(name, text) for name, text in wanted.items()}
    if not fields["id"] or not fields["type"]:
        raise Refusal(400, "expected an id and a type")
    if any(not text.isprintable() for text in fields.values()) or "," in fields["type"]:
        raise Refusal(400, "expected printable text, and no comma in the type")
    return fields
