"""Artifacts that no board survives that reads all of them: for test_hostile.py."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import zlib

from hostile_server import OK
from lab import image


def tar_of(*members: tuple[str, bytes], end: bool = True) -> bytes:
    file = io.BytesIO()
    for name, data in members:
        info = tarfile.TarInfo(name)
        info.size = len(data)
        file.write(info.tobuf(tarfile.USTAR_FORMAT) + data + bytes(-len(data) % 512))
    return file.getvalue() + bytes(1024 if end else 0)


def header_of(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = size
    return info.tobuf(tarfile.USTAR_FORMAT)


def gzipped(data: bytes) -> bytes:
    return zlib.compress(data, 9, 31)


def headers(kind: str, more: bytes = b"") -> bytes:
    info = {
        "payloads": [{"type": kind}],
        "artifact_provides": {"artifact_name": "evil"},
        "artifact_depends": {"device_type": ["esp32"]},
    }
    texts = [("header-info", info), ("headers/0000/type-info", {"type": kind})]
    return tar_of(*((name, json.dumps(value).encode()) for name, value in texts)) + more


def before_payload(header: bytes, *files: str, manifest: bytes | None = None) -> bytes:
    """The Artifact as far as its header, good in itself if nothing else is given."""
    version = b'{"format":"mender","version":3}'
    sums = [(f"data/0000/{name}", b"") for name in files]
    sums += [("header.tar.gz", header), ("version", version)]
    lines = [f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in sums]
    manifest = "".join(lines).encode() if manifest is None else manifest
    members = ("version", version), ("manifest", manifest), ("header.tar.gz", header)
    return tar_of(*members, end=False)


def payload(kind: str, *files: str) -> bytes:
    """The same, and the beginning of a compressed payload without end."""
    return before_payload(gzipped(headers(kind)), *files) + header_of(
        "data/0000.tar.gz", (8 << 30) - 1
    )


def artifact(start: bytes, more=lambda: ()):
    def send():
        yield OK + b"Content-Type: application/vnd.mender-artifact\r\n\r\n" + start
        yield from more()

    return send


def bomb(*first: bytes):
    """A gzip of these bytes, and of zeros for ever."""

    def send():
        packer = zlib.compressobj(9, zlib.DEFLATED, 31)
        for piece in first:
            yield packer.compress(piece)
        while True:
            yield packer.compress(bytes(1 << 20))

    return send


def zeros():
    while True:
        yield bytes(4096)


def image_head(size: int) -> bytes:
    return header_of("evil.bin", size) + image("release-2")[:65536]


EMPTY = b"".join(header_of(f"f{at}", 0) for at in range(1000))
ARTIFACTS = {
    "zeros": (artifact(b"", zeros), "Artifact: expected "),
    "8 GiB as the first member": (artifact(header_of("version", (8 << 30) - 1)), "at most 1024"),
    "a million lines": (
        artifact(tar_of(("version", b""), end=False) + header_of("manifest", 70 << 20), zeros),
        "manifest: expected at most 16384 bytes",
    ),
    "a header that unpacks to 12 MB": (
        artifact(before_payload(gzipped(headers("rootfs-image", bytes(12 << 20)))), zeros),
        "expected at most 65536 bytes",
    ),
    "an image that unpacks without end": (
        artifact(payload("rootfs-image", "evil.bin"), bomb(image_head(0x100000))),
        "evil.bin: expected SHA-256",
    ),
    "an image of 8 GiB": (
        artifact(payload("rootfs-image", "evil.bin"), bomb(image_head((8 << 30) - 1))),
        "8589934591 bytes do not fit slot ota_1",
    ),
    "members without end": (
        artifact(payload("rootfs-image", "evil.bin"), bomb(EMPTY)),
        "expected a file of the manifest, and once, got 'f0'",
    ),
    "an application of 8 GiB": (
        artifact(
            payload("micropython-app", "update.tar"), bomb(header_of("update.tar", (8 << 30) - 1))
        ),
        "expected at most the file system's 983040 bytes",
    ),
    "an application that fills the file system": (
        artifact(
            payload("micropython-app", "update.tar"),
            bomb(header_of("update.tar", 980000) + header_of("app.py", 979000)),
        ),
        "got a full file system",
    ),
    "a million files": (
        artifact(
            payload("micropython-app", "update.tar"),
            bomb(header_of("update.tar", 980000) + EMPTY),
        ),
        "expected at most 256 files and folders",
    ),
}
