"""One Artifact read by the board's reader under CPython, and what CPython's own modules see in it.

``read(data)`` and ``oracle(data)`` return the same shape of dict: what a board would act on.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import zlib

import board  # before instar

# isort: split
from instar.artifact.reader import Reader


class Sink:
    """Takes one file. `closed`: the reader said that it is whole and right."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.data = bytearray()
        self.closed = False

    def write(self, view) -> None:
        assert not self.closed, "written after close()"
        self.data += view

    def close(self) -> None:
        assert len(self.data) == self.size, "closed before all of it came"
        self.closed = True


def read(data: bytes, size: int = 0, **options) -> dict:
    """What the reader makes of an Artifact fed in chunks of `size` bytes (0: all at once).

    Raises whatever the reader raises: that has to be Rejected.
    """
    sinks: dict[str, Sink] = {}

    def open_file(name: str, length: int) -> Sink:
        assert name not in sinks, "opened twice"
        sinks[name] = Sink(length)
        return sinks[name]

    reader = Reader(lambda header: None, open_file, **options)
    view = memoryview(data)
    step = size or len(data) or 1
    try:
        for at in range(0, len(data), step):
            reader.feed(view[at : at + step])
        reader.finish()
    finally:
        reader.close()
    assert all(sink.closed for sink in sinks.values())
    header = reader.header
    assert [name for name, _ in header.files if name not in sinks] == []
    return {
        "type": header.payload_type,
        "provides": header.provides,
        "depends": header.depends,
        "clears": header.clears_provides,
        "meta": header.meta_data,
        "signed": header.signed,
        "files": {name: bytes(sink.data) for name, sink in sinks.items()},
    }


def oracle(data: bytes) -> dict:
    """The same from tarfile, gzip, hashlib and json. Raises if a checksum is not right."""
    outer = members(data)
    sums = manifest_sums(outer["manifest"])
    header_name = next(name for name in outer if name.startswith("header.tar"))
    check(sums, "version", outer["version"])
    check(sums, header_name, outer[header_name])
    assert json.loads(outer["version"]) == {"format": "mender", "version": 3}
    texts = members(unpacked(header_name, outer[header_name]))
    info = json.loads(texts["header-info"])
    detail = json.loads(texts["headers/0000/type-info"])
    meta = texts.get("headers/0000/meta-data")
    files = payload(outer)
    for name, content in files.items():
        check(sums, f"data/0000/{name}", content)
    assert len(sums) == len(files) + 2, "the manifest lists what is not there"
    return {
        "type": info["payloads"][0]["type"],
        "provides": {**info["artifact_provides"], **detail.get("artifact_provides", {})},
        "depends": depends(info["artifact_depends"], detail.get("artifact_depends", {})),
        "clears": detail.get("clears_artifact_provides"),
        "meta": json.loads(meta) if meta else {},
        "signed": "manifest.sig" in outer,
        "files": files,
    }


class _Member(tarfile.TarInfo):
    """A header without the numbers that the board does not read, such as times and owners.

    tarfile takes a damaged one of them for the end of the archive.
    """

    @classmethod
    def frombuf(cls, buf, encoding, errors):
        block = bytearray(buf)
        if len(block) == 512 and any(block):
            if tarfile.nti(block[148:156]) not in tarfile.calc_chksums(buf):
                raise tarfile.InvalidHeaderError("bad checksum")
            for start, end in ((100, 124), (136, 148), (329, 345)):
                block[start:end] = b"0" * (end - start)
            block[148:156] = b"%06o\0 " % tarfile.calc_chksums(block)[0]
        return super().frombuf(bytes(block), encoding, errors)


def members(data: bytes) -> dict[str, bytes]:
    """The plain files of a tar, in order. A name twice is an error."""
    found: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:", tarinfo=_Member) as tar:
        for member in tar:
            assert member.isreg() and member.name not in found, member.name
            found[member.name] = tar.extractfile(member).read()
    return found


def payload(outer: dict[str, bytes]) -> dict[str, bytes]:
    found = [name for name in outer if name.startswith("data/")]
    assert len(found) <= 1
    return members(unpacked(found[0], outer[found[0]])) if found else {}


def unpacked(name: str, data: bytes) -> bytes:
    return gunzip(data) if name.endswith(".gz") else data


def gunzip(data: bytes) -> bytes:
    """One gzip member, and nothing after it. The length in its trailer is not looked at: neither
    does the reader."""
    plain = zlib.decompressobj(-15)
    content = plain.decompress(data[_header_length(data) :])
    assert plain.eof and len(plain.unused_data) == 8, "no single gzip member"
    assert int.from_bytes(plain.unused_data[:4], "little") == zlib.crc32(content)
    return content


def _header_length(data: bytes) -> int:
    """RFC 1952, 2.3.1."""
    assert data[:3] == b"\x1f\x8b\x08"
    flags, at = data[3], 10
    if flags & 4:
        at += 2 + int.from_bytes(data[at : at + 2], "little")
    for flag in (8, 16):
        if flags & flag:
            at = data.index(b"\0", at) + 1
    return at + (2 if flags & 2 else 0)


def manifest_sums(raw: bytes) -> dict[str, str]:
    lines = [line.split("  ") for line in raw.decode().splitlines()]
    sums = {name: digest for digest, name in lines}
    assert len(sums) == len(lines)
    return sums


def check(sums: dict[str, str], name: str, data: bytes) -> None:
    assert sums[name] == hashlib.sha256(data).hexdigest(), name


def depends(first: dict, second: dict) -> dict:
    """A key in both has to satisfy both; a string is a list of one."""
    found = dict(first)
    for key, value in second.items():
        wanted = [value] if isinstance(value, str) else value
        found[key] = [one for one in found.get(key, wanted) if one in wanted]
    return found
