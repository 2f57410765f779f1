"""``instar murano``: speak with an Exosite Murano product as a device of it does.

The board's own client does it, under MicroPython: see ``board/murano.py``. Here are the commands
around it; ``murano_desk.py`` runs it, ``murano_content_cmd.py`` has the commands for content,
``murano_options.py`` those options that all have.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import contextlib
import csv
import sys
import time
from collections.abc import Iterable, Iterator
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import click
from cryptography.hazmat.primitives.serialization import Encoding

from .board_code import NotChecked
from .factory import FILE, read_certificates
from .murano_content_cmd import content
from .murano_desk import Refused, Silent
from .murano_options import Product, murano_options, read_private_key
from .murano_trace import printable

_LONGEST_WAIT = 300  # seconds: of one long poll
_LATEST = Decimal(10) ** 11  # seconds: a time in milliseconds is a mistake


class Assignment(click.ParamType):
    """ALIAS=VALUE."""

    name = "ALIAS=VALUE"

    def convert(self, value, param, ctx):
        if isinstance(value, tuple):
            return value
        alias, equals, text = value.partition("=")
        if not alias or not equals:
            self.fail("expected ALIAS=VALUE", param, ctx)
        return alias, text


@click.group()
@murano_options
def murano() -> None:
    """Speak with a Murano product as a device of it does.

    What needs credentials activates the identity first where none are kept yet. A token is shown
    once by the server: it is kept in the folder --state, as a board does. A token or a password
    that is known already comes from the environment, INSTAR_MURANO_TOKEN or
    INSTAR_MURANO_PASSWORD, or with --ask from the terminal; without, a password is made.

    Exit 0: done, 1: the server refuses, 2: wrong usage, 3: no answer.
    """


murano.add_command(content)


@murano.command()
@click.pass_obj
def activate(product: Product) -> None:
    """Provision the identity, and keep what it authenticates with."""
    _provision(product, "activate")


@murano.command()
@click.option("--new-cert", type=FILE, help="Of a certificate product: the next one, PEM or DER.")
@click.option("--new-key", type=FILE, help="Its key, PEM or DER.")
@click.pass_obj
def reprovision(product: Product, new_cert: Path | None, new_key: Path | None) -> None:
    """New credentials in place of those in use, which are worth nothing after."""
    pair = {"certificate": None, "key": None}
    if product.auth == "certificate":
        if not new_cert or not new_key:
            raise click.UsageError("a certificate product needs --new-cert and --new-key")
        certificate = read_certificates(new_cert)[0].public_bytes(Encoding.PEM).decode()
        pair = {"certificate": certificate, "key": read_private_key(new_key).hex()}
    elif new_cert or new_key:
        raise click.UsageError("--new-cert and --new-key are for --auth certificate")
    _provision(product, "reprovision", **pair)


def _provision(product: Product, command: str, **options: Any) -> None:
    found = {"identity": product.identity, "state": str(product.state)}
    for one in product.run(command, show=product.show_token, **options):
        found |= one
    product.tell(found, f"{product.identity} is provisioned; kept in {product.state}")
    if "secret" in found and not product.as_json:
        click.echo(found["secret"])


@murano.command()
@click.argument("values", nargs=-1, required=True, type=Assignment())
@click.pass_obj
def write(product: Product, values: tuple[tuple[str, str], ...]) -> None:
    """Write resources, all at one time."""
    list(product.run("write", values=values))
    product.tell({"written": len(values)}, "written")


@murano.command()
@click.argument("aliases", nargs=-1, required=True)
@click.pass_obj
def read(product: Product, aliases: tuple[str, ...]) -> None:
    """Read the latest values of resources."""
    (found,) = product.run("read", aliases=aliases)
    _show_values(product, found, aliases)


@murano.command("read-write")
@click.argument("words", nargs=-1, required=True, metavar="(ALIAS=VALUE | ALIAS)...")
@click.pass_obj
def read_write(product: Product, words: tuple[str, ...]) -> None:
    """Write resources, then read others, in one request."""
    values = [word.partition("=")[::2] for word in words if "=" in word]
    aliases = [word for word in words if "=" not in word]
    if not values or not aliases:
        raise click.UsageError("expected at least one ALIAS=VALUE to write, and one ALIAS to read")
    (found,) = product.run("read_write", values=values, aliases=aliases)
    _show_values(product, found, aliases)


def _show_values(product: Product, found: dict[str, str], aliases: Iterable[str]) -> None:
    if product.as_json:
        product.tell(found)
        return
    for alias in aliases:
        if alias in found:
            click.echo(f"{printable(alias)}={printable(found[alias])}")
        else:
            click.echo(f"{printable(alias)}: no value, or no such resource", err=True)


@murano.command()
@click.argument("alias")
@click.option("--seconds", type=click.IntRange(1, _LONGEST_WAIT), default=30, show_default=True)
@click.option("--since", help="Values from this time on, too: as the server gave it, or seconds.")
@click.option("--follow", is_flag=True, help="The value there is, and each one after it.")
@click.pass_obj
def wait(product: Product, alias: str, seconds: int, since: str | None, follow: bool) -> None:
    """Wait for a new value of a resource (a long poll)."""
    if follow:
        if since:
            raise click.UsageError("--follow begins with the value there is: not with --since")
        _follow(product, alias, seconds)
        return
    found = list(product.run("wait", alias=alias, seconds=seconds, since=since))
    for one in found:
        product.tell({"alias": alias, **one}, printable(one["value"]))
        click.echo(f"modified: {printable(one['modified']) or 'unknown'}", err=True)
    if not found:
        product.tell({"alias": alias, "value": None})
        click.echo(f"no new value within {seconds} s", err=True)


def _follow(product: Product, alias: str, seconds: int) -> None:
    # Until Ctrl-C, which is no failure here.
    with contextlib.suppress(KeyboardInterrupt):
        for one in product.run("follow", alias=alias, seconds=seconds):
            if "problem" in one:
                click.echo(printable(one["problem"]), err=True)
            else:
                product.tell({"alias": alias, **one}, printable(one["value"]))


@murano.command()
@click.argument("alias", required=False)
@click.argument("value", required=False)
@click.option("--time", "moment", help="Seconds since 1970, up to six decimals; now if not given.")
@click.pass_obj
def record(product: Product, alias: str | None, value: str | None, moment: str | None) -> None:
    """Record a value of the past; without arguments those of a CSV: alias,time,value."""
    if alias is not None and value is not None:
        moment_us = time.time_ns() // 1000 if moment is None else _microseconds(moment)
        entries = [(alias, value, moment_us)]
    elif alias is None and moment is None:
        entries = list(_entries())
    else:
        raise click.UsageError("expected ALIAS VALUE, or nothing and a CSV on stdin")
    _record(product, entries)


def _record(product: Product, entries: list[tuple[str, str, int]]) -> None:
    """Tells what was recorded before it raises what went wrong."""
    taken, conflicts, failed = 0, [], None
    try:
        for one in product.run("record", entries=entries) if entries else ():
            taken += one["recorded"]
            conflicts += one["conflicts"]
    except (Refused, Silent, NotChecked) as error:
        failed = error
    product.tell({"recorded": taken, "conflicts": conflicts}, f"recorded: {taken}")
    if conflicts:
        known = ", ".join(f"{name} at {stamp}" for name, stamp in conflicts)
        refused = Refused(f"there is a value of that time already: {printable(known)}")
        if failed:
            refused.show()
        failed = failed or refused
    if failed:
        raise failed


def _entries() -> Iterator[tuple[str, str, int]]:
    rows = csv.reader(sys.stdin, strict=True)
    try:
        for row in rows:
            if not row:
                continue
            if len(row) != 3:
                text = f"line {rows.line_num}: expected alias,time,value, got {len(row)} fields"
                raise click.UsageError(text)
            yield row[0], row[2], _microseconds(row[1])
    except (csv.Error, UnicodeDecodeError) as error:
        raise click.UsageError(f"line {rows.line_num}: expected CSV: {error}") from None


def _microseconds(text: str) -> int:
    try:
        seconds = Decimal(text)
        if 0 <= seconds < _LATEST and seconds == round(seconds, 6):
            return int(seconds * 10**6)
    except InvalidOperation:
        pass
    expected = "expected seconds since 1970, with up to six decimals"
    raise click.UsageError(f"time: {expected}, got {printable(text)[:40]}")


@murano.command()
@click.pass_obj
def timestamp(product: Product) -> None:
    """The server's time, in seconds since 1970; needs no credentials."""
    (found,) = product.run("timestamp")
    product.tell({"timestamp": found}, str(found))
