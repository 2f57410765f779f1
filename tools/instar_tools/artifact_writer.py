"""Writes Mender Artifacts (format version 3), byte for byte the same for the same input.

    write_artifact(
        Path("v2.mender"), artifact_name="v2", device_types=["esp32"],
        payload_type="rootfs-image", files=[Path("firmware.bin")],
    )

The shape is that of mender-artifact: POSIX ustar (pax only for names over 100 bytes), mode 0600,
two zero blocks at the end, gzip without name and time. Times are 0 unless `mtime` says otherwise.

The format: https://github.com/mendersoftware/mender-artifact/blob/master/Documentation/
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import shutil
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, NamedTuple

from .artifact_signature import sign

ROOTFS = "rootfs-image"
COMPRESSIONS = {"gzip": ".gz", "none": ""}
_BLOCK = 512
_SPOOL = 8 << 20  # bytes kept in memory before a temporary file is used
_MAX_STRING = 256
_FILE_NAME = re.compile(r"[A-Za-z0-9_.,-]+")
_VERSION = b'{"format":"mender","version":3}'


class Content(NamedTuple):
    """A payload file that is not on the disk."""

    name: str
    data: bytes


@dataclass(frozen=True, kw_only=True)
class Release:
    """What an Artifact says and holds.

    Names are at most 256 bytes and printable; file names have letters, digits and ``.,_-``.
    ``payload_type`` None is an Artifact that changes provides only. The ``software_*`` fields and
    ``default_*`` switches shape what is provided and cleared by default, as mender-artifact's
    options of those names do.
    """

    artifact_name: str
    device_types: Sequence[str]
    payload_type: str | None
    files: Sequence[Path | Content] = ()
    artifact_group: str | None = None
    depends_names: Sequence[str] = ()
    depends_groups: Sequence[str] = ()
    provides: Mapping[str, str] = field(default_factory=dict)
    depends: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    clears_provides: Sequence[str] = ()
    meta_data: Mapping | None = None
    software_filesystem: str | None = None
    software_name: str | None = None
    software_version: str | None = None
    default_software_version: bool = True
    default_clears_provides: bool = True
    checksum_provide: bool = True
    legacy_checksum: bool = False

    def __post_init__(self) -> None:
        groups = [self.artifact_group] if self.artifact_group is not None else []
        types = [self.payload_type] if self.payload_type is not None else []
        for name in (self.artifact_name, *self.device_types, *groups, *types):
            if not 0 < len(name.encode()) <= _MAX_STRING or not name.isprintable():
                raise ValueError(f"expected 1 to {_MAX_STRING} printable bytes, got {name!r}")
        if not self.device_types:
            raise ValueError("expected at least one device type, got none")
        if self.payload_type == ROOTFS and len(self.files) != 1:
            raise ValueError(f"expected one file for a {ROOTFS}, got {len(self.files)}")
        if self.payload_type is None and (self.files or self.meta_data):
            raise ValueError("expected neither files nor meta-data without a payload type")
        _check_file_names([file.name for file in self.files])


def write_artifact(
    path: Path,
    *,
    compression: str = "gzip",
    key: bytes | None = None,
    mtime: int = 0,
    **release,
) -> None:
    """Write the Artifact that `release`, the fields of `Release`, describes.

    Args:
        compression: "gzip" or "none".
        key: a private key in PEM that signs the manifest: RSA, or P-256.
        mtime: seconds since 1970 for every member.

    Raises:
        ValueError: a field cannot be in an Artifact, or the key cannot sign one.
        OSError: a file cannot be read or written.
    """
    what = Release(**release)
    suffix = COMPRESSIONS[compression]
    sums = {f"data/0000/{file.name}": _sum(file) for file in what.files}
    with ExitStack() as stack:
        header = stack.enter_context(tempfile.SpooledTemporaryFile(_SPOOL))
        data = stack.enter_context(tempfile.SpooledTemporaryFile(_SPOOL))
        with _packed(header, suffix) as tar:
            _write_header(tar, what, sums, mtime)
        with _packed(data, suffix) as tar:
            _write_files(tar, what.files, mtime)
        sums[f"header.tar{suffix}"] = _sum_of(header)
        sums["version"] = hashlib.sha256(_VERSION).hexdigest()
        manifest = "".join(f"{digest}  {name}\n" for name, digest in sums.items()).encode()
        signature = sign(manifest, key) if key is not None else None
        out = stack.enter_context(open(path, "wb"))
        _add_bytes(out, "version", _VERSION, mtime)
        _add_bytes(out, "manifest", manifest, mtime)
        if signature is not None:
            _add_bytes(out, "manifest.sig", signature, mtime)
        _add(out, f"header.tar{suffix}", header, mtime)
        _add(out, f"data/0000.tar{suffix}", data, mtime)
        out.write(bytes(2 * _BLOCK))


def _write_header(tar: IO[bytes], what: Release, sums: Mapping[str, str], mtime: int) -> None:
    _add_bytes(tar, "header-info", _json(_header_info(what)), mtime)
    _add_bytes(tar, "headers/0000/type-info", _json(_type_info(what, list(sums.values()))), mtime)
    if what.meta_data:
        _add_bytes(tar, "headers/0000/meta-data", _json(what.meta_data, sort_keys=True), mtime)
    elif what.payload_type == ROOTFS:
        _add_bytes(tar, "headers/0000/meta-data", b"", mtime)
    tar.write(bytes(2 * _BLOCK))


def _write_files(tar: IO[bytes], files: Sequence[Path | Content], mtime: int) -> None:
    for file in files:
        with _open(file) as source:
            _add(tar, file.name, source, mtime)
    tar.write(bytes(2 * _BLOCK))


def _header_info(what: Release) -> dict:
    provides = {"artifact_name": what.artifact_name, "artifact_group": what.artifact_group}
    depends = {
        "artifact_name": list(what.depends_names),
        "device_type": list(what.device_types),
        "artifact_group": list(what.depends_groups),
    }
    return {
        "payloads": [{"type": what.payload_type}],
        "artifact_provides": {key: value for key, value in provides.items() if value},
        "artifact_depends": {key: value for key, value in depends.items() if value},
    }


def _type_info(what: Release, sums: Sequence[str]) -> dict:
    provides, clears = _defaults(what, sums)
    fields = {
        "artifact_depends": dict(sorted(what.depends.items())),
        "artifact_provides": dict(sorted({**provides, **what.provides}.items())),
        "clears_artifact_provides": [*what.clears_provides, *clears],
    }
    return {"type": what.payload_type, **{key: value for key, value in fields.items() if value}}


def _defaults(what: Release, sums: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """What mender-artifact provides and clears on its own: (provides, globs)."""
    provides: dict[str, str] = {}
    clears: list[str] = []
    if what.payload_type is None:
        return provides, clears
    filesystem = what.software_filesystem or ROOTFS
    name = what.software_name or ("" if what.payload_type == ROOTFS else what.payload_type)
    prefix = f"{filesystem}.{name}" if name else filesystem
    if what.default_software_version:
        provides[f"{prefix}.version"] = what.software_version or what.artifact_name
        if what.default_clears_provides:
            if prefix == ROOTFS:
                clears += ["artifact_group", "rootfs_image_checksum"]
            clears.append(f"{prefix}.*")
    if what.payload_type == ROOTFS and what.checksum_provide:
        checksum = "rootfs_image_checksum" if what.legacy_checksum else "rootfs-image.checksum"
        provides[checksum] = sums[0]
    return provides, clears


def _packed(raw: IO[bytes], suffix: str) -> AbstractContextManager[IO[bytes]]:
    """A stream to write a tar to; leaving it leaves `raw` open."""
    if suffix:
        return gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0)
    return nullcontext(raw)


def _add_bytes(tar: IO[bytes], name: str, content: bytes, mtime: int) -> None:
    _add(tar, name, io.BytesIO(content), mtime)


def _add(tar: IO[bytes], name: str, source: IO[bytes], mtime: int) -> None:
    """One member, from the whole of `source`."""
    info = tarfile.TarInfo(name)
    info.size = source.seek(0, 2)
    info.mode = 0o600
    info.mtime = mtime
    source.seek(0)
    tar.write(info.tobuf(tarfile.PAX_FORMAT))
    shutil.copyfileobj(source, tar)
    tar.write(bytes(-info.size % _BLOCK))


def _check_file_names(names: Sequence[str]) -> None:
    for name in names:
        if not _FILE_NAME.fullmatch(name) or name in (".", ".."):
            raise ValueError(f"expected a file name of letters, digits and .,_-, got {name!r}")
        if names.count(name) > 1:
            raise ValueError(f"expected each file name once, got {name!r} twice")


def _json(value: object, sort_keys: bool = False) -> bytes:
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, sort_keys=sort_keys)
    return text.encode()


def _open(file: Path | Content) -> IO[bytes]:
    return io.BytesIO(file.data) if isinstance(file, Content) else open(file, "rb")


def _sum(file: Path | Content) -> str:
    with _open(file) as source:
        return _sum_of(source)


def _sum_of(source: IO[bytes]) -> str:
    digest = hashlib.sha256()
    source.seek(0)
    while chunk := source.read(1 << 16):
        digest.update(chunk)
    return digest.hexdigest()
