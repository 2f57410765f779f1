"""Takes Artifacts apart, changes one layer, and puts them together with every sum right again.

So a change gets past the checksums, to the parser that it is meant for:

    changed = change_layer(data, "type-info", lambda raw: raw.replace(b"{", b"["))

A layer that is not there, or cannot be opened any more, leaves the raw bytes to be changed.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import zlib
from collections.abc import Callable

Change = Callable[[bytes], bytes]
BLOCK = 512
TEXTS = {
    "header-info": "header-info",
    "type-info": "headers/0000/type-info",
    "meta-data": "headers/0000/meta-data",
}
LAYERS = (
    "raw",  # nothing is put right
    "outer",  # the checksums of the outer tar's headers are
    "version",
    "manifest",
    "manifest.sig",
    "header",  # its tar, from here on every sum is put right
    "header.gz",
    *TEXTS,
    "data",
    "data.gz",
)


# What tarfile says to a tar that is none; OverflowError: of a member's size.
UNREADABLE = (tarfile.TarError, ValueError, OSError, OverflowError)


def change_layer(data: bytes, layer: str, change: Change) -> bytes:
    """The Artifact `data` with one of LAYERS changed."""
    if layer == "raw":
        return change(data)
    if layer == "outer":
        return with_checksums(change(data))
    try:
        parts = Parts(data)
        parts.change(layer, change)
    except (*UNREADABLE, KeyError, EOFError, zlib.error):
        return change(data)
    return parts.sealed()


class Parts:
    """The layers of an Artifact. Raises one of many errors if it cannot be taken apart."""

    def __init__(self, data: bytes) -> None:
        found = dict(_members(data))
        self._version = found["version"]
        self._signature = found.get("manifest.sig")
        self._manifest: Change = bytes
        self._header_name = _one(found, "header.tar")
        self._data_name = _one(found, "data/0000.tar")
        self._header = _unpacked(self._header_name, found[self._header_name])
        self._data = _unpacked(self._data_name, found[self._data_name])
        self._packed: dict[str, Change] = {}

    def change(self, layer: str, change: Change) -> None:
        if layer in TEXTS:
            self._header = _with_text(self._header, TEXTS[layer], change)
        elif layer == "header":
            self._header = with_checksums(change(self._header))
        elif layer == "data":
            self._data = with_checksums(change(self._data))
        elif layer == "version":
            self._version = change(self._version)
        elif layer == "manifest":
            self._manifest = change
        elif layer == "manifest.sig":
            self._signature = change(self._signature or b"")
        else:
            name = self._header_name if layer == "header.gz" else self._data_name
            self._packed[name] = change

    def sealed(self) -> bytes:
        header = self._stored(self._header_name, self._header)
        members = [("version", self._version)]
        members.append(("manifest", self._manifest(self._sums(header))))
        if self._signature is not None:
            members.append(("manifest.sig", self._signature))
        members.append((self._header_name, header))
        members.append((self._data_name, self._stored(self._data_name, self._data)))
        return pack(members)

    def _stored(self, name: str, raw: bytes) -> bytes:
        data = gzip.compress(raw, 1, mtime=0) if name.endswith(".gz") else raw
        return self._packed[name](data) if name in self._packed else data

    def _sums(self, header: bytes) -> bytes:
        listed = [(f"data/0000/{name}", content) for name, content in _lenient(self._data)]
        listed += [(self._header_name, header), ("version", self._version)]
        lines = [f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in listed]
        return "".join(lines).encode(errors="surrogateescape")


def with_checksums(data: bytes) -> bytes:
    """A tar with the checksum of every header block right that can be found by sizes."""
    found = bytearray(data)
    at = 0
    while at + BLOCK <= len(found):
        block = found[at : at + BLOCK]
        if not any(block):
            break
        block[148:156] = b" " * 8
        found[at + 148 : at + 156] = b"%06o\0 " % sum(block)
        try:
            size = int(bytes(block[124:136]).strip(b" \0") or b"0", 8)
        except ValueError:
            break
        at += BLOCK + size + -size % BLOCK
    return bytes(found)


def pack(members: list[tuple[str, bytes]], **options) -> bytes:
    """A tar of (name, data), without more zeros at its end than the two blocks."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", **{"format": tarfile.USTAR_FORMAT, **options}) as tar:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
        end = tar.offset
    return out.getvalue()[:end] + bytes(2 * BLOCK)


def _members(data: bytes) -> list[tuple[str, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
        return [(member.name, tar.extractfile(member).read()) for member in tar if member.isreg()]


def _lenient(data: bytes) -> list[tuple[str, bytes]]:
    try:
        return _members(data)
    except UNREADABLE:
        return []


def _one(found: dict[str, bytes], stem: str) -> str:
    (name,) = (name for name in found if name in (stem, stem + ".gz"))
    return name


def _unpacked(name: str, data: bytes) -> bytes:
    return gzip.decompress(data) if name.endswith(".gz") else data


def _with_text(header: bytes, name: str, change: Change) -> bytes:
    found = dict(_members(header))
    found[name] = change(found.get(name, b""))
    return pack(list(found.items()))
