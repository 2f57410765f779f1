"""Artifacts, and ways to them, that no board survives that reads all of them, or goes to their
end: for test_hostile.py."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import zlib
from collections.abc import Callable, Iterable
from typing import NamedTuple

from hostile_server import OK, Attack, dripping, endless, redirect
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


def artifact(
    start: bytes, more: Callable[[], Iterable[bytes]] = lambda: (), length: int | None = None
) -> Attack:
    head = OK if length is None else OK + b"Content-Length: %d\r\n" % length

    def send():
        yield head + b"Content-Type: application/vnd.mender-artifact\r\n\r\n" + start
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
START = OK + b"Content-Length: 100000\r\n\r\n"


class Evil(NamedTuple):
    """words: in the deployment's log. times: how many GETs it is the answer to, of as many tries
    as the settings allow where it might be better the next time. boots: that it costs at most; a
    payload that was inflated may leave the heap in pieces."""

    attack: Attack
    words: str
    times: int = 1
    boots: int = 0


TRIES = 2  # of a download: the board's setting
ARTIFACTS = {
    "a redirect loop": Evil(redirect("/evil"), "too many redirects", times=TRIES * 4),
    "a redirect to plain HTTP": Evil(
        redirect("http://localhost/evil"), "expected redirects of GET to https only", TRIES
    ),
    "a redirect to nowhere": Evil(redirect(""), "expected redirects of GET to https only", TRIES),
    "headers without end": Evil(endless(OK, b"A: b\r\n"), "at most 64 headers", TRIES),
    "a length of 20 digits": Evil(
        artifact(b"", length=1 << 64), "expected one Content-Length", TRIES
    ),
    "a drip": Evil(
        dripping(START + payload("rootfs-image", "evil.bin"), b"x", 0.2), "too slow: ", TRIES
    ),
    "4 GiB, an image": Evil(
        artifact(
            before_payload(gzipped(headers("rootfs-image")), "evil.bin")
            + header_of("data/0000.tar", (4 << 30) - 8192)
            + header_of("evil.bin", (4 << 30) - 16384),
            zeros,
            length=4 << 30,
        ),
        "4294950912 bytes do not fit slot ota_1",
    ),
    "zeros": Evil(artifact(b"", zeros), "Artifact: expected "),
    "8 GiB as the first member": Evil(
        artifact(header_of("version", (8 << 30) - 1)), "at most 1024"
    ),
    "a million lines": Evil(
        artifact(tar_of(("version", b""), end=False) + header_of("manifest", 70 << 20), zeros),
        "manifest: expected at most 16384 bytes",
    ),
    "a header that unpacks to 4 MB": Evil(
        artifact(before_payload(gzipped(headers("rootfs-image", bytes(4 << 20)))), zeros),
        "expected at most 65536 bytes",
    ),
    "an image that unpacks without end": Evil(
        artifact(payload("rootfs-image", "evil.bin"), bomb(image_head(0x100000))),
        "evil.bin: expected SHA-256",
        boots=1,
    ),
    "an image of 8 GiB": Evil(
        artifact(payload("rootfs-image", "evil.bin"), bomb(image_head((8 << 30) - 1))),
        "8589934591 bytes do not fit slot ota_1",
        boots=1,
    ),
    "members without end": Evil(
        artifact(payload("rootfs-image", "evil.bin"), bomb(EMPTY)),
        "expected a file of the manifest, and once, got 'f0'",
        boots=1,
    ),
    "an application of 8 GiB": Evil(
        artifact(
            payload("micropython-app", "update.tar"), bomb(header_of("update.tar", (8 << 30) - 1))
        ),
        "expected at most the file system's 983040 bytes",
        boots=1,
    ),
    "an application that fills the file system": Evil(
        artifact(
            payload("micropython-app", "update.tar"),
            bomb(header_of("update.tar", 980000) + header_of("app.py", 979000)),
        ),
        "got a full file system",
        boots=1,
    ),
    "a million files": Evil(
        artifact(
            payload("micropython-app", "update.tar"),
            bomb(header_of("update.tar", 980000) + EMPTY),
        ),
        "expected at most 256 files and folders",
        boots=1,
    ),
}
