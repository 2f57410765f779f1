"""A board's board.py: it compiles, and its Board has every member that docs/porting.md lists."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click

from instar_tools.image_builder import compile_mpy
from instar_tools.real_boards import RealBoard


def problems(board: RealBoard, folder: Path) -> Iterator[str]:
    """What is wrong with it."""
    root = folder.resolve().parents[1]
    path = folder / "board.py"
    if not path.is_file():
        yield "board.py: expected, found none"
        return
    try:
        compile_mpy(path.read_bytes(), "board.py")
    except click.ClickException as error:
        yield error.message
        return
    members = _members(path, "Board", root / "lib")
    if not members:
        yield "board.py: a class Board expected, found none"
    elif missing := [name for name in _wanted(root) if name not in members]:
        yield f"board.py: Board has no {', '.join(missing)}"
    if (name := members.get("name")) != board.name:
        yield f"board.py: Board.name: {board.name} expected, got {name}"


def _wanted(root: Path) -> list[str]:
    # The first table of the page: | `reset()` | a hard reset ... |
    table = (root / "docs" / "porting.md").read_text().split("\n\n|")[1]
    found = re.findall(r"(?m)^\|? ?`(?:await )?([a-z_]+)(?:\(.*?\))?`", table)
    return found or ["a table of members in docs/porting.md"]


def _members(path: Path, name: str, library: Path) -> dict[str, object]:
    """Names that a class and its bases have, and what those are that are simple values."""
    tree = ast.parse(path.read_text())
    origins = {
        alias.name: _origin(node, path, library)
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    kind = next((n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == name), None)
    if not kind:
        return {}
    found: dict[str, object] = {}
    for base in kind.bases:
        if isinstance(base, ast.Name) and base.id in origins:
            found |= _members(origins[base.id], base.id, library)
    for node in kind.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            found[node.name] = None
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            value = node.value.value if isinstance(node.value, ast.Constant) else None
            found[node.targets[0].id] = value
    return found


def _origin(node: ast.ImportFrom, path: Path, library: Path) -> Path:
    parts = (node.module or "").split(".")
    folder = path.parent if node.level else library
    return folder.joinpath(*parts).with_suffix(".py")
