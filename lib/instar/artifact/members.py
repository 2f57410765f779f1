# What takes the members of an Artifact: a small text, a packed tar, the header's files, the
# payload's files. Each checks what it can while the bytes pass, the rest at the end.
# SPDX-License-Identifier: MIT

import hashlib

from micropython import const

from .inflate import Inflater
from .manifest import hex_digest
from .refusal import brief, refused
from .tar import FILE, Tar

_MAX_TEXT = const(8192)  # bytes of header-info, type-info, meta-data each
_INFO = "header-info"
_SCRIPTS = "scripts/"
_TYPE = "headers/0000/type-info"
_META = "headers/0000/meta-data"
# What may follow what in header.tar; the key is the member before.
_AFTER = {
    None: (_INFO,),
    _INFO: (_SCRIPTS, _TYPE),
    _SCRIPTS: (_SCRIPTS, _TYPE),
    _TYPE: (_META,),
    _META: (),
}
_STATES = (
    "ArtifactInstall",
    "ArtifactReboot",
    "ArtifactCommit",
    "ArtifactRollback",
    "ArtifactRollbackReboot",
    "ArtifactFailure",
)
_WHEN = ("Enter", "Leave", "Error")


class Text:
    """A member kept whole: done(bytes) gets it. Refused if larger than `limit` bytes."""

    def __init__(self, name, size, limit, done):
        if size > limit:
            raise refused(name, f"at most {limit} bytes", size)
        self._raw = bytearray()
        self._done = done

    def data(self, view):
        self._raw.extend(view)

    def end(self):
        self._done(bytes(self._raw))

    def close(self):
        pass


class Packed:
    """A tar, perhaps compressed: `handler` gets its members, then complete(); then done().

    Args:
        running: a hash that the stored bytes go through, or None.
        limit: the most bytes it may unpack to, or None.
    """

    def __init__(self, name, gzip, handler, done, running=None, limit=None):
        self._handler = handler
        self._done = done
        self._running = running
        self._tar = Tar(handler, name)
        self._gzip = Inflater(self._tar.feed, limit, name) if gzip else None
        self._take = self._gzip.feed if self._gzip else self._tar.feed

    def data(self, view):
        if self._running is not None:
            self._running.update(view)
        self._take(view)

    def end(self):
        if self._gzip:
            self._gzip.finish()
        self._tar.finish()
        # The window is given back before anybody else is called who may need memory.
        self.close()
        self._handler.complete()
        self._done()

    def close(self):
        if self._gzip:
            self._gzip.close()


class HeaderFiles:
    """The handler of header.tar: keeps three small texts, in the order that they must come.

    header_info, type_info: bytes; meta_data: bytes, or None if there is no such member.
    """

    def __init__(self, ignore_scripts):
        self._ignore_scripts = ignore_scripts
        self._last = None
        self._text = None  # bytearray of the member that passes, None for a script
        self._texts = {}

    def begin(self, name, size, kind):
        role = _SCRIPTS if name.startswith(_SCRIPTS) else name
        allowed = _AFTER[self._last]
        if kind != FILE or role not in allowed:
            raise refused(
                "header.tar", " or ".join(allowed) or "its end", f"{brief(name)}, type {kind}"
            )
        self._last = role
        self._text = None
        if role == _SCRIPTS:
            self._check_script(name)
        elif size > _MAX_TEXT:
            raise refused(name, f"at most {_MAX_TEXT} bytes", size)
        else:
            self._text = bytearray()

    def data(self, view):
        if self._text is not None:
            self._text.extend(view)

    def end(self):
        if self._text is not None:
            self._texts[self._last] = bytes(self._text)

    def complete(self):
        if _TYPE not in self._texts:
            raise refused("header.tar", " or ".join(_AFTER[self._last]), "its end")
        self.header_info = self._texts[_INFO]
        self.type_info = self._texts[_TYPE]
        self.meta_data = self._texts.get(_META)

    def _check_script(self, name):
        parts = name[len(_SCRIPTS) :].split("_", 3)
        legal = (
            len(parts) > 2 and parts[0] in _STATES and parts[1] in _WHEN and "/" not in name[8:]
        )
        if not legal or len(parts[2]) != 2 or not parts[2].isdigit():
            raise refused("header.tar", "scripts/STATE_Enter|Leave|Error_NN", brief(name))
        if not self._ignore_scripts:
            raise refused(
                "header.tar", "no state scripts: a board has no shell to run them", brief(name)
            )


class PayloadFiles:
    """The handler of data/0000.tar: each file that the manifest lists, once, into its sink."""

    def __init__(self, files, open_file):
        self._missing = dict(files)
        self._open_file = open_file
        self._name = self._sum = ""
        self._running = hashlib.sha256()

    def begin(self, name, size, kind):
        if kind != FILE:
            raise refused("data/0000.tar", "plain files", f"{brief(name)} of type {kind!r}")
        if name not in self._missing:
            raise refused("data/0000.tar", "a file of the manifest, and once", brief(name))
        self._name = name
        self._sum = self._missing.pop(name)
        self._running = hashlib.sha256()
        self._sink = self._open_file(name, size)

    def data(self, view):
        self._running.update(view)
        self._sink.write(view)

    def end(self):
        actual = hex_digest(self._running)
        if actual != self._sum:
            raise refused(f"data/0000/{self._name}", f"SHA-256 {self._sum}", actual)
        self._sink.close()

    def complete(self):
        if self._missing:
            raise refused(
                "data/0000.tar", "every file of the manifest", f"no {brief(list(self._missing))}"
            )
