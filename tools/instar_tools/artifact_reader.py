"""Reads and checks a Mender Artifact (version 3) on the host.

    info = read_artifact(Path("release.mender"))
    info.name, info.device_types, info.payloads[0].files

Every checksum of the manifest is compared: version and header as stored, data files unpacked. A
signature is kept, not verified. Compression: none, gzip, xz; zstd is refused. Data is streamed,
never held; of the header at most `HEADER_LIMIT` bytes are.

The format: https://github.com/mendersoftware/mender-artifact/blob/master/Documentation/
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import gzip
import hashlib
import io
import json
import lzma
import re
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

HEADER_LIMIT = 4 << 20
_CHUNK = 64 << 10
_OPENERS = {"": lambda raw: raw, ".gz": gzip.open, ".xz": lzma.open}
_SUM_LINE = re.compile(r"([0-9a-f]{64})  (\S.*)")
_DATA_MEMBER = re.compile(r"data/(\d{4})\.tar(\.\w+)?")
_UNREADABLE = (tarfile.TarError, EOFError, OSError, lzma.LZMAError, zlib.error)


class ArtifactError(ValueError):
    """The file is no valid Artifact; the message says what was expected and what came."""


@dataclass
class DataFile:
    """One file of a payload: its base name, its size in bytes, its SHA-256 in hex."""

    name: str
    size: int
    sha256: str


@dataclass
class Payload:
    """One payload: its type (None: an Artifact without payload) and what its headers say."""

    type: str | None
    type_info: dict = field(default_factory=dict)
    meta_data: dict = field(default_factory=dict)
    files: list[DataFile] = field(default_factory=list)


@dataclass
class ArtifactInfo:
    """What an Artifact says of itself; ``size`` is that of the whole file, in bytes."""

    name: str
    group: str | None
    device_types: list[str]
    depends: dict
    provides: dict
    clears_provides: list[str]
    payloads: list[Payload]
    scripts: list[str]
    compression: str
    manifest: bytes
    signature: bytes | None
    size: int


def read_artifact(path: Path) -> ArtifactInfo:
    """Read the Artifact at ``path`` to its end, checking all of its sums.

    Raises:
        ArtifactError: it is not valid.
        OSError: it cannot be opened.
    """
    with open(path, "rb") as source:
        try:
            with tarfile.open(fileobj=source, mode="r|") as tar:
                return _Reader(tar, Path(path).stat().st_size).read()
        except _UNREADABLE as error:
            raise ArtifactError(f"expected a Mender Artifact, got: {error}") from None


class _Reader:
    def __init__(self, tar: tarfile.TarFile, size: int) -> None:
        self.tar = tar
        self.size = size
        self.signature: bytes | None = None
        self.seen: set[str] = set()

    def read(self) -> ArtifactInfo:
        version = self._version()
        self.manifest = self._content(self._member("manifest"))
        self.sums = _parse_manifest(self.manifest)
        self._check("version", hashlib.sha256(version).hexdigest())
        member = self._member("manifest.sig", "header.tar", "header.tar.gz", "header.tar.xz")
        if member.name == "manifest.sig":
            self.signature = self._content(member)
            member = self._member("header.tar", "header.tar.gz", "header.tar.xz")
        info = self._header(member)
        while member := self.tar.next():
            self._data(member, info)
        if missing := sorted(set(self.sums) - self.seen):
            raise ArtifactError(f"the manifest lists {', '.join(missing)}, which never came")
        return info

    def _version(self) -> bytes:
        raw = self._content(self._member("version"))
        version = _json_object(raw, "version")
        if version.get("format") != "mender" or version.get("version") != 3:
            raise ArtifactError(f"expected a Mender Artifact of version 3, got {raw[:80]!r}")
        return raw

    def _member(self, *names: str) -> tarfile.TarInfo:
        member = self.tar.next()
        if member is None or member.name not in names:
            came = "the end" if member is None else repr(member.name)
            raise ArtifactError(f"expected {' or '.join(names)}, got {came}")
        return member

    def _open(self, member: tarfile.TarInfo) -> IO[bytes]:
        source = self.tar.extractfile(member)
        if source is None:
            raise ArtifactError(f"expected a plain file, got {member.name!r}")
        return source

    def _content(self, member: tarfile.TarInfo) -> bytes:
        if member.size > HEADER_LIMIT:
            raise ArtifactError(f"{member.name}: {member.size} bytes, at most {HEADER_LIMIT}")
        return self._open(member).read()

    def _check(self, name: str, digest: str) -> None:
        if name in self.seen:
            raise ArtifactError(f"{name} came twice")
        expected = self.sums.get(name)
        if expected is None:
            raise ArtifactError(f"{name} is not in the manifest")
        if expected != digest:
            raise ArtifactError(f"{name}: expected sha256 {expected}, got {digest}")
        self.seen.add(name)

    def _header(self, member: tarfile.TarInfo) -> ArtifactInfo:
        stored = self._content(member)
        self._check(member.name, hashlib.sha256(stored).hexdigest())
        suffix = member.name.removeprefix("header.tar")
        files = {}
        with tarfile.open(fileobj=_unpack(io.BytesIO(stored), suffix), mode="r|") as header:
            for part in header:
                source = header.extractfile(part)
                files[part.name] = source.read(HEADER_LIMIT) if source else b""
        if next(iter(files), None) != "header-info":
            raise ArtifactError(f"expected header-info first in the header, got {list(files)[:1]}")
        return self._info(files, suffix.lstrip(".") or "none")

    def _info(self, files: dict[str, bytes], compression: str) -> ArtifactInfo:
        header = _json_object(files["header-info"], "header-info")
        payloads = [_payload(i, p, files) for i, p in enumerate(header.get("payloads") or [])]
        provides = dict(header.get("artifact_provides") or {})
        depends = dict(header.get("artifact_depends") or {})
        device_types = depends.get("device_type")
        if not payloads or not provides.get("artifact_name") or not device_types:
            raise ArtifactError("header-info: expected payloads, artifact_name and device_type")
        clears = []
        for payload in payloads:
            provides |= payload.type_info.get("artifact_provides") or {}
            depends |= payload.type_info.get("artifact_depends") or {}
            clears += payload.type_info.get("clears_artifact_provides") or []
        return ArtifactInfo(
            name=provides["artifact_name"],
            group=provides.get("artifact_group"),
            device_types=list(device_types),
            depends=depends,
            provides=provides,
            clears_provides=clears,
            payloads=payloads,
            scripts=[name for name in files if name.startswith("scripts/")],
            compression=compression,
            manifest=self.manifest,
            signature=self.signature,
            size=self.size,
        )

    def _data(self, member: tarfile.TarInfo, info: ArtifactInfo) -> None:
        found = _DATA_MEMBER.fullmatch(member.name)
        if not found or int(found[1]) >= len(info.payloads):
            raise ArtifactError(f"expected data/NNNN.tar of a payload, got {member.name!r}")
        payload = info.payloads[int(found[1])]
        with tarfile.open(fileobj=_unpack(self._open(member), found[2] or ""), mode="r|") as data:
            for part in data:
                digest = _digest(data.extractfile(part))
                self._check(f"data/{found[1]}/{part.name}", digest)
                payload.files.append(DataFile(part.name, part.size, digest))


def _unpack(raw: IO[bytes], suffix: str) -> IO[bytes]:
    if suffix not in _OPENERS:
        raise ArtifactError(f"expected compression none, gzip or xz, got {suffix!r}")
    return _OPENERS[suffix](raw)


def _digest(source: IO[bytes] | None) -> str:
    if source is None:
        raise ArtifactError("expected plain files as payload")
    digest = hashlib.sha256()
    while chunk := source.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


def _parse_manifest(raw: bytes) -> dict[str, str]:
    sums: dict[str, str] = {}
    for line in _lines(raw):
        found = _SUM_LINE.fullmatch(line)
        if not found or found[2] in sums:
            raise ArtifactError(f"manifest: expected one '<sha256>  <name>' a file, got {line!r}")
        sums[found[2]] = found[1]
    return sums


def _lines(raw: bytes) -> Iterator[str]:
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise ArtifactError("manifest: expected text, got bytes that are no UTF-8") from None
    return iter(text.splitlines())


def _json_object(raw: bytes, name: str) -> dict:
    try:
        value = json.loads(raw)
    except ValueError as error:
        raise ArtifactError(f"{name}: expected JSON: {error}") from None
    if not isinstance(value, dict):
        raise ArtifactError(f"{name}: expected a JSON object, got {raw[:80]!r}")
    return value


def _payload(index: int, entry: dict, files: dict[str, bytes]) -> Payload:
    folder = f"headers/{index:04}"
    kind = entry.get("type")
    if f"{folder}/type-info" not in files:
        raise ArtifactError(f"expected {folder}/type-info in the header")
    type_info = _json_object(files[f"{folder}/type-info"], f"{folder}/type-info")
    # mender-artifact before 4.3.1 leaves the type of a rootfs-image empty here.
    if (type_info.get("type") or kind) != kind:
        raise ArtifactError(f"type-info: expected type {kind!r}, got {type_info.get('type')!r}")
    meta_data = files.get(f"{folder}/meta-data") or b"{}"
    return Payload(kind, type_info, _meta_data(meta_data, f"{folder}/meta-data"))


def _meta_data(raw: bytes, name: str) -> dict:
    """Objects and lists of them are refused: so does Mender's server at upload."""
    values = _json_object(raw, name)
    for key, value in values.items():
        items = value if isinstance(value, list) else []
        if any(isinstance(item, (dict, list)) for item in items):
            raise ArtifactError(f"{name}: {key!r} is a list of objects or lists")
    return values
