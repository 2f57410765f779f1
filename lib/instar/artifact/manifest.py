# The manifest of an Artifact: one checksum per line, over which the signature is made.
# Strict as its writers are: 64 lower-case hex digits, two spaces, a name, a newline (Artifact
# format v3, "manifest"); no blank line, no name twice, version and header listed.
# SPDX-License-Identifier: MIT

import hashlib

from micropython import const

from .members import hex_digest
from .refusal import brief, refused

_HEX = b"0123456789abcdef"
_NAME = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,_-"
_PAYLOAD = "data/0000/"
_MAX_FILES = const(128)  # in the payload; each takes a quarter of a KiB of heap until it is over


class Manifest:
    """What `raw` (bytes of the member) lists.

    header: the name of the header's member; sums: SHA-256 as 64 hex digits of that and of version;
    files: [(name, SHA-256)] of the payload, in the manifest's order; sha256: of `raw` itself.

    Raises Rejected if it is not exactly of the format, or lists what cannot be in an Artifact.
    """

    def __init__(self, raw):
        self.sha256 = hex_digest(hashlib.sha256(raw))
        self.sums = {}
        self.header = None
        self.files = []
        lines = raw.split(b"\n")
        if lines.pop():
            raise refused("manifest", "a newline at its end", "none")
        for line in lines:
            self._add(*_entry(line))
        if "version" not in self.sums or self.header is None:
            raise refused("manifest", "version and header.tar", brief(list(self.sums)))
        # All names were here to find one that comes twice; from now on the list has the files.
        self.sums = {name: self.sums[name] for name in ("version", self.header)}

    def _add(self, digest, name):
        if name in self.sums:
            raise refused("manifest", "each name once", f"{brief(name)} twice")
        self.sums[name] = digest
        if name.startswith(_PAYLOAD):
            self._add_file(file_name(name[len(_PAYLOAD) :], "manifest"), digest)
        elif name == "header.tar" or name.startswith("header.tar."):
            if self.header is not None:
                raise refused("manifest", "one header", brief([self.header, name]))
            self.header = name
        elif name != "version":
            raise refused("manifest", f"version, header.tar or {_PAYLOAD}NAME", brief(name))

    def _add_file(self, name, digest):
        if len(self.files) == _MAX_FILES:
            raise refused("manifest", f"at most {_MAX_FILES} files", "more")
        self.files.append((name, digest))


def file_name(name, what):
    """`name`, if a payload file may be called so: letters, digits and `.,_-`, but no dots alone.

    Raises Rejected otherwise.
    """
    if not name or name in (".", "..") or any(character not in _NAME for character in name):
        raise refused(what, "a file name of letters, digits and .,_-", brief(name))
    return name


def _entry(line):
    digest = line[:64]
    name = line[66:]
    if (
        len(digest) < 64
        or any(byte not in _HEX for byte in digest)
        or line[64:66] != b"  "
        or not name
        or any(byte <= 32 or byte == 127 for byte in name)
    ):
        raise refused("manifest", "64 hex digits, two spaces and a name", brief(line))
    try:
        return str(digest, "utf-8"), str(name, "utf-8")
    except UnicodeError:
        raise refused("manifest", "a name in UTF-8", brief(name))
