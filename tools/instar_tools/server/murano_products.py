"""Murano's products while the server runs: each is saved, and listens on its own port."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .murano import Service
from .murano_product import Product, made
from .murano_state import Store

if TYPE_CHECKING:
    from .app import Options, Server

FIRST = "lab"


class Products:
    """See the module. ``services``: by the product's name."""

    def __init__(self, server: Server) -> None:
        """
        Raises:
            ValueError: an option does not fit what is there.
        """
        self.server, self.store = server, Store(server.db)
        self.services: dict[str, Service] = {}
        self._saved = {product.name: product for product in self.store.all()}
        if server.options.murano_port is not None:
            self._saved[FIRST] = self._first(server.options, server.options.murano_port)

    def _first(self, options: Options, port: int) -> Product:
        """The product that the server's options ask for; made, or changed if it is there."""
        known = self._saved.get(FIRST)
        auth = options.murano_auth
        if known and auth not in (None, known.auth):
            raise ValueError(f"the product {FIRST} is there, with auth {known.auth}, not {auth}")
        where = {"port": port, "domain": options.murano_domain, "plain": options.plain}
        if known:
            return replace(known, **where)
        return Product(FIRST, auth or "token", **where)

    async def start(self) -> None:
        """Listen for all products that there are.

        Raises:
            OSError: a port is taken.
        """
        for product in self._saved.values():
            await self._listen(product)

    def stop(self) -> None:
        """End the long polls, which would keep the server from stopping."""
        for service in self.services.values():
            service.resources.close()

    async def add(self, given: dict[str, Any]) -> Product:
        """Make a product, and listen.

        Raises:
            ValueError: a field is not understood. KeyError: the name is taken.
            OSError: the port is.
        """
        given = {"plain": self.server.options.plain, **given}
        product = made({name: value for name, value in given.items() if name != "listens"})
        if product.name in self.services:
            raise KeyError(product.name)
        return await self._listen(product)

    async def _listen(self, product: Product) -> Product:
        service = Service(self.server, product)
        port = await self._bound(service)
        service.product = replace(product, listens=port)
        self.store.save(service.product)
        self.services[product.name] = service
        return service.product

    async def _bound(self, service: Service) -> int:
        """The port: that asked for; where it was any, the last one if it is free still."""
        product = service.product
        app, tls = service.application, service.tls()
        if product.port or not product.listens:
            return await self.server.listen(app(), product.port, tls)
        try:
            return await self.server.listen(app(), product.listens, tls)
        except OSError:
            return await self.server.listen(app(), 0, tls)

    def change(self, name: str, changes: dict[str, Any]) -> Product:
        """Give a product other settings.

        Raises:
            ValueError: see `Product.changed`. KeyError: no such product.
        """
        service = self.services[name]
        service.product = service.product.changed(changes)
        self.store.save(service.product)
        return service.product
