"""The commands in the documents: each names a command, options and choices that there are, and
gives what has to be given; `make` has its targets; and the documents' links lead somewhere."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from instar_tools.cli import main
from instar_tools.paths import ROOT

_FOLDERS = ("bench", "boards", "docs", "firmware", "lib", "tests", "tools")
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *(path for name in _FOLDERS for path in (ROOT / name).rglob("*.md"))]
)
# Where a person types along: a page without commands is one that is not read rightly.
WALKS = ("README.md", "docs/tutorial-esp32.md", "docs/tutorial-pico-w.md", "docs/install.md")

FENCED = re.compile(r"^ *```\w*\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"(?:^(?: {4,}|\t).*\n?)+", re.MULTILINE)
INLINE = re.compile(r"(?<!`)`([^`]+)`(?!`)")
BEFORE = re.compile(r"^\s*(?:\$ |[A-Z_]+=(?:'[^']*'|\S)* )*")  # a prompt, variables
LINK = re.compile(r"\]\(([^)\s]+)\)")
OMITTED = {"..", "...", "[...]"}


def commands(text: str, name: str) -> Iterator[tuple[list[str], bool]]:
    """The words after `name` of each such command, and whether it is to be typed as it stands: it
    is in a block, and nothing is left out. What is named in a sentence may be a part."""
    blocks = [*FENCED.findall(text)]
    text = FENCED.sub("", text)
    blocks += INDENTED.findall(text)
    lines = [(line, True) for block in blocks for line in re.sub(r"\\\n", " ", block).splitlines()]
    lines += [(" ".join(code.split()), False) for code in INLINE.findall(INDENTED.sub("", text))]
    for line, typed in lines:
        line = BEFORE.sub("", line)
        if line.startswith(f"{name} "):
            words = shlex.split(re.split(r" (?:&|\||>|\))", line)[0], comments=True)[1:]
            kept = [word for word in words if word not in OMITTED]
            yield kept, typed and kept == words


def check(command: click.Command, words: list[str], typed: bool) -> None:
    """Raises click.UsageError or AssertionError."""
    context = click.Context(command)
    try:
        given, rest, _ = command.make_parser(context).parse_args(args=list(words))
    except click.BadOptionUsage:
        if typed:
            raise
        names = {name for param in command.params for name in (*param.opts, *param.secondary_opts)}
        unknown = [word for word in words if word.startswith("-") and word not in names]
        assert not unknown, f"no option {unknown[0]}"
        return  # in a sentence an option may stand without its value
    for param in command.params:
        values = given.get(param.name)
        values = values if isinstance(values, (list, tuple)) else [values]
        values = [value for value in values if isinstance(value, str)]
        assert values or not param.required or not typed, (
            f"without {param.get_error_hint(context)}"
        )
        for value in values if isinstance(param.type, click.Choice) else ():
            param.type.convert(value, param, context)
    if not isinstance(command, click.Group):
        assert not rest, f"nobody takes {rest}"
    elif rest or typed:
        assert rest, "a command expected after it"
        below = command.get_command(context, rest[0])
        assert below, f"no command {rest[0]}"
        check(below, rest[1:], typed)


def targets() -> set[str]:
    lines = (ROOT / "Makefile").read_text()
    return set(re.findall(r"(?m)^([a-z][\w-]*):(?!=)", lines))


def faults(text: str) -> list[str]:
    """What is wrong with the commands in a text."""
    found = []
    for words, typed in commands(text, "instar"):
        try:
            check(main, words, typed)
        except (click.UsageError, AssertionError) as error:
            found.append(f"instar {' '.join(words)}: {error}")
    for words, typed in commands(text, "make"):
        if words[:1] == ["-C"]:  # MicroPython's own
            continue
        names = [word for word in words if "=" not in word and not word.startswith("-")]
        unknown = {*(names if typed else names[:1])} - targets()
        found += [f"make {name}: no such target" for name in sorted(unknown)]
    return found


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_are_there(document):
    assert faults(document.read_text()) == []


@pytest.mark.parametrize("name", WALKS)
def test_a_walk_has_commands_to_type(name):
    typed = [words for words, typed in commands((ROOT / name).read_text(), "instar") if typed]
    assert len(typed) > 1


def test_every_page_is_read():
    names = {path.relative_to(ROOT).as_posix() for path in DOCUMENTS}
    assert {*WALKS, "SECURITY.md", "boards/UNIX/README.md"} <= names


BLOCK, INSIDE, SENTENCE = "```sh\n{}\n```\n", "Thus:\n\n    {}\n\nand so on.\n", "Say `{}` then.\n"
GOOD = "instar artifact write rootfs-image -t esp32 -n app-2 -f mp.bin -o app-2.mender"


@pytest.mark.parametrize("form", [BLOCK, INSIDE, SENTENCE])
@pytest.mark.parametrize(
    ("command", "said"),
    [
        (GOOD, None),
        ("A=1 B='2 3' instar sim run board.flash --until idle && echo done", None),
        ("instar artefact write", "no command artefact"),
        ("instar sim run board.flash --untill idle", "No such option"),
        ("instar deploy --port COM3 --board ESP32_GENERIK", "is not one of"),
        ("instar deploy --port COM3 my_app", "nobody takes ['my_app']"),
        ("make test PYTEST_ARGS=-x", None),
        ("make -C micropython/ports/esp32 BOARD=X", None),
        ("make tests", "make tests: no such target"),
    ],
)
def test_a_fault_is_found_wherever_it_stands(form, command, said):
    found = faults(form.format(command))
    assert (len(found) == 1 and said in found[0]) if said else found == []


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (GOOD.replace(" -n app-2", ""), "without '-n'"),
        ("instar sim run", "without 'FLASH'"),
        ("instar sim", "a command expected"),
        ("instar sim run --heap", "requires an argument"),
    ],
)
def test_what_is_missing_is_found_where_it_is_to_be_typed(command, said):
    for form in (BLOCK, INSIDE):
        (found,) = faults(form.format(command))
        assert said in found
    assert faults(SENTENCE.format(command)) == []
    assert faults(BLOCK.format(f"{command} ...")) == [] or command.endswith("--heap")


def test_a_line_that_goes_on_is_one():
    head, tail = GOOD.split(" -n ")
    assert faults(BLOCK.format(f"{head} \\\n  -n {tail}")) == []
    assert faults(BLOCK.format(f"{head}\n  -n {tail}"))


def anchors(document: Path) -> set[str]:
    """What GitHub makes of the headlines."""
    heads = re.findall(r"^#+ (.*)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document):
    for link in LINK.findall(document.read_text()):
        if link.startswith(("http:", "https:", "mailto:")):
            continue
        path, _, anchor = link.partition("#")
        target = document.parent / path if path else document
        assert target.exists(), f"{document.name}: {link}"
        if anchor:
            assert anchor in anchors(target), f"{document.name}: {link}"
