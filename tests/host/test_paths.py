"""Which MicroPython runs the board side."""

import subprocess
from pathlib import Path

from instar_tools import paths

WHO = "import sys; print(sys.implementation.name, len(sys.argv))"


def test_the_one_that_is_installed_is_micropython():
    said = subprocess.check_output([paths.micropython(), "-c", WHO, "x"])
    assert said == b"micropython 2\n"


def test_micropython_in_the_environment_comes_first(monkeypatch):
    monkeypatch.setenv("MICROPYTHON", "/somewhere/else")
    assert paths.micropython() == "/somewhere/else"


def test_a_path_that_a_first_line_cannot_hold_goes_the_usual_way(monkeypatch, tmp_path):
    folder = tmp_path / "with a space"
    folder.mkdir()
    (folder / "micropython").touch()
    monkeypatch.delenv("MICROPYTHON", raising=False)
    monkeypatch.setattr(paths.sys, "executable", str(folder / "python"))
    assert Path(paths.micropython()) == folder / "micropython"
