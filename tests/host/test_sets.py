"""The sets, held against the source; and the package.json files, against both."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from instar_tools import packaging, sets
from instar_tools.cli import main
from instar_tools.paths import BOARDS, ROOT

TREE = {path.relative_to(sets.LIB).as_posix() for path in sets.PACKAGE.rglob("*.py")}
OTHERS = {
    "instar-mender": ("servers/murano", "servers/magistrala", "bootstrap", "outbox", "watcher"),
    "instar-magistrala": ("servers/murano", "servers/mender", "artifact", "intake", "recorder"),
    "instar-murano": ("servers/mender", "servers/magistrala", "bootstrap", "publisher", "senml"),
}


def test_every_module_is_in_a_set():
    assert set(sets.files_of("instar")) == TREE


@pytest.mark.parametrize("name", sets.SETS)
def test_a_set_has_all_that_its_modules_import_as_they_are_imported(name):
    files = set(sets.files_of(name))
    assert files <= TREE
    needed = {
        f"instar/{other}" for path in files for other, top in sets.imports(sets.LIB / path) if top
    }
    assert needed and needed <= files


@pytest.mark.parametrize("name", OTHERS)
def test_a_set_has_nothing_of_the_others(name):
    files = sets.files_of(name)
    assert not [
        path for path in files if path.startswith(tuple(f"instar/{n}" for n in OTHERS[name]))
    ]


def test_a_part_that_is_left_out_is_imported_only_where_it_is_asked_for():
    """What a set is without, its modules import inside of functions, at one of a part's doors."""
    doors = {door for part in sets.PARTS.values() for door in part}
    for name in sets.SETS:
        files = set(sets.files_of(name))
        for path in files:
            for other, top in sets.imports(sets.LIB / path):
                if f"instar/{other}" not in files:
                    assert not top and other in doors, f"{name}: {path} imports {other}"


def test_imports_are_read_as_python_does():
    found = dict(sets.imports(sets.PACKAGE / "servers" / "mender" / "auth.py"))
    assert found["crypto/keys.py"] and found["crypto/__init__.py"] and found["errors.py"]
    found = dict(sets.imports(sets.PACKAGE / "parts.py"))
    assert found["servers/mender/__init__.py"] is False and found["errors.py"] is True
    assert dict(sets.imports(sets.PACKAGE / "http" / "__init__.py"))["memory.py"]


@pytest.mark.parametrize("board", [path.parent.name for path in BOARDS.glob("*/board.py")])
def test_a_board_brings_what_its_module_imports(board):
    files = {*sets.board_files(board)}
    assert "instar/wifi_board.py" in files and files <= {*sets.files_of("instar-magistrala")}
    own = files - {*sets.slot_files_of("instar")}  # the chip's: not in every board's slot
    assert len(own) <= 1 and all(path.endswith("_board.py") for path in own)


def test_the_package_files_are_those_of_this_tree():
    """After a change: `instar package --update`."""
    for path, text in packaging.committed().items():
        assert (ROOT / path).read_text() == text, path
        for _, source in json.loads(text)["urls"]:
            assert ((ROOT / path).parent / source).is_file()
            assert ".." not in source  # a server need not understand it


def test_every_package_file_is_one_that_is_made():
    found = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("boards/*/package.json")}
    found |= {path.name for path in ROOT.glob("*.json") if '"urls"' in path.read_text()}
    assert found == {*packaging.committed()}


def run(*words):
    return CliRunner().invoke(main, ["package", *map(str, words)])


def tree(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_for_mip_is_made_anew(tmp_path):
    out = tmp_path / "mip"
    assert run("-o", out).exit_code == 0
    first = {*tree(out)}
    (out / "file" / "mine").write_text("")
    assert run("-o", out, "-O3").exit_code == 0
    # Other bytecode has other hashes: what only the first made is gone, and nothing else.
    assert first - {*tree(out)} and (out / "file" / "mine").exists()
    assert not [path for path in out.rglob("*") if path.is_dir() and not any(path.iterdir())]
    short = json.loads((out / "package" / "6" / "instar-murano" / "latest.json").read_text())
    for path, digits in short["hashes"]:
        assert (out / "file" / digits[:2] / digits).read_bytes() == (
            out / "mpy" / path
        ).read_bytes()
    assert (out / "instar.json").read_text() == (out / "package.json").read_text()


def test_a_folder_with_something_else_stays(tmp_path):
    """instar.json is what a board's settings are called, too."""
    (tmp_path / "instar.json").write_text('{"mender_url": "https://mender.example"}')
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "private.pem").write_text("a key")
    before = tree(tmp_path)
    done = run("-o", tmp_path)
    assert done.exit_code == 1 and "expected an empty folder" in done.output
    assert tree(tmp_path) == before


def test_only_files_below_the_folder_are_deleted(tmp_path):
    out, mine = tmp_path / "mip", tmp_path / "mine.txt"
    mine.write_text("")
    out.mkdir()
    (out / ".instar-package").write_text(f"../mine.txt\n{mine}\n")
    done = run("-o", out)
    assert done.exit_code == 1 and ".instar-package" in done.output and mine.exists()


def test_a_file_in_place_of_the_folder_is_said(tmp_path):
    (tmp_path / "mip").write_text("mine")
    done = run("-o", tmp_path / "mip")
    assert done.exit_code == 1 and "expected a folder" in done.output


def test_bytecode_for_a_board(tmp_path):
    out = tmp_path / "mpy"
    assert run("--mpy", "-o", out).exit_code == 0
    assert (out / "instar" / "recorder.mpy").exists()
    assert run("--mpy", "--set", "instar-mender", "-o", out).exit_code == 0
    found = {path.relative_to(out).with_suffix(".py").as_posix() for path in out.rglob("*.mpy")}
    assert found == {*sets.files_of("instar-mender"), "start.py"}


def test_a_romfs(tmp_path):
    out = tmp_path / "build" / "x.romfs"
    assert run("--romfs", "--set", "instar-magistrala", "-o", out).exit_code == 0
    data = out.read_bytes()
    assert data.startswith(b"\xd2\xcd\x31") and b"publisher.mpy" in data
    assert b"watcher.mpy" not in data


def test_the_parts_that_are_wanted(tmp_path):
    (tmp_path / "mine.mpy").write_bytes(b"")
    done = run("--mpy", "--part", "mender", "--part", "firmware", "-O3", "-o", tmp_path)
    count = len(sets.modules({"mender", "firmware"})) + 1  # start.py
    assert done.exit_code == 0 and f"{count} modules" in done.output
    assert not (tmp_path / "instar" / "installers" / "app.mpy").exists()
    assert (tmp_path / "mine.mpy").exists()


@pytest.mark.parametrize(
    "words, why",
    [
        ((), "expected -o"),
        (("--romfs",), "expected -o"),
        (("--set", "instar", "-o", "x"), "go with --mpy or --romfs"),
        (("--mpy", "--set", "instar", "--part", "app", "-o", "x"), "in place of --set"),
    ],
)
def test_what_does_not_go_together_is_said(words, why):
    done = run(*words)
    assert done.exit_code == 2 and why in done.output
