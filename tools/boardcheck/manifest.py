"""What a manifest freezes, found out as MicroPython's tools/manifestfile.py does.

    frozen = Frozen()
    frozen.run(Path("boards/ESP32_GENERIC/manifest.py"))
    frozen.files            # {"instar/agent.py": Path(...), "board.py": ...}
    frozen.stock            # ["boards/manifest.py"]: what it includes of MicroPython's port

Limits: of MicroPython's own manifests only the names are seen, and require() is theirs alone.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from pathlib import Path

_PORT = "$(PORT_DIR)/"


class BadManifest(Exception):
    """A manifest that MicroPython would refuse; the message says which and why."""


class _Options:
    def __init__(self, given: dict[str, object]) -> None:
        self._given = given

    def __getattr__(self, name: str) -> object:
        return self._given.get(name)


class Frozen:
    """Everything that a manifest and those it includes freeze."""

    def __init__(self) -> None:
        self.files: dict[str, Path] = {}
        self.stock: list[str] = []
        self._folders: list[Path] = []

    def run(self, path: Path, **options: object) -> None:
        """Follow one manifest. Raises BadManifest."""
        if not path.is_file():
            raise BadManifest(f"{path}: expected a manifest, found none")
        self._folders.append(path.resolve().parent)
        words = {
            "include": self._include,
            "package": self._package,
            "module": self._module,
            "freeze": self._freeze,
            "options": _Options(options),
        }
        try:
            exec(compile(path.read_text(), str(path), "exec"), words)
        except BadManifest:
            raise
        except Exception as error:
            raise BadManifest(f"{path.parent.name}/{path.name}: {error}") from error
        finally:
            self._folders.pop()

    def _at(self, path: str) -> Path:
        return (self._folders[-1] / path).resolve()

    def _include(self, path: str, **options: object) -> None:
        if path.startswith(_PORT):
            self.stock.append(path.removeprefix(_PORT))
        else:
            self.run(self._at(path), **options)

    def _package(self, name: str, *, base_path: str = ".", opt: int | None = None) -> None:
        folder = self._at(base_path) / name
        found = sorted(folder.rglob("*.py"))
        if not found:
            raise BadManifest(f"package {name}: modules in {base_path} expected, found none")
        for path in found:
            self._add(path.relative_to(folder.parent).as_posix(), path)

    def _module(self, name: str, *, base_path: str = ".", opt: int | None = None) -> None:
        self._add(name, self._at(base_path) / name)

    def _freeze(self, path: str, *, opt: int | None = None) -> None:
        folder = self._at(path)
        for file in sorted([*folder.rglob("*.py"), *folder.rglob("*.mpy")]):
            self._add(file.relative_to(folder).as_posix(), file)

    def _add(self, name: str, path: Path) -> None:
        if not path.is_file():
            raise BadManifest(f"{name}: expected a file, found none")
        if name in self.files:
            raise BadManifest(f"{name}: is frozen twice")
        self.files[name] = path
