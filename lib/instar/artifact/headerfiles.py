# The handler of header.tar: keeps its three small texts, in the order that they must come.
#
#   files = HeaderFiles(ignore_scripts)      # for a Tar
#   files.texts                              # name -> bytes, after complete()
#
# Needed for a moment only: reader.py unloads this module after use.
# SPDX-License-Identifier: MIT

from micropython import const

from .refusal import brief, refused
from .tar import FILE

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


class HeaderFiles:
    """texts: header-info, headers/0000/type-info and perhaps headers/0000/meta-data, as bytes."""

    def __init__(self, ignore_scripts):
        self._ignore_scripts = ignore_scripts
        self._last = None
        self._text = None  # bytearray of the member that passes, None for a script
        self.texts = {}

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
            self.texts[self._last] = bytes(self._text)

    def complete(self):
        if _TYPE not in self.texts:
            raise refused("header.tar", " or ".join(_AFTER[self._last]), "its end")

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
