"""``instar artifact write|read``: Mender Artifacts, with mender-artifact's options."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from .artifact_reader import ArtifactError, ArtifactInfo, read_artifact
from .artifact_signature import SignatureError, verify
from .artifact_writer import COMPRESSIONS, ROOTFS, Content, write_artifact
from .check_cmd import check
from .slot_builder import BOARDS_OF_SLOTS, UPDATE_TAR, slot_files, slot_options, update_tar

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
APP = "micropython-app"


@click.group()
def artifact() -> None:
    """Write, read and check Mender Artifacts."""


artifact.add_command(check)


@artifact.group()
def write() -> None:
    """Write an Artifact; the options are those of mender-artifact."""


class Pair(click.ParamType):
    """KEY:VALUE, of which only the first colon separates."""

    name = "KEY:VALUE"

    def convert(self, value, param, ctx):
        key, colon, text = value.partition(":")
        if not key or not colon:
            self.fail(f"expected KEY:VALUE, got {value!r}", param, ctx)
        return key, text


def unique(ctx: click.Context, param: click.Parameter, pairs) -> dict[str, str]:
    """The pairs as a dict; a key given twice is a mistake, not a second value."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise click.BadParameter("expected each key once", ctx, param)
    return found


def meta_data(ctx: click.Context, param: click.Parameter, path: Path | None) -> dict | None:
    if path is None:
        return None
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise click.BadParameter(f"expected JSON: {error}", ctx, param) from None
    if not isinstance(content, dict):
        raise click.BadParameter("expected a JSON object", ctx, param)
    return content


def options(*decorators):
    """One decorator out of many, applied so that --help lists them in this order."""

    def apply(function):
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return apply


REQUIRED = options(
    click.option("-n", "--artifact-name", required=True, help="Name of the Artifact."),
    click.option(
        "-t",
        "--device-type",
        "--compatible-types",
        "device_types",
        required=True,
        multiple=True,
        help="Device type that it is for; can be given more than once.",
    ),
)
COMMON = options(
    click.option(
        "-o",
        "--output-path",
        type=click.Path(dir_okay=False, path_type=Path),
        default=Path("artifact.mender"),
        show_default=True,
    ),
    click.option("-N", "--artifact-name-depends", "depends_names", multiple=True),
    click.option("-G", "--depends-groups", multiple=True, help="Groups, any of which will do."),
    click.option("-g", "--provides-group", "artifact_group", help="Group that it provides."),
    click.option("-p", "--provides", type=Pair(), multiple=True, callback=unique),
    click.option("-d", "--depends", type=Pair(), multiple=True, callback=unique),
    click.option("--clears-provides", multiple=True, metavar="GLOB"),
    click.option(
        "--no-default-clears-provides", "default_clears_provides", flag_value=False, default=True
    ),
    click.option("--software-filesystem", help=f"Instead of {ROOTFS} in the version's key."),
    click.option("--software-name", help="NAME in the key rootfs-image.NAME.version."),
    click.option("--software-version", help="Instead of the Artifact's name."),
    click.option(
        "--no-default-software-version", "default_software_version", flag_value=False, default=True
    ),
    click.option(
        "--compression", type=click.Choice(list(COMPRESSIONS)), default="gzip", show_default=True
    ),
    click.option("-k", "--key", type=FILE, help="Private key (RSA or P-256, PEM) to sign with."),
    click.option(
        "--mtime", type=int, default=0, show_default=True, help="Seconds since 1970, of members."
    ),
)


@write.command(ROOTFS)
@REQUIRED
@click.option("-f", "--file", "files", type=FILE, required=True, help="The image.")
@COMMON
@click.option(
    "--no-checksum-provide",
    "checksum_provide",
    flag_value=False,
    default=True,
    help="Do not provide rootfs-image.checksum.",
)
@click.option(
    "--legacy-rootfs-image-checksum",
    "legacy_checksum",
    is_flag=True,
    help="Provide rootfs_image_checksum instead.",
)
def rootfs_image(files: Path, **fields) -> None:
    """Write an Artifact with a firmware image."""
    _write(payload_type=ROOTFS, files=[files], **fields)


