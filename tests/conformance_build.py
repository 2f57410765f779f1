"""Builds Artifacts, byte by byte, that are right but for one thing (conformance.py says which).

    made(version={"format": "mender", "version": 4})()      # bytes
    edited(lambda members: members[::-1])()

Sums, sizes and headers around the wrong place are right. The format:
https://github.com/mendersoftware/mender-artifact/blob/master/Documentation/
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import functools
import gzip
import hashlib
import json
import lzma
from collections.abc import Callable, Mapping

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from instar_tools.artifact_signature import sign

END = bytes(1024)
VERSION = {"format": "mender", "version": 3}
INFO = {
    "payloads": [{"type": "thing"}],
    "artifact_provides": {"artifact_name": "v2"},
    "artifact_depends": {"device_type": ["esp32"]},
}
TYPE_INFO = {"type": "thing", "artifact_provides": {"rootfs-image.thing.version": "v2"}}
EMPTY = {"info": INFO | {"payloads": [{"type": None}]}, "type_info": {"type": None}, "files": {}}
FILES = {"a.txt": b"hello\n"}
SUM = hashlib.sha256(b"hello\n").hexdigest()


def header_block(name: bytes, size: bytes, kind: bytes = b"0") -> bytes:
    """A ustar header with a right checksum. size: the field, octal digits or what it shall be."""
    block = bytearray(512)
    block[: len(name)] = name
    block[100:108] = b"0000600\0"
    block[108:116] = block[116:124] = b"0000000\0"
    block[124:136] = size
    block[136:148] = b"00000000000\0"
    block[148:156] = b" " * 8
    block[156:157] = kind
    block[257:265] = b"ustar\x0000"
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


def member(name: str, data: bytes, kind: bytes = b"0") -> bytes:
    raw = name.encode()
    if len(raw) > 100:
        return pax({"path": name}) + member(name[:100], data, kind)
    return header_block(raw, b"%011o\0" % len(data), kind) + padded(data)


def pax(records: Mapping[str, str], kind: bytes = b"x") -> bytes:
    """An extended header of these records."""
    lines = []
    for key, value in records.items():
        text = f" {key}={value}\n".encode()
        length = len(text) + 1
        while len(b"%d" % length) + len(text) != length:
            length += 1
        lines.append(b"%d" % length + text)
    return member("PaxHeaders.0/x", b"".join(lines), kind)


def tar(*members: tuple[str, bytes] | bytes) -> bytes:
    """A whole archive of (name, data) pairs and of members as they are."""
    return b"".join(one if isinstance(one, bytes) else member(*one) for one in members) + END


def text(value: object) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode()


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": lambda data: gzip.compress(data, mtime=0),
    ".xz": lzma.compress,
    ".zst": bytes,
}


def header_members(info=INFO, type_info=TYPE_INFO, meta=None, scripts=()) -> list:
    found = [("header-info", text(info))]
    found += [(f"scripts/{name}", b"#!/bin/sh\n") for name in scripts]
    found.append(("headers/0000/type-info", text(type_info)))
    if meta is not None:
        found.append(("headers/0000/meta-data", text(meta)))
    return found


def outer(
    *,
    version=VERSION,
    files: Mapping[str, bytes] = FILES,
    header=None,
    data=None,
    suffix="",
    data_suffix=None,
    manifest: Callable[[list[str]], list[str]] = list,
    key: bytes | None = None,
    **header_parts,
) -> dict[str, bytes]:
    """The outer members by name, in order. header, data: members instead of the usual ones;
    manifest: gets the manifest's lines and returns others; key: signs it."""
    data_suffix = suffix if data_suffix is None else data_suffix
    raw_version = text(version)
    head = PACKERS[suffix](tar(*(header or header_members(**header_parts))))
    body = PACKERS[data_suffix](tar(*(files.items() if data is None else data)))
    lines = [f"{sha(content)}  data/0000/{name}\n" for name, content in files.items()]
    lines += [f"{sha(head)}  header.tar{suffix}\n", f"{sha(raw_version)}  version\n"]
    listed = "".join(manifest(lines)).encode()
    found = {"version": raw_version, "manifest": listed}
    if key:
        found["manifest.sig"] = sign(listed, key)
    return found | {f"header.tar{suffix}": head, f"data/0000.tar{data_suffix}": body}


def made(**parts) -> Callable[[], bytes]:
    """Builds an Artifact of outer(**parts)."""
    return lambda: tar(*outer(**parts).items())


def edited(edit: Callable[[list], list], **parts) -> Callable[[], bytes]:
    """Builds one whose list of outer members (version, manifest, header, data) was edited."""
    return lambda: tar(*edit(list(outer(**parts).items())))


def cut(length: int) -> Callable[[], bytes]:
    return lambda: tar(*outer().items())[:length]


def info(**changes) -> Callable[[], bytes]:
    """Builds one with another header-info; a value of None takes the key away."""
    value = {k: v for k, v in (INFO | changes).items() if v is not None}
    return made(info=value)


def provides(**values) -> Callable[[], bytes]:
    return info(artifact_provides=values)


def depends(**values) -> Callable[[], bytes]:
    return info(artifact_depends=values)


def detail(**changes) -> Callable[[], bytes]:
    """Builds one with another type-info."""
    return made(type_info=TYPE_INFO | changes)


def listing(edit: Callable[[list[str]], list[str]]) -> Callable[[], bytes]:
    """Builds one whose manifest has other lines: [a.txt, header.tar, version]."""
    return made(manifest=edit)


def replaced(at: int, old: str, new: str) -> Callable[[], bytes]:
    """Builds one with another manifest line."""
    return listing(lambda lines: [*lines[:at], lines[at].replace(old, new), *lines[at + 1 :]])


@functools.cache
def key_pair(name: str) -> tuple[bytes, bytes]:
    """A P-256 key: (private, public) in PEM, the same for the same name."""
    number = int.from_bytes(hashlib.sha256(name.encode()).digest(), "big") >> 1
    key = ec.derive_private_key(number, ec.SECP256R1())
    pem = serialization.Encoding.PEM
    private = key.private_bytes(
        pem, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private, public


def signed(edit: Callable[[bytes], bytes] = bytes, key: str = "ours") -> Callable[[], bytes]:
    """Builds a signed one with another manifest.sig."""

    def build() -> bytes:
        found = outer(key=key_pair(key)[0])
        found["manifest.sig"] = edit(found["manifest.sig"])
        return tar(*found.items())

    return build


def extra(name: str, data: bytes = b"") -> Callable[[], bytes]:
    """Builds one with a member more at its end."""
    return edited(lambda m: [*m, (name, data)])


def in_header(*members) -> Callable[[], bytes]:
    return made(header=list(members))


def with_size_field(size: bytes) -> Callable[[], bytes]:
    """Builds one whose data file's header has this size field."""
    block = header_block(b"a.txt", size)
    return made(data=[block + padded(FILES["a.txt"])])


def bad_checksum() -> bytes:
    whole = bytearray(made()())
    whole[150] ^= 1  # in the first header's checksum
    return bytes(whole)


def augmented() -> bytes:
    """An Artifact as mender-artifact writes it with --augment-type and --augment-depends."""
    more = tar(("header-info", text(INFO)), ("headers/0000/type-info", text({"type": "thing"})))
    listed = f"{sha(more)}  header-augment.tar\n".encode()
    version, manifest, header, data = outer().items()
    augment = ("manifest-augment", listed), ("header-augment.tar", more)
    return tar(version, manifest, augment[0], header, augment[1], data)
