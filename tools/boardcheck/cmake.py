"""As much of CMake as a board's mpconfigboard.cmake and its variants use.

    build = Build(variables, stock)       # stock(path): text that stands for one of MicroPython's
    build.run(Path("boards/ESP32_GENERIC/mpconfigboard.cmake"))
    build.lists["SDKCONFIG_DEFAULTS"], build.written     # {path: content} of file(WRITE)

Limits: set, list(APPEND | REMOVE_ITEM), include, file(WRITE), string(REGEX MATCH); anything else
is an error, so that it gets looked at here, too.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

Variables = dict[str, list[str]]
_COMMAND = re.compile(r'\s*(\w+)\s*\(((?:"(?:\\.|[^"\\])*"|[^()"])*)\)', re.DOTALL)
_ARGUMENT = re.compile(r'"((?:\\.|[^"\\])*)"|(\S+)', re.DOTALL)


class BadCMake(Exception):
    """A file that cannot be followed; the message names it."""


class Build:
    """What a build knows after the files it ran.

    variables: name -> list of values, as CMake has before. stock: what stands for MicroPython's
    own file at a path relative to the port, None if it has no such file. taken: those that ran.
    """

    def __init__(self, variables: Variables, stock: Callable[[str], str | None]) -> None:
        self.lists = {name: list(values) for name, values in variables.items()}
        self.written: dict[str, str] = {}
        self.taken: list[str] = []
        self._stock = stock

    def run(self, path: Path) -> None:
        """Follow one file. Raises BadCMake."""
        if not path.is_file():
            raise BadCMake(f"{path.name}: expected a file, found none")
        self._follow(path.name, path.read_text())

    def _follow(self, name: str, content: str) -> None:
        for command, text in _commands(name, content):
            action = getattr(self, f"_{command.lower()}", None)
            if not action:
                raise BadCMake(f"{name}: {command}() is not known to this check")
            try:
                action(list(self._arguments(text)))
            except (IndexError, ValueError) as error:
                raise BadCMake(f"{name}: {command}({text.strip()}): {error}") from error

    def text(self, name: str) -> str:
        """A variable's value, its list joined as CMake does."""
        return ";".join(self.lists.get(name, []))

    def _arguments(self, text: str) -> Iterator[str]:
        for quoted, bare in _ARGUMENT.findall(text):
            if bare:
                yield from filter(None, self._expand(bare).split(";"))
            else:
                yield re.sub(r"\\(.)", r"\1", self._expand(quoted))

    def _expand(self, text: str) -> str:
        def value(match: re.Match[str]) -> str:
            if match[1] not in self.lists:
                raise ValueError(f"{match[1]} is not set")
            return self.text(match[1])

        return re.sub(r"\$\{(\w+)\}", value, text)

    def _set(self, words: list[str]) -> None:
        self.lists[words[0]] = words[1:]

    def _list(self, words: list[str]) -> None:
        what, name, *values = words
        items = self.lists.setdefault(name, [])
        if what == "APPEND":
            items += values
        elif what == "REMOVE_ITEM":
            self.lists[name] = [item for item in items if item not in values]
        else:
            raise ValueError("APPEND or REMOVE_ITEM expected")

    def _string(self, words: list[str]) -> None:
        if words[:2] != ["REGEX", "MATCH"]:
            raise ValueError("REGEX MATCH expected")
        found = re.search(words[2], "".join(words[4:]))
        self.lists[words[3]] = [found[0]] if found else []

    def _file(self, words: list[str]) -> None:
        if words[0] != "WRITE":
            raise ValueError("WRITE expected")
        self.written[words[1]] = "".join(words[2:])

    def _include(self, words: list[str]) -> None:
        port = self.text("MICROPY_PORT_DIR")
        path = words[0].removeprefix(f"{port}/")
        if not Path(path).is_absolute():
            found = self._stock(path)
            if found is None:
                raise ValueError("a file of MicroPython's stock board expected")
            self.taken.append(path)
            self._follow(path, found)
        else:
            self.run(Path(path))


def _commands(name: str, content: str) -> Iterator[tuple[str, str]]:
    text = re.sub(r"(?m)^\s*#.*$", "", content)
    at = 0
    while text[at:].strip():
        match = _COMMAND.match(text, at)
        if not match:
            line = text[at:].strip().splitlines()[0]
            raise BadCMake(f"{name}: a command expected, got {line!r}")
        yield match[1], match[2]
        at = match.end()
