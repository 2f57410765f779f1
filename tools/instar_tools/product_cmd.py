"""``instar product``: the operator's side of a development server's Murano products.

As the other management commands it reads the management token and the CA from the server's
--data folder.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from .manage_cmd import command
from .server.client import Client
from .server.murano_product import AUTHS


@click.group()
def product() -> None:
    """Murano products: their devices, resources and content.

    Devices come to a product by its domain only. Its quirks, the ways in which real servers
    differ, are listed in the documentation: lengths, range_status, dates, since, conflicts, ...
    """


def _quirks(_: click.Context, __: click.Parameter, given: tuple[str, ...]) -> dict[str, Any]:
    """NAME=VALUE; a value is JSON where it can be."""
    found = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise click.BadParameter(f"expected NAME=VALUE, got {text!r}")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found


_quirk = click.option(
    "--quirk", "quirks", multiple=True, callback=_quirks, metavar="NAME=VALUE", help="Repeatable."
)
_COLUMNS = ("name", "url", "auth", "whitelist", "resources")


@command(product, "add")
@click.argument("name")
@click.option("--auth", type=click.Choice(AUTHS), default="token", show_default=True)
@click.option("--domain", default="localhost", show_default=True)
@click.option("--port", default=0, help="0: any that is free.")
@click.option("--whitelist", is_flag=True, help="Only identities that are allowed beforehand.")
@click.option("--resource", "resources", multiple=True, help="An alias; may be repeated.")
@click.option("--plain", is_flag=True, help="Without TLS.")
@_quirk
def add(
    client: Client,
    show: Callable,
    resources: tuple[str, ...],
    plain: bool,
    quirks: dict[str, Any],
    **fields: Any,
) -> None:
    """Make a product; it listens at once."""
    given = {"resources": resources or None, "plain": plain or None}
    show({"url": client.add_product(**fields, **given, **quirks)})


@command(product, "list")
def list_products(client: Client, show: Callable) -> None:
    """List products."""
    show(client.products(), *_COLUMNS)


@command(product, "show")
@click.argument("name")
def show_product(client: Client, show: Callable, name: str) -> None:
    """Show a product, its quirks and the identities that it knows."""
    show({**client.product(name), "identities": client.identities(name)})


@command(product, "change")
@click.argument("name")
@click.option("--whitelist/--no-whitelist", default=None)
@_quirk
def change(
    client: Client, show: Callable, name: str, whitelist: bool | None, quirks: dict[str, Any]
) -> None:
    """Change the whitelist or quirks."""
    if whitelist is not None:
        quirks["whitelist"] = whitelist
    client.change_product(name, **quirks)
    show([client.product(name)], *_COLUMNS, *(quirk for quirk in quirks if quirk not in _COLUMNS))


@command(product, "define")
@click.argument("name")
@click.argument("aliases", nargs=-1, required=True)
def define(client: Client, show: Callable, name: str, aliases: tuple[str, ...]) -> None:
    """Define resources. What devices write to others is ignored."""
    known = client.product(name)["resources"]
    client.change_product(name, resources=list(dict.fromkeys([*known, *aliases])))
    show([client.product(name)], *_COLUMNS)


@command(product, "allow")
@click.argument("name")
@click.argument("identities", nargs=-1, required=True)
def allow(client: Client, show: Callable, name: str, identities: tuple[str, ...]) -> None:
    """Put identities on the whitelist."""
    for identity in identities:
        client.allow(name, identity)
    show(client.identities(name), "identity", "state")


@command(product, "reset")
@click.argument("name")
@click.argument("identity")
def reset(client: Client, show: Callable, name: str, identity: str) -> None:
    """Take an identity's credentials away, so that it may be activated again."""
    client.reset_identity(name, identity)
    show(client.identities(name), "identity", "state")


@command(product, "set")
@click.argument("name")
@click.argument("identity")
@click.argument("alias")
@click.argument("value")
def set_resource(
    client: Client, show: Callable, name: str, identity: str, alias: str, value: str
) -> None:
    """Set a resource of a device. VALUE - is read from the standard input."""
    if value == "-":
        value = sys.stdin.read()
    client.set_resource(name, identity, alias, value)
    show({alias: client.resources(name, identity)[alias]})


@command(product, "get")
@click.argument("name")
@click.argument("identity")
@click.argument("alias", required=False)
def get(client: Client, show: Callable, name: str, identity: str, alias: str | None) -> None:
    """Show a device's resources, or one of them."""
    found = client.resources(name, identity)
    if alias is not None and alias not in found:
        raise click.ClickException(f"{alias} of {identity} has no value")
    show(found if alias is None else found[alias])


@command(product, "history")
@click.argument("name")
@click.argument("identity")
@click.argument("alias")
def history(client: Client, show: Callable, name: str, identity: str, alias: str) -> None:
    """Show all that a device wrote to a resource or recorded, in order of time."""
    found = client.history(name, identity, alias)
    show([{"time": _seconds(at), "value": value} for at, value in found], "time", "value")


def _seconds(at: int) -> str:
    """Microseconds as seconds with all six digits."""
    sign, at = ("-", -at) if at < 0 else ("", at)
    return f"{sign}{at // 1_000_000}.{at % 1_000_000:06}"


@product.group("content")
def content() -> None:
    """Files for the product's devices."""


@command(content, "add")
@click.argument("name")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--id", help="[default: the file's name]")
@click.option("--type", default="application/octet-stream", show_default=True)
@click.option("--description", default="")
def add_content(
    client: Client, show: Callable, name: str, file: Path, id: str | None, **about: str
) -> None:
    """Put a file there, in place of one with the same id."""
    id = id or file.name
    client.add_content(name, id, file, **about)
    show({"id": id})


@command(content, "list")
@click.argument("name")
def list_content(client: Client, show: Callable, name: str) -> None:
    """List the files."""
    show(client.contents(name), "id", "type", "size", "updated", "description")


@command(content, "remove")
@click.argument("name")
@click.argument("id")
def remove_content(client: Client, show: Callable, name: str, id: str) -> None:
    """Remove a file."""
    client.remove_content(name, id)
    show({"id": id, "status": "removed"})


@command(product, "uploads")
@click.argument("name")
@click.argument("identity")
@click.option("--to", "folder", type=click.Path(path_type=Path, file_okay=False))
def uploads(client: Client, show: Callable, name: str, identity: str, folder: Path | None) -> None:
    """List what a device has uploaded; with --to, write it into a folder."""
    found = client.uploads(name, identity)
    for upload in found:
        data = upload.pop("data")
        upload["size"] = len(data)
        if folder:
            upload["file"] = str(_write(folder, upload["id"], data))
    columns = ("id", "type", "size", "tags", *(["file"] if folder else []))
    show(found, *columns)


def _write(folder: Path, id: str, data: bytes) -> Path:
    """A device chose the id: it must not lead out of the folder."""
    path = folder.joinpath(*(part for part in id.split("/") if part not in ("", ".", "..")))
    if path == folder:
        raise click.ClickException(f"{id!r} is no name for a file")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path
