# The reader of Mender Artifacts (format v3): bytes in as they come, verified files out.
#
#   reader = Reader(on_header, open_file)
#   reader.feed(view) ...
#   reader.finish()          # the download is over: only now is everything verified
#   reader.close()           # always, also when the download is given up
#
# The order is the order of trust: version (unverified), manifest, its signature (`verify`), the
# version's sum, the header's sum, then what the header says, then the payload. Whatever is not
# exactly an Artifact raises Rejected, at the latest in finish(); until that returned, nothing of
# the payload may be activated. Memory does not grow with the Artifact.
#
# Limits: one payload; gzip or no compression; no augmented Artifacts; no state scripts, which are
# programs for a shell (they are refused, or skipped where the settings say so).
# SPDX-License-Identifier: MIT

import hashlib

from micropython import const

from .. import memory
from .inflate import unpack
from .members import Packed, PayloadFiles, Text, hex_digest
from .refusal import brief, refused
from .tar import FILE, Tar

_MAX_VERSION = const(1024)  # bytes of each member as stored
_MAX_MANIFEST = const(16384)
_MAX_SIGNATURE = const(2048)  # RSA-4096 in base64 takes 684
_MAX_STORED = const(16384)  # of the header, which is kept whole until its sum is verified
_MAX_HEADER = const(65536)  # unpacked
_VERSION = b'{"format":"mender","version":3}'  # as mender-artifact writes it


class Reader:
    """One Artifact on its way through.

    Args:
        on_header: on_header(header) gets the verified Header before the payload; it may raise
            Rejected (`header.check(provides)` does, for another board).
        open_file: open_file(name, size) -> sink with write(view) and close(). A sink is closed
            only when the file's checksum matched. Files come one after the other.
        verify: verify(manifest, signature) with the manifest's bytes and those of manifest.sig
            (base64) or None. Called before the header is looked at; raises Rejected if the
            signature is not good enough. Without it, signatures are not looked at.
        ignore_scripts: skip state scripts instead of refusing the Artifact.
        max_payload: the most bytes the payload may unpack to, its tar included; None: the size
            of each file is for open_file to judge.

    feed and finish raise Rejected for a bad Artifact, Broken if the heap has no room to inflate,
    and whatever the callbacks raise. After that the reader takes nothing more.
    """

    def __init__(
        self, on_header, open_file, *, verify=None, ignore_scripts=False, max_payload=None
    ):
        self._members = _Members(on_header, open_file, verify, ignore_scripts, max_payload)
        self._tar = Tar(self._members, "Artifact")
        self._failed = False

    @property
    def header(self):
        """The Header, once it is verified; None before."""
        return self._members.header

    def feed(self, view):
        """Take the next bytes of the Artifact: a memoryview of any length, used only now."""
        self._guarded(self._tar.feed, view)

    def finish(self):
        """The download is over. Returns only if the whole Artifact arrived and is as it says."""
        self._guarded(self._tar.finish)
        self._guarded(self._members.complete)

    def close(self):
        """Give back what is held. After finish() or an error nothing is."""
        self._members.close()

    def _guarded(self, step, *args):
        if self._failed:
            raise refused("Artifact", "nothing more after an error", "more")
        self._failed = True
        try:
            step(*args)
            self._failed = False
        finally:
            if self._failed:
                self.close()


class _Members:
    """The handler of the outer tar: which member may come next, and who takes it."""

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

    def _open_header(self, name, size):
        gzip = _is_gzip("header.tar", name)
        if self._verify is not None:
            self._verify(self._manifest_raw, self._signature)
        self._manifest_raw = b""
        self._check_sum("version", hashlib.sha256(self._version))
        if self._version != _VERSION:
            self._check_version()
        if name != self._header_name:
            raise refused("Artifact", f"{self._header_name}, as in the manifest", brief(name))
        self._open = self._open_payload
        if not gzip:
            # Nothing to inflate, most likely in the payload either: there is room for both.
            memory.release(memory.SMALL_WINDOW)
            memory.release(memory.FULL_WINDOW)
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
        try:
            self.header = self._read_header(texts)
        finally:
            _done("metadata", "strictjson")
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

        files = HeaderFiles(self._ignore_scripts)
        tar = Tar(files, name)
        if gzip and unpack(raw, tar.feed, _MAX_HEADER, name):
            tar.finish()
            files.complete()
        else:
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
