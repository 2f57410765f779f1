"""A file system in memory, for installers/tree.py: what it calls of `os`, and open()."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import errno
import io

_FOLDER, _FILE = 0x4000, 0x8000
_FREE = 1 << 20


def _error(number: int) -> OSError:
    # MicroPython needs the number only; CPython knows it as errno only if a text follows.
    return OSError(number, errno.errorcode[number])


class Files:
    """Paths are plain keys: what means something else to a real file system is an assertion."""

    def __init__(self) -> None:
        self._found: dict[str, bytes | None] = {"": None}  # None: a folder
        self._put: set[str] = set()

    def mkdir(self, path: str) -> None:
        self._parent(path)
        if self._key(path) in self._found:
            raise _error(errno.EEXIST)
        self._found[path] = None

    def stat(self, path: str):
        key = self._key(path)
        if key not in self._found:
            raise _error(errno.ENOENT)
        data = self._found[key]
        size = 0 if data is None else len(data)
        return (_FOLDER if data is None else _FILE, 0, 0, 0, 0, 0, size, 0, 0, 0)

    def statvfs(self, path: str):
        return (4096, 4096, 0, 0, _FREE // 4096, 0, 0, 0, 0, 255)

    def open(self, path: str, mode: str):
        if mode == "rb":
            return io.BytesIO(self._found[self._key(path)])
        assert mode == "wb"
        self._parent(path)
        assert self._key(path) not in self._found, f"{path} is overwritten"
        self._found[path] = b""
        return _Writing(self._found, path)

    def put(self, path: str, data: bytes) -> None:
        self._found[path] = data
        self._put.add(path)

    def get(self, path: str) -> bytes | None:
        return self._found[path]

    def check(self, root: str) -> None:
        """Nothing lies outside `root` but what leads to it, and what was put there."""
        for path in self._found:
            below = path == root or path.startswith(root + "/")
            assert below or root.startswith(path + "/") or path in self._put, path

    def _key(self, path: str) -> str:
        parts = path.split("/")
        assert parts[0] == "" and not {"", ".", ".."} & set(parts[1:]), path
        assert "\0" not in path and "\\" not in path, path
        return path

    def _parent(self, path: str) -> None:
        parent = self._key(path).rpartition("/")[0]
        if self._found.get(parent, b"") is not None:
            raise _error(errno.ENOENT if parent not in self._found else errno.ENOTDIR)


class _Writing(io.BytesIO):
    def __init__(self, found: dict[str, bytes | None], path: str) -> None:
        super().__init__()
        self._found = found
        self._path = path

    def close(self) -> None:
        if not self.closed:
            self._found[self._path] = self.getvalue()
        super().close()
