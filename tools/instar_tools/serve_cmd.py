"""``instar serve``: runs the development server until it is told to stop (Ctrl-C, SIGTERM)."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path

import click
from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from .server import magistrala_keys
from .server.app import Options, Server
from .server.magistrala_families import SERVED
from .server.murano_product import AUTHS
from .server.pki import LOCAL_NAMES


@click.command()
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), required=True)
@click.option("--host", "hosts", multiple=True, help="A further name or address of this machine.")
@click.option("--bind", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8443, show_default=True, help="API and management; 0: any.")
@click.option("--storage-port", default=8444, show_default=True, help="Artifacts; 0: any.")
@click.option("--bootstrap-port", default=9013, show_default=True, help="Magistrala; 0: any.")
@click.option(
    "--mutual-port", type=int, help="Demands a client certificate; 0: any. [default: off]"
)
@click.option(
    "--bootstrap-profile",
    type=click.Choice(list(SERVED)),
    default="clients",
    show_default=True,
    help="The version of the Bootstrap service.",
)
@click.option("--murano-port", default=8450, show_default=True, help="Murano; 0: any.")
@click.option(
    "--murano-auth",
    type=click.Choice(AUTHS),
    help="How Murano's devices prove who they are. [default: token, or as it was]",
)
@click.option(
    "--murano-domain",
    default="localhost",
    show_default=True,
    help="The only name by which devices may come to Murano.",
)
@click.option("--sntp-port", default=8123, show_default=True, help="Time, UDP; 0: any.")
@click.option("--sntp-offset", default=0.0, help="Seconds by which the time server is ahead.")
@click.option("--storage-host", help="Host name in download URLs. [default: as the device came]")
@click.option("--single-ca", is_flag=True, help="One CA for both ports instead of two.")
@click.option("--plain", is_flag=True, help="HTTP without TLS.")
@click.option("--accept-all", is_flag=True, help="Accept every device that asks.")
@click.option("--v2", is_flag=True, help="Serve deployments/next v2, as hosted Mender does.")
@click.option(
    "--ready-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Written, as JSON, once everything listens.",
)
def serve(ready_file: Path | None, hosts: tuple[str, ...], **options) -> None:
    """Run the development server: Mender's device and management APIs, storage, Magistrala's
    Bootstrap service and message endpoint, a product of Murano, SNTP.

    The Bootstrap service's crypto key is read from MG_BOOTSTRAP_ENCRYPT_KEY or
    SMQ_BOOTSTRAP_ENCRYPT_KEY, for Mainflux from MF_BOOTSTRAP_ENCRYPT_KEY; without it the service
    has the one that is its default everywhere.

    Murano's product is called lab; see instar product for its devices, and for more products.

    Its CAs, its keys and its state are in the folder DATA and survive a restart. For development
    and tests only.
    """
    names = [*LOCAL_NAMES, *hosts]
    key = magistrala_keys.from_environment(options["bootstrap_profile"])
    try:
        asyncio.run(_serve(Options(names=names, bootstrap_key=key, **options), ready_file))
    except OSError as error:
        raise click.ClickException(f"cannot listen: {error}") from None


async def _serve(options: Options, ready_file: Path | None) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    try:
        server = Server(options)
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    try:
        await server.start()
        Console().print(_panel(server))
        if ready_file:
            _write_whole(ready_file, json.dumps(server.ready()))
        await stop.wait()
    finally:
        await server.stop()


def _write_whole(path: Path, text: str) -> None:
    """Whoever waits for the file never sees a part of it."""
    partial = path.with_name(path.name + ".part")
    partial.write_text(text)
    os.replace(partial, path)


def _panel(server: Server) -> Panel:
    found = server.ready()
    rows = {"API": found["api"], "storage": found["storage"]}
    for name in ("bootstrap", "mutual"):
        if name in found:
            rows[name] = found[name]
    for name, url in found["murano"].items():
        rows[f"Murano {name}"] = url
    rows["SNTP"] = f"{server.options.bind}:{found['sntp_port']}/udp"
    if not server.options.plain:
        for ca in dict.fromkeys((server.ca, server.storage_ca)):
            rows[ca.name] = f"{ca.pem}\nSHA-256 {ca.fingerprint}"
    rows["token"] = f"in {server.token_file}"
    table = Table.grid(padding=(0, 2))
    for name, text in rows.items():
        table.add_row(name, Text(text, overflow="fold"))
    return Panel(table, title="instar serve", subtitle="for development only", expand=False)
