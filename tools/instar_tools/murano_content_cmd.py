"""``instar murano content``: list, download and upload a product's files, as a device does."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

import click

from .factory import FILE
from .murano_options import Product
from .murano_trace import printable


class Span(click.ParamType):
    """a-b, a- or -n: bytes, from 0 on, both ends included; the last n."""

    name = "a-b|a-|-n"

    def convert(self, value, param, ctx):
        if isinstance(value, dict):
            return value
        found = re.fullmatch(r"([0-9]{0,10})-([0-9]{0,10})", value)
        if not found or value == "-":
            self.fail("expected a-b, a- or -n", param, ctx)
        first, last = (int(text) if text else None for text in found.groups())
        if first is None:
            return {"suffix": last}
        if last is not None and last < first:
            self.fail("expected the second number to be no less than the first", param, ctx)
        return {"first": first} if last is None else {"first": first, "last": last}


class Tag(click.ParamType):
    """NAME=VALUE; a value that is JSON goes as that, other text as text."""

    name = "NAME=VALUE"

    def convert(self, value, param, ctx):
        if isinstance(value, tuple):
            return value
        name, equals, text = value.partition("=")
        if not name or not equals:
            self.fail("expected NAME=VALUE", param, ctx)
        try:
            return name, json.loads(text)
        except (ValueError, RecursionError):
            return name, text


@click.group()
def content() -> None:
    """The product's files, and this device's own."""


@content.command("list")
@click.pass_obj
def list_(product: Product) -> None:
    """The ids of what there is."""
    (found,) = product.run("contents")
    product.tell(found, "\n".join(printable(id) for id in found) if found else None)


@content.command()
@click.argument("id")
@click.pass_obj
def info(product: Product, id: str) -> None:
    """Type, size, time of the last change and description."""
    (found,) = product.run("info", id=id)
    lines = [f"{name}: {printable(str(value))}" for name, value in found.items()]
    product.tell({"id": id, **found}, "\n".join(lines))


@content.command()
@click.argument("id")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path, allow_dash=True),
    help="Where to write it, - for stdout; if not given, the last part of ID, here.",
)
@click.option("--range", "span", type=Span(), default={}, help="Only these bytes of it.")
@click.pass_obj
def get(product: Product, id: str, output: Path | None, span: dict) -> None:
    """Download one, checked against its size; the file appears when it is whole."""
    if str(output) == "-":
        with tempfile.NamedTemporaryFile() as whole:
            list(product.run("download", id=id, file=whole.name, mode="wb", range=span))
            shutil.copyfileobj(whole, sys.stdout.buffer)
        return
    output = output or Path(Path(id).name)
    folder = output.absolute().parent
    if not output.name or not folder.is_dir():
        raise click.UsageError(f"{click.format_filename(output)}: expected a file in a folder")
    part = tempfile.NamedTemporaryFile(dir=folder, prefix=f".{output.name}.", delete=False)
    try:
        part.close()
        os.chmod(part.name, 0o666 & ~_umask())
        (found,) = product.run("download", id=id, file=part.name, mode="wb", range=span)
        os.replace(part.name, output)
    finally:
        Path(part.name).unlink(missing_ok=True)
    product.tell(
        {"id": id, "file": str(output), **found},
        f"{click.format_filename(output)}: {found['bytes']} bytes, SHA-256 {found['sha256']}",
    )


def _umask() -> int:
    now = os.umask(0)
    os.umask(now)
    return now


@content.command()
@click.argument("id")
@click.argument("file", type=FILE)
@click.option("--type", "kind", help="Media type, like text/plain.")
@click.option("--tag", "tags", type=Tag(), multiple=True, help="May be repeated.")
@click.pass_obj
def put(
    product: Product, id: str, file: Path, kind: str | None, tags: tuple[tuple[str, object], ...]
) -> None:
    """Upload a file: this device alone can download it again."""
    size = file.stat().st_size
    list(product.run("upload", id=id, file=file, mode="rb", type=kind, tags=dict(tags)))
    product.tell({"id": id, "bytes": size}, f"{printable(id)}: {size} bytes")
