# Where the payloads single-file and directory may write: below the settings' file_roots, and
# whatever those say, never over the agent, its guard, its records, its settings and its keys, nor
# where the board would import it instead of a module that it has or asks for.
#
#   folder = normal("/data/www/")                  # "/data/www"
#   check(folder, folder, settings, board)         # raises Rejected
# SPDX-License-Identifier: MIT

from ..artifact.refusal import brief, refused
from .tree import safe

MARK = ".instar-"  # in the name of everything that lies about during an update
_AGENTS = (
    "/boot.py",
    "/main.py",
    "/instar.json",
    "/.instar",
    "/guard",
    "/a",
    "/a.part",
    "/b",
    "/b.part",
    "/instar",
    "/lib/instar",
)
# boot.RESERVED, and what start.py imports. Repeated, because boot.py is not in a download's heap.
_MODULES = (
    " app asyncio binascii board boot collections cryptolib deflate errno esp32 gc hashlib instar"
    " io json machine main micropython network os payloads random rp2 select socket ssl start"
    " struct sys time tls vfs "
)


def normal(folder):
    """The payload's dest_dir as /one/two; "" for /. Raises Rejected if it is not harmless."""
    if folder[:1] != "/" or "//" in folder:
        raise refused("dest_dir", "an absolute path without empty parts", brief(folder))
    inner = folder[1:-1] if folder[-1] == "/" else folder[1:]
    return "/" + safe(inner, "dest_dir") if inner else ""


def check(target, folder, settings, board):
    """Raise Rejected unless the payload may replace `target`, which is or lies in `folder`.

    Both are normal(). settings: file_roots, and the files they name; board: where its own lie.
    """
    roots = settings.file_roots
    if not any(_lies_in(folder, "" if root == "/" else root) for root in roots):
        raise refused("dest_dir", f"a folder in file_roots, {brief(roots)}", brief(folder or "/"))
    if MARK in target:
        raise refused("dest_dir", f"a place without {MARK!r} in its name", brief(target))
    for path in _taboo(settings, board):
        if _lies_in(target, path) or _lies_in(path, target):
            raise refused("dest_dir", f"a place apart from {path}", brief(target))
    # The root and /lib are in sys.path, where even what is built in, as json, is looked for first.
    first, _, rest = target[1:].partition("/")
    first = rest.partition("/")[0] if first == "lib" else first
    stem, _, suffix = first.rpartition(".")
    module = stem if suffix in ("py", "mpy") else first
    if f" {module} " in _MODULES:
        raise refused("dest_dir", f"a place where nothing imports {module}", brief(target))


def _lies_in(path, folder):
    return path == folder or path[: len(folder) + 1] == folder + "/"


def _taboo(settings, board):
    named = list(settings.ca) + list(settings.artifact_verify_keys)
    named += [settings.client_cert, settings.client_key]
    named += [getattr(board, "settings_path", ""), getattr(board, "state_dir", "")]
    return _AGENTS + tuple(_absolute(path) for path in named if path)


def _absolute(path):
    # What people write in settings: relative, or with dots. Programs run in the root.
    parts = []
    for part in path.split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in ("", "."):
            parts.append(part)
    return "/" + "/".join(parts)