@write.command("module-image")
@REQUIRED
@click.option("-T", "--type", "payload_type", required=True, help="Payload type.")
@click.option("-f", "--file", "files", type=FILE, multiple=True, help="Payload file, repeatable.")
@click.option("-m", "--meta-data", type=FILE, callback=meta_data, help="File of a JSON object.")
@COMMON
def module_image(**fields) -> None:
    """Write an Artifact of any other payload type."""
    _write(**fields)


@write.command(APP)
@REQUIRED
@click.option(
    "--app",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    required=True,
    help="Folder whose content becomes the slot: app.py and what it needs.",
)
@click.option(
    "--board",
    type=click.Choice(BOARDS_OF_SLOTS),
    help="Board without instar in its firmware: the slot holds instar for it, too.",
)
@click.option("--app-only", is_flag=True, help="For boards with instar in their firmware.")
@click.option("--source/--mpy", help="Keep modules as source, or compile them (default).")
@slot_options
@COMMON
def micropython_app(
    app: Path,
    board: str | None,
    app_only: bool,
    source: bool,
    base: str,
    parts: tuple[str, ...],
    **fields,
) -> None:
    """Write an Artifact with an application, for the other one of two application slots."""
    if bool(board) == app_only:
        raise click.UsageError("expected one of --board and --app-only: what does the slot hold?")
    try:
        data = update_tar(slot_files(board, app, source, parts, base))
    except ValueError as error:  # a name that ustar cannot hold
        raise click.ClickException(str(error)) from None
    _write(payload_type=APP, files=[Content(UPDATE_TAR, data)], **fields)


def _write(*, output_path: Path, key: Path | None, **fields) -> None:
    try:
        write_artifact(output_path, key=key.read_bytes() if key else None, **fields)
    except (ValueError, OSError) as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{output_path}: {output_path.stat().st_size} bytes")


@artifact.command()
@click.argument("file", type=FILE)
@click.option("-k", "--key", type=FILE, help="Public key (PEM) that has to match the signature.")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON instead of a table.")
def read(file: Path, key: Path | None, as_json: bool) -> None:
    """Check every sum of an Artifact and show what it says. Exit 1: it is not valid."""
    try:
        info = read_artifact(file)
        if key:
            if info.signature is None:
                raise SignatureError("expected a signed Artifact, got one without a signature")
            verify(info.manifest, info.signature, key.read_bytes())
    except (ArtifactError, SignatureError) as error:
        raise click.ClickException(f"{file}: {error}") from None
    fields = _fields(info, verified=key is not None)
    if as_json:
        click.echo(json.dumps(fields))
    else:
        Console().print(_table(file, fields))


def _fields(info: ArtifactInfo, verified: bool) -> dict:
    signature = "verified" if verified else "not verified"
    files = [vars(file) for payload in info.payloads for file in payload.files]
    return {
        "artifact_name": info.name,
        "artifact_group": info.group,
        "device_types": info.device_types,
        "payload_type": info.payloads[0].type,
        "signature": None if info.signature is None else signature,
        "compression": info.compression,
        "size": info.size,
        "files": files,
        "provides": info.provides,
        "depends": info.depends,
        "clears_provides": info.clears_provides,
        "meta_data": info.payloads[0].meta_data,
        "scripts": info.scripts,
    }


def _table(path: Path, fields: dict) -> Table:
    table = Table("field", title=str(path), title_justify="left")
    table.add_column("value", overflow="fold")  # checksums are shown whole
    for name, value in fields.items():
        if name == "files":
            for one in value:
                table.add_row("file", f"{one['name']}, {one['size']} bytes\n{one['sha256']}")
        elif isinstance(value, dict):
            table.add_row(name, "\n".join(f"{key}: {_plain(text)}" for key, text in value.items()))
        else:
            table.add_row(name, _plain(value))
    return table


def _plain(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(str(item) for item in value)
    return "-" if value is None else str(value)
