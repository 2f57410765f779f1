# The outer tar of an Artifact: which member may come next, who takes it, and when it is trusted.
#
#   outer = Outer(on_header, open_file, verify, ignore_scripts, max_payload)    # as reader.Reader
#   outer.tar.feed(view) ...
#   outer.verification       # the steps that have to end before the tar gets more, or None
#   outer.tar.finish(), outer.complete()
#   outer.close()
#
# Used by reader.py, which sees to it that nothing is fed after an error.
# SPDX-License-Identifier: MIT

import hashlib

from micropython import const

from .. import memory
from .members import Packed, PayloadFiles, Text, hex_digest
from .refusal import brief, refused
from .tar import FILE, Tar

_MAX_VERSION = const(1024)  # bytes of each member as stored
_MAX_MANIFEST = const(16384)
_MAX_SIGNATURE = const(2048)  # RSA-4096 in base64 takes 684
_MAX_STORED = const(16384)  # of the header, which is kept whole until its sum is verified
_MAX_HEADER = const(65536)  # unpacked
_VERSION = b'{"format":"mender","version":3}'  # as mender-artifact writes it


class Outer:
    """The handler of the outer tar, its `tar`. header: the Header, once it is verified."""

    def __init__(self, on_header, open_file, verify, ignore_scripts, max_payload):
        self._on_header = on_header
        self._open_file = open_file
        self._verify = verify
        self._ignore_scripts = ignore_scripts
        self._max_payload = max_payload
        self._open = self._open_version  # (name, size) -> what takes the next member
        self._member = _NOBODY
        self._version = b""
        self._manifest_raw = b""
        self._signature = None
        self.tar = Tar(self, "Artifact")
        self.verification = None
        self.header = None

    def begin(self, name, size, kind):
        if kind != FILE:
            raise refused("Artifact", "plain files", f"{brief(name)} of type {kind!r}")
        self._member = self._open(name, size)

    def data(self, view):
        self._member.data(view)

    def end(self):
        self._member.end()
        self.close()

    def offset(self):
        """Of the first byte of the payload's file that began last; None if it is compressed."""
        inner = self._member.offset()  # pyright: ignore[reportAttributeAccessIssue]
        return None if inner is None else self.tar.offset + inner

    def complete(self):
        """The outer tar is over: was everything in it?"""
        empty = self.header is not None and self.header.payload_type is None
        if self._open != self._open_nothing and not empty:
            raise refused("Artifact", "more members", "its end")

    def close(self):
        self._member.close()
        self._member = _NOBODY

    def _open_version(self, name, size):
        _expect("version", name)
        self._open = self._open_manifest
        return Text(name, size, _MAX_VERSION, self._keep_version)

    def _keep_version(self, raw):
        self._version = bytes(raw)

    def _open_manifest(self, name, size):
        _expect("manifest", name)
        self._open = self._open_signature
        return Text(name, size, _MAX_MANIFEST, self._keep_manifest)

    def _keep_manifest(self, raw):
        self._manifest_raw = bytes(raw)
        if b"header.tar.gz" not in self._manifest_raw:
            # Nothing to inflate, most likely in the payload either: there is room for more.
            memory.release(memory.SMALL_WINDOW)
            memory.release(memory.FULL_WINDOW)
        try:
            self._read_manifest(self._manifest_raw)
        finally:
            _done("manifest")

    def _read_manifest(self, raw):
        from .manifest import Manifest

        manifest = Manifest(raw)
        self._sums, self._header_name = manifest.sums, manifest.header
        self._files, self._manifest_sha256 = manifest.files, manifest.sha256

    def _open_signature(self, name, size):
        if name != "manifest.sig":
            return self._open_header(name, size)
        self._open = self._open_header
        return Text(name, size, _MAX_SIGNATURE, self._keep_signature)

    def _keep_signature(self, raw):
        self._signature = bytes(raw)
        if self._verify is not None:
            self.verification = self._verified()
            self.tar.hold()

    def _verified(self):
        yield from self._verify(self._manifest_raw, self._signature)
        self.verification = None

    def _open_header(self, name, size):
        gzip = _is_gzip("header.tar", name)
        if self._verify is not None and self._signature is None:
            for _ in self._verified():
                pass
        self._manifest_raw = b""
        self._check_sum("version", hashlib.sha256(self._version))
        if self._version != _VERSION:
            self._check_version()
        if name != self._header_name:
            raise refused("Artifact", f"{self._header_name}, as in the manifest", brief(name))
        self._open = self._open_payload
        return Text(name, size, _MAX_STORED, lambda raw: self._take_header(raw, gzip))

    def _check_version(self):
        from .metadata import check_version

        check_version(self._version)

    def _check_sum(self, name, running):
        stated = self._sums[name]
        actual = hex_digest(running)
        if stated != actual:
            raise refused(name, f"SHA-256 {stated}, as in the manifest", actual)

    def _take_header(self, raw, gzip):
        # Each of these is done, and its frame gone, before the next brings its modules along.
        self._check_sum(self._header_name, hashlib.sha256(raw))
        try:
            texts = self._unpack(self._header_name, raw, gzip)
        finally:
            _done("headerfiles")
        if gzip:
            memory.restore()  # the large place, if it was in use: before others settle there
        try:
            self.header = self._read_header(texts)
        finally:
            _done("metadata", "strictjson", "utf8")
        self._on_header(self.header)

    def _read_header(self, texts):
        from .metadata import read_header

        header = read_header(texts)
        header.files = self._files
        header.manifest_sha256 = self._manifest_sha256
        header.signed = self._signature is not None
        if header.payload_type is None and header.files:
            raise refused("header", "no files and no meta-data in an empty payload", "some")
        return header

    def _unpack(self, name, raw, gzip):
        # A header hardly looks back further than 2 KiB. So the large window and its place in the
        # heap stay untouched for the payload; a header that does look back is unpacked again.
        from .headerfiles import HeaderFiles

        if gzip:
            from .inflate import unpack

            files = HeaderFiles(self._ignore_scripts)
            tar = Tar(files, name)
            if unpack(raw, tar.feed, _MAX_HEADER, name):
                tar.finish()
                files.complete()
                return files.texts
        files = HeaderFiles(self._ignore_scripts)
        self._member = Packed(name, gzip, files, _MAX_HEADER)
        self._member.data(raw)
        self._member.end()
        self._member = _NOBODY
        return files.texts

    def _open_payload(self, name, size):
        gzip = _is_gzip("data/0000.tar", name)
        if gzip:
            memory.restore()
        else:
            memory.release(memory.SMALL_WINDOW)  # it was the header's
        self._open = self._open_nothing
        files = PayloadFiles(self._files, self._open_file)
        return Packed(name, gzip, files, self._max_payload)

    def _open_nothing(self, name, size):
        raise refused("Artifact", "its end after data/0000.tar", brief(name))


def _nothing(*_):
    pass


_NOBODY = Text("", 0, 0, _nothing)  # what takes the data between two members


def _done(*modules):
    # What reads the manifest and the header is not in the heap beside the payload's window.
    for module in modules:
        memory.forget("instar.artifact." + module)


def _expect(wanted, name):
    if name != wanted:
        raise refused("Artifact", f"{wanted} as the next member", brief(name))


def _is_gzip(stem, name):
    """Whether the member that has to be `stem`, perhaps compressed, is a gzip. Or Rejected."""
    if "-augment" in name:
        raise refused("Artifact", f"{stem}: augmented Artifacts are not supported", brief(name))
    if name[: len(stem)] != stem:
        raise refused("Artifact", f"{stem} or {stem}.gz as the next member", brief(name))
    suffix = name[len(stem) :]
    if suffix in (".xz", ".zst"):
        raise refused(
            "Artifact",
            f"{stem} or {stem}.gz (write it with --compression gzip or none: a board has not"
            " the memory for this one)",
            brief(name),
        )
    if suffix not in ("", ".gz"):
        raise refused("Artifact", f"{stem} or {stem}.gz as the next member", brief(name))
    return suffix == ".gz"
