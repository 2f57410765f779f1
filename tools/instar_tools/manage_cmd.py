"""``instar device``, ``instar release``, ``instar deployment``: the management side of a server.

Each command reads the management token and the CA from the server's --data folder, so that it
runs on the server's machine or with a copy of these two files.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from .server.client import Client, ServerError


def command(group: click.Group, name: str) -> Callable:
    """A subcommand whose function gets a `Client` first and a ``show`` for its result second."""

    def decorate(function: Callable) -> click.Command:
        @group.command(name, help=function.__doc__)
        @click.option("--server", default="https://localhost:8443", show_default=True)
        @click.option("--data", type=click.Path(path_type=Path), required=True)
        @click.option("--json", "as_json", is_flag=True, help="Print JSON.")
        @functools.wraps(function)
        def run(server: str, data: Path, as_json: bool, **arguments: Any) -> None:
            show = _show_json if as_json else _show
            try:
                function(_client(server, data), show, **arguments)
            except (ServerError, OSError) as error:
                raise click.ClickException(str(error)) from None

        return run

    return decorate


def _client(server: str, data: Path) -> Client:
    token = (data / "management-token").read_text()
    return Client(server, token, data / "ca.pem" if server.startswith("https:") else None)


def _show_json(value: Any, *_: str) -> None:
    click.echo(json.dumps(value))


def _show(value: Any, *columns: str) -> None:
    """A list of objects as a table of ``columns``, one object as its fields, text as it is."""
    if isinstance(value, str):
        click.echo(value)
    elif isinstance(value, dict):
        for name, text in value.items():
            click.echo(f"{name}: {_plain(text)}")
    else:
        table = Table(*columns)
        for row in value:
            table.add_row(*(Text(_plain(row.get(column)), overflow="fold") for column in columns))
        Console().print(table)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else json.dumps(value)


@click.group()
def device() -> None:
    """Devices: who asked, who is accepted."""


@command(device, "list")
@click.option("--status", type=click.Choice(["accepted", "pending", "rejected", "preauthorized"]))
def list_devices(client: Client, show: Callable, status: str | None) -> None:
    """List devices."""
    show(client.devices(status), "id", "status", "identity_data", "created_ts")


@command(device, "show")
@click.argument("id")
def show_device(client: Client, show: Callable, id: str) -> None:
    """Show a device and its inventory."""
    show({**client.device(id), "inventory": client.inventory(id)})


@command(device, "accept")
@click.argument("id", required=False)
@click.option("--all", "everyone", is_flag=True, help="Every pending device.")
def accept(client: Client, show: Callable, id: str | None, everyone: bool) -> None:
    """Accept a device, or all that are pending."""
    if bool(id) == everyone:
        raise click.UsageError("expected one device's ID, or --all")
    if id:
        client.decide(id, "accepted")
    accepted = [id] if id else client.accept_all()
    show([{"id": device, "status": "accepted"} for device in accepted], "id", "status")


@command(device, "reject")
@click.argument("id")
def reject(client: Client, show: Callable, id: str) -> None:
    """Reject a device: its token is worth nothing from now on."""
    client.decide(id, "rejected")
    show({"id": id, "status": "rejected"})


@command(device, "decommission")
@click.argument("id")
def decommission(client: Client, show: Callable, id: str) -> None:
    """Forget a device; when it asks again it is a new one."""
    client.decommission(id)
    show({"id": id, "status": "decommissioned"})


@click.group()
def release() -> None:
    """Releases: the Artifacts on the server."""


@command(release, "upload")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--description", default="")
def upload(client: Client, show: Callable, file: Path, description: str) -> None:
    """Upload an Artifact; the server checks all its sums."""
    show({"id": client.upload(file, description)})


@command(release, "list")
def list_releases(client: Client, show: Callable) -> None:
    """List Artifacts."""
    show(client.releases(), "name", "device_types_compatible", "size", "id", "description")


@click.group()
def deployment() -> None:
    """Deployments: a release, for some devices."""


@command(deployment, "create")
@click.option("--artifact", required=True, help="The Artifact's name.")
@click.option("--device", "devices", multiple=True, help="A device's id; may be repeated.")
@click.option("--all", "everyone", is_flag=True, help="Every accepted device.")
@click.option("--force", is_flag=True, help="Also where it is installed already.")
def create(
    client: Client,
    show: Callable,
    artifact: str,
    devices: tuple[str, ...],
    everyone: bool,
    force: bool,
) -> None:
    """Create a deployment."""
    if bool(devices) == everyone:
        raise click.UsageError("expected --device ID (one or more), or --all")
    show({"id": client.deploy(artifact, list(devices), force)})


@command(deployment, "list")
def list_deployments(client: Client, show: Callable) -> None:
    """List deployments."""
    show(client.deployments(), "id", "artifact_name", "status", "device_count", "created")


@command(deployment, "show")
@click.argument("id")
def show_deployment(client: Client, show: Callable, id: str) -> None:
    """Show a deployment, its devices and what they reported."""
    show({**client.deployment(id), "history": client.deployment_history(id)})


@command(deployment, "abort")
@click.argument("id")
def abort(client: Client, show: Callable, id: str) -> None:
    """Abort a deployment: devices that are not done are told so at their next report."""
    client.abort(id)
    show({"id": id, "status": "aborted"})


@command(deployment, "log")
@click.argument("id")
@click.option("--device", help="The device's id; needed where there is more than one.")
def log(client: Client, show: Callable, id: str, device: str | None) -> None:
    """Show the log that a device sent after a failure."""
    logged = [found["id"] for found in client.deployment(id)["devices"] if found["log"]]
    if device is None and len(logged) != 1:
        raise click.ClickException(f"expected --device, one of: {', '.join(logged) or 'none'}")
    show(client.log(id, device or logged[0]), "timestamp", "level", "message")
