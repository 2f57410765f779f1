"""What is fuzzed: name -> Target(function of bytes, seeds, how it is changed).

A function returns, or raises Rejected or Broken inside and returns; anything else that leaves it
is a crash. Where CPython has a second opinion, the function compares and asserts.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import contextlib
import gzip
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import board

# isort: split
import memory_files
import reading
import sealing

from instar.artifact import headerfiles, inflate, manifest, metadata, pax, strictjson, tar
from instar.artifact.signature import Verifier
from instar.crypto import der, encode, keys, pem, public
from instar.errors import Broken, Rejected
from instar.installers import tree

ARTIFACTS = board.VECTORS / "artifact"
KEYS = board.VECTORS / "keys"
_LIMIT = 1 << 20


@dataclass
class Target:
    run: Callable[[bytes], None]
    seeds: Callable[[], Iterator[bytes]]
    mutate: Callable[[bytes, int, Callable[[bytes], bytes]], bytes] | None = None


class Names:
    """A handler for Tar that only counts."""

    def __init__(self) -> None:
        self.left = -1

    def begin(self, name: str, size: int, kind: str) -> None:
        assert self.left <= 0 and name and size >= 0 and len(kind) == 1
        self.left = size

    def data(self, view) -> None:
        self.left -= len(view)
        assert self.left >= 0

    def end(self) -> None:
        assert self.left == 0


def run_reader(data: bytes) -> None:
    outcomes = []
    for size in (0, 97):
        try:
            outcomes.append(reading.read(data, size, ignore_scripts=True, max_payload=_LIMIT))
        except (Rejected, Broken) as error:
            outcomes.append(str(error))
    assert outcomes[0] == outcomes[1], outcomes
    if isinstance(outcomes[0], dict):
        assert outcomes[0] == reading.oracle(data)


def run_tar(data: bytes) -> None:
    archive = tar.Tar(Names())
    archive.feed(memoryview(data))
    archive.finish()


def run_inflate(data: bytes) -> None:
    found = bytearray()
    stream = inflate.Inflater(found.extend, _LIMIT)
    try:
        stream.feed(memoryview(data))
        stream.finish()
    finally:
        stream.close()
    assert bytes(found) == reading.gunzip(data)


def run_manifest(data: bytes) -> None:
    found = manifest.Manifest(data)
    assert dict(found.files) == {
        name[10:]: digest
        for name, digest in reading.manifest_sums(data).items()
        if name.startswith("data/0000/")
    }


def run_json(data: bytes) -> None:
    found = strictjson.parse(data, "text")
    assert repr(found) == repr(json.loads(data))


def run_header(data: bytes) -> None:
    files = headerfiles.HeaderFiles(ignore_scripts=True)
    archive = tar.Tar(files, "header.tar")
    archive.feed(memoryview(data))
    archive.finish()
    files.complete()
    metadata.read_header(files.texts).check({"device_type": "esp32"})


def run_pax(data: bytes) -> None:
    path, size = pax.read_pax(data, "tar")
    assert path is None or path.encode()
    assert size is None or size >= 0


def run_der(data: bytes) -> None:
    _walk(der.Reader(data), 0)


def _walk(level, depth: int) -> None:
    while (tag := level.peek()) is not None:
        if tag == der.SEQUENCE and depth < 20:
            _walk(level.sequence(), depth + 1)
        elif tag == der.INTEGER:
            value = level.integer()
            assert der.Reader(encode.integer(value)).integer() == value
        elif tag == 6:
            der.dotted(level.oid())
        else:
            level.element(tag)


def run_keys(data: bytes) -> None:
    for load in (keys.load, public.load):
        with contextlib.suppress(Rejected):
            load(data)


_RSA = Verifier([(ARTIFACTS / "rsa.pub.pem").read_bytes()])
_P256 = Verifier([(ARTIFACTS / "p256.pub.pem").read_bytes()])


def run_signature(data: bytes) -> None:
    for verifier in (_RSA, _P256):
        with contextlib.suppress(Rejected):
            keys.run(verifier(b"a manifest that nobody signed", data))
            raise AssertionError("accepted a signature of something else")


def run_tree(data: bytes) -> None:
    files = memory_files.Files()
    tree.os, tree.open = files, files.open
    files.mkdir("/b")
    files.put("/b-other", b"untouched")
    sink = tree.Unpacker("/b/slot", "update.tar")
    try:
        sink.write(memoryview(data))
        sink.close()
    finally:
        sink.abandon()
        files.check("/b/slot")
        assert files.get("/b-other") == b"untouched"


def artifacts() -> Iterator[bytes]:
    for path in sorted(board.VECTORS.rglob("*.mender")):
        yield path.read_bytes()


def _members(*names: str) -> Iterator[bytes]:
    for data in artifacts():
        with contextlib.suppress(ValueError, KeyError, OSError, EOFError):
            for name, content in reading.members(data).items():
                if name in names:
                    yield content
                elif name in [wanted + ".gz" for wanted in names]:
                    yield gzip.decompress(content)


def texts() -> Iterator[bytes]:
    yield from _members("version")
    for data in _members("header.tar"):
        yield from reading.members(data).values()
    yield b'{"a":[1,-2.5e3,true,false,null,"\\ud83d\\ude00\\n"],"b":{}}'


def trees() -> Iterator[bytes]:
    names = ("app/main.py", "./lib/a/b.mpy", "..", "a//b", "a" * 70)
    yield from _members("data/0000.tar")
    for name in names:
        yield sealing.pack([("start.py", b"pass"), (name, b"x" * 600)])


def key_files() -> Iterator[bytes]:
    for folder in (ARTIFACTS, KEYS, KEYS / "refused"):
        for path in sorted((*folder.glob("*.pem"), *folder.glob("*.der"))):
            yield path.read_bytes()


def der_files() -> Iterator[bytes]:
    for data in key_files():
        if b"-----BEGIN" in data:
            with contextlib.suppress(Rejected):
                yield from (content for _, content in pem.from_pem(data))
        else:
            yield data


def streams() -> Iterator[bytes]:
    yield (ARTIFACTS / "text.gz").read_bytes()
    yield (ARTIFACTS / "bomb_header.tar.gz").read_bytes()
    for level in (0, 1, 9):
        yield gzip.compress(b"hello " * 40, level, mtime=0)


def records() -> Iterator[bytes]:
    yield b"19 path=some/where\n11 size=12\n"
    yield "17 uname=j\u00fcrgen\n27 mtime=1700000000.123456\n".encode()
    yield b"22 GNU.sparse.major=1\n"


def change_artifact(data: bytes, seed: int, change) -> bytes:
    return sealing.change_layer(data, sealing.LAYERS[seed % len(sealing.LAYERS)], change)


def change_tar(data: bytes, seed: int, change) -> bytes:
    return sealing.with_checksums(change(data)) if seed % 4 else change(data)


TARGETS = {
    "reader": Target(run_reader, artifacts, change_artifact),
    "tar": Target(run_tar, lambda: _members("header.tar", "data/0000.tar"), change_tar),
    "header": Target(run_header, lambda: _members("header.tar"), change_tar),
    "tree": Target(run_tree, trees, change_tar),
    "inflate": Target(run_inflate, streams),
    "manifest": Target(run_manifest, lambda: _members("manifest")),
    "json": Target(run_json, texts),
    "pax": Target(run_pax, records),
    "der": Target(run_der, der_files),
    "keys": Target(run_keys, key_files),
    "signature": Target(run_signature, lambda: _members("manifest.sig")),
}


def run(name: str, data: bytes) -> None:
    """Run one target on one input; raises what is a crash."""
    with contextlib.suppress(Rejected, Broken):
        TARGETS[name].run(data)
