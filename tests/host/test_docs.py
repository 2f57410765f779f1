"""The commands in the documents: each names a command, options and choices that there are; and
the documents' links lead somewhere."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from instar_tools.cli import main
from instar_tools.paths import ROOT

DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
FENCED = re.compile(r"^```[a-z]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")


def commands(document: Path) -> list[list[str]]:
    """The `instar ...` lines of the fenced blocks, as words."""
    found = []
    for block in FENCED.findall(document.read_text()):
        for line in block.replace("\\\n", " ").splitlines():
            line = re.sub(r"^(\$ |[A-Z_]+='?[^ ']*'? )*", "", line)
            if line.startswith("instar "):
                words = shlex.split(line.partition(" &")[0], comments=True)
                found.append(words[1:])
    return found


def check(command: click.Command, words: list[str]) -> None:
    context = click.Context(command)
    options, rest, _ = command.make_parser(context).parse_args(args=list(words))
    if isinstance(command, click.Group):
        below = command.get_command(context, rest[0])
        assert below, f"no command {rest[0]}"
        check(below, rest[1:])
    else:
        assert not rest, f"nobody takes {rest}"
    for parameter in command.params:
        value = options.get(parameter.name)
        if isinstance(parameter.type, click.Choice) and value is not None:
            for one in value if isinstance(value, (list, tuple)) else [value]:
                parameter.type.convert(one, parameter, context)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_are_there(document):
    for words in commands(document):
        if "..." in " ".join(words):
            continue
        try:
            check(main, words)
        except (click.UsageError, AssertionError) as error:
            pytest.fail(f"{document.name}: instar {' '.join(words)}: {error}")


def anchors(document: Path) -> set[str]:
    """What GitHub makes of the headlines."""
    heads = re.findall(r"^#+ (.*)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document):
    for link in LINK.findall(document.read_text()):
        if link.startswith(("http:", "https:", "mailto:")):
            continue
        path, _, anchor = link.partition("#")
        target = document.parent / path if path else document
        assert target.exists(), f"{document.name}: {link}"
        if anchor:
            assert anchor in anchors(target), f"{document.name}: {link}"
