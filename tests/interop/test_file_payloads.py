"""Mender's payloads single-file and directory: the board does what Debian's update modules do."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from instar_tools.paths import LIB, ROOT, micropython

pytestmark = pytest.mark.interop
MODULES = Path("/usr/share/mender/modules/v3")
BOARD = Path(__file__).with_name("install_on_board.py")
Tree = dict[str, "str | None"]  # relative path: content, or None for a folder

OLD: Tree = {"a.txt": "old a\n", "only-old": "x", "sub": None, "sub/b.txt": "old b\n" * 500}
NEW: Tree = {"a.txt": "new a\n", "c.txt": "", "empty": None, "sub": None, "sub/b.txt": "n" * 3000}


@pytest.fixture(autouse=True)
def needs_mender(program):
    program("mender-artifact", "tar")
    if not MODULES.is_dir():
        pytest.skip("not installed: mender-client")


def run(*args: object, **more) -> str:
    done = subprocess.run(
        [str(arg) for arg in args],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        **more,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def plant(folder: Path, tree: Tree) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in tree.items():
        if text is None:
            (folder / name).mkdir(parents=True, exist_ok=True)
        else:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)


def tree_of(folder: Path) -> Tree:
    return {
        str(path.relative_to(folder)): None if path.is_dir() else path.read_text()
        for path in folder.rglob("*")
    }


class Module:
    """Debian's update module, with a payload in place and a folder of its own to work on."""

    def __init__(self, kind: str, work: Path, payload: list[Path], target: Path) -> None:
        self._program = MODULES / kind
        self._files = work / "module"
        (self._files / "files").mkdir(parents=True)
        (self._files / "tmp").mkdir()
        for path in payload:
            (self._files / "files" / path.name).write_bytes(path.read_bytes())
        (self._files / "files" / "dest_dir").write_text(f"{target}\n")

    def __call__(self, state: str) -> str:
        return run(self._program, state, self._files).strip()


def artifact(work: Path, kind: str, payload: list[Path]) -> Path:
    """What the generators of that payload type call mender-artifact for."""
    path = work / "out.mender"
    flags = [flag for file in payload for flag in ("-f", file)]
    run("mender-artifact", "write", "module-image", "-T", kind, "-t", "esp32", "-n", "v2",
        "-o", path, *flags)  # fmt: skip
    return path


def single_file(work: Path, content: str, dest_dir: str) -> list[Path]:
    file = work / "conf.json"
    file.write_text(content)
    file.chmod(0o640)
    plant(
        work,
        {
            "dest_dir": f"{dest_dir}\n",
            "filename": f"{file.name}\n",
            "permissions": run("stat", "-c", "%a", file),
        },
    )
    return [work / "dest_dir", work / "filename", work / "permissions", file]


def directory(work: Path, content: Tree, dest_dir: str) -> list[Path]:
    plant(work / "content", content)
    run("tar", "-cf", work / "update.tar", "-C", work / "content", ".")
    plant(work, {"dest_dir": f"{dest_dir}\n"})
    return [work / "update.tar", work / "dest_dir"]


def on_board(path: Path, before: Tree) -> list[dict]:
    files = {f"/data/{name}": text for name, text in before.items()}
    search = f"{LIB}:{ROOT / 'tests' / 'device'}:{ROOT / 'boards' / 'UNIX'}:.frozen"
    said = run(
        micropython(), "-X", "heapsize=4M", BOARD, path,
        env={**os.environ, "MICROPYPATH": search},
        input=json.dumps(files | {"/data": None}),
    )  # fmt: skip
    return [json.loads(line) for line in said.splitlines()]


def below(board: Tree, folder: str) -> Tree:
    """The board's files with names relative to the folder."""
    prefix = folder + "/"
    return {name[len(prefix) :]: text for name, text in board.items() if name.startswith(prefix)}


def answers(module: Module) -> dict[str, bool]:
    return {
        "reboots": module("NeedsArtifactReboot") != "No",
        "rollback": module("SupportsRollback") == "Yes",
    }


@pytest.mark.parametrize("old", [OLD, {}], ids=["over", "new"])
def test_directory(tmp_path, old):
    payload = directory(tmp_path, NEW, "/data/www")
    target = tmp_path / "target"
    module = Module("directory", tmp_path, payload, target)
    if old:
        plant(target, old)
    before = {f"www/{name}": text for name, text in old.items()}
    says, installed, back = on_board(artifact(tmp_path, "directory", payload), before)
    assert says == answers(module)
    module("ArtifactInstall")
    assert below(installed, "/data/www") == tree_of(target) == NEW
    module("ArtifactRollback")
    assert below(back, "/data/www") == tree_of(target) == old


@pytest.mark.parametrize("old", [OLD | {"conf.json": "old\n" * 300}, OLD], ids=["over", "new"])
def test_single_file(tmp_path, old):
    new = "new\n" * 2000
    payload = single_file(tmp_path, new, "/data")
    target = tmp_path / "target"
    module = Module("single-file", tmp_path, payload, target)
    plant(target, old)
    says, installed, back = on_board(artifact(tmp_path, "single-file", payload), old)
    assert says == answers(module)
    module("ArtifactInstall")
    assert tree_of(target) == old | {"conf.json": new}
    assert below(installed, "/data") == tree_of(target)
    module("ArtifactRollback")
    assert below(back, "/data") == old
    if "conf.json" in old:
        assert tree_of(target) == old
    else:  # Mender's module leaves the new file where there was none; ours takes it away
        assert tree_of(target) == old | {"conf.json": new}


@pytest.mark.parametrize("dest_dir, words", [("/etc", "file_roots"), ("/data/../x", "'..'")])
def test_what_the_generator_takes_and_the_board_does_not(tmp_path, dest_dir, words):
    path = artifact(tmp_path, "single-file", single_file(tmp_path, "x", dest_dir))
    with pytest.raises(AssertionError) as caught:
        on_board(path, OLD)
    assert "Rejected: dest_dir: expected" in str(caught.value) and words in str(caught.value)
