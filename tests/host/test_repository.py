"""What holds for the repository as a whole."""

import re

from instar_tools import __version__
from instar_tools.paths import LIB, ROOT


def test_one_version_everywhere():
    board = re.search(r'__version__ = "(.+?)"', (LIB / "instar" / "__init__.py").read_text())[1]
    project = re.search(
        r'^version = "(.+?)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE
    )[1]
    assert board == project == __version__
    assert f"## {board}" in (ROOT / "CHANGELOG.md").read_text()
