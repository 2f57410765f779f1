"""The operator's side of a development server's Murano products; a part of `client.Client`."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

PRODUCTS = "/api/dev/murano/products"


class MuranoClient:
    """Each call may raise `client.ServerError`, or OSError if nobody answers."""

    call: Callable[..., Any]  # of `client.Client`

    def add_product(self, name: str = "lab", auth: str = "token", **fields: Any) -> str:
        """Make a product, which listens at once. Returns its URL.

        fields: those of `murano_product.Product`; what is None is as if it were not there.
        """
        fields = {field: _plain(value) for field, value in fields.items() if value is not None}
        return self.call("POST", PRODUCTS, {"name": name, "auth": auth, **fields})["url"]

    def products(self) -> list[dict[str, Any]]:
        return self.call("GET", PRODUCTS)

    def product(self, name: str) -> dict[str, Any]:
        """All fields, and the url."""
        return self.call("GET", _product(name))

    def change_product(self, name: str, **fields: Any) -> None:
        """Change the whitelist, the resources or a quirk."""
        changes = {field: _plain(value) for field, value in fields.items()}
        self.call("PATCH", _product(name), changes)

    # Identities

    def identities(self, product: str) -> list[dict[str, str]]:
        """identity and state of each: "whitelisted", or "provisioned": it has credentials."""
        return self.call("GET", f"{_product(product)}/identities")

    def allow(self, product: str, identity: str) -> None:
        """Put an identity on the whitelist."""
        self.call("PUT", _identity(product, identity))

    def reset_identity(self, product: str, identity: str) -> None:
        """Take an identity's credentials away; it may be activated again."""
        self.call("DELETE", f"{_identity(product, identity)}/credentials")

    def events(self, product: str, identity: str) -> list[dict[str, Any]]:
        """type ("provisioned", "data_in", "content_in"), at (microseconds since 1970), and what
        it was about: aliases; id, size and tags. Oldest first."""
        return self.call("GET", f"{_identity(product, identity)}/events")

    # Resources

    def resources(self, product: str, identity: str) -> dict[str, str]:
        """The values of all resources that have one, by alias."""
        return self.call("GET", f"{_identity(product, identity)}/resources")

    def set_resource(self, product: str, identity: str, alias: str, value: str) -> None:
        """Set a resource; whoever waits for it is woken."""
        self.call("PUT", _resource(product, identity, alias), {"value": value})

    def history(self, product: str, identity: str, alias: str) -> list[list[Any]]:
        """[microseconds since 1970, value] of all that the device wrote or recorded, in order
        of time; not what `set_resource` did."""
        return self.call("GET", f"{_resource(product, identity, alias)}/history")

    # Content

    def add_content(
        self,
        product: str,
        id: str,
        data: bytes | Path,
        type: str = "application/octet-stream",
        description: str = "",
    ) -> None:
        """Put a file there for the product's devices, in place of one with the same id."""
        body = data.read_bytes() if isinstance(data, Path) else data
        query = urlencode({"id": id, "type": type, "description": description})
        self.call("POST", f"{_product(product)}/content?{query}", body)

    def contents(self, product: str) -> list[dict[str, Any]]:
        """id, type, size, updated (seconds since 1970), description of each."""
        return self.call("GET", f"{_product(product)}/content")

    def remove_content(self, product: str, id: str) -> None:
        self.call("DELETE", f"{_product(product)}/content?{urlencode({'id': id})}")

    def uploads(self, product: str, identity: str) -> list[dict[str, Any]]:
        """id, type, tags and data (bytes) of what the device has sent."""
        found = self.call("GET", f"{_identity(product, identity)}/uploads")
        return [{**one, "data": base64.b64decode(one["data"])} for one in found]


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, (tuple, set)) else value


def _product(name: str) -> str:
    return f"{PRODUCTS}/{quote(name, safe='')}"


def _identity(product: str, identity: str) -> str:
    return f"{_product(product)}/identities/{quote(identity, safe='')}"


def _resource(product: str, identity: str, alias: str) -> str:
    return f"{_identity(product, identity)}/resources/{quote(alias, safe='')}"
