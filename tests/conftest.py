"""Device tests become pytest items here; what was left out is named at the end."""

from __future__ import annotations

import ast
import functools
import hashlib
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from instar_tools.image_builder import compiled, read_tree
from instar_tools.paths import LIB, ROOT, micropython
from instar_tools.simulated.board_process import write_folder

DEVICE = Path(__file__).parent / "device"
HEAP = "heapsize=4M"


@functools.cache
def bytecode() -> Path:
    """What device tests import, as bytecode in a folder named after its content: else each test
    would compile all of it anew."""
    files = read_tree(LIB / "instar") | read_tree(DEVICE, content_only=True)
    files |= read_tree(ROOT / "boards" / "UNIX", content_only=True)
    files = compiled({name: data for name, data in files.items() if name.endswith(".py")})
    names = b"".join(name.encode() + data for name, data in sorted(files.items()))
    folder = ROOT / "build" / f"device-{hashlib.sha256(names).hexdigest()[:16]}"
    if not folder.exists():
        write_folder(folder, files)
    return folder


class DeviceFile(pytest.File):
    """tests/device/test_*.py: never imported here, only read for the names of its functions."""

    def collect(self):
        for node in ast.parse(self.path.read_text()).body:
            function = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
            if function and node.name.startswith("test_"):
                yield DeviceItem.from_parent(self, name=node.name)


class DeviceItem(pytest.Item):
    """One function, in a MicroPython of its own."""

    def runtest(self):
        path = f"{bytecode()}:.frozen"
        done = subprocess.run(
            [micropython(), "-X", HEAP, DEVICE / "run.py", self.path.stem, self.name],
            env={**os.environ, "MICROPYPATH": path},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        if done.returncode:
            raise DeviceFailure(done.stdout[-4000:] + done.stderr[-4000:])

    def repr_failure(self, excinfo):
        if isinstance(excinfo.value, DeviceFailure):
            return str(excinfo.value)
        return super().repr_failure(excinfo)

    def reportinfo(self):
        return self.path, None, f"{self.path.stem}::{self.name}"


class DeviceFailure(Exception):
    """What MicroPython printed."""


def pytest_configure(config):
    # The suite may run where these are ignored (nohup, a shell's &), which children take over:
    # programs that a test ends by one of them would go on for ever.
    for number, handler in (
        (signal.SIGINT, signal.default_int_handler),
        (signal.SIGHUP, signal.SIG_DFL),
    ):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


def pytest_pycollect_makemodule(module_path, parent):
    # Device tests import MicroPython's modules: CPython must not import them.
    if module_path.parent == DEVICE:
        return DeviceFile.from_parent(parent, path=module_path)
    return None


def pytest_ignore_collect(collection_path, config):
    if collection_path == DEVICE / "run.py":
        return True
    return None


def require_program(*names: str) -> None:
    """Skip the calling test, by name, when a real program that it needs is not installed."""
    absent = [name for name in names if not shutil.which(name)]
    if absent:
        pytest.skip(f"not installed: {', '.join(absent)}")


@pytest.fixture
def program():
    """``program("mender-artifact")`` skips the test, by name, where that program is missing."""
    return require_program


def _left_out(reporter) -> list[str]:
    return [f"{r.nodeid}: {r.longrepr[2]}" for r in reporter.stats.get("skipped", [])]


def pytest_terminal_summary(terminalreporter):
    if rows := _left_out(terminalreporter):
        terminalreporter.section("left out")
        for row in rows:
            terminalreporter.line(row)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session, exitstatus):
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter and os.environ.get("INSTAR_REQUIRE_ALL") and _left_out(reporter):
        session.exitstatus = 1


def pytest_xdist_auto_num_workers(config):
    """Many tests wait more than they work: for a board's patience, a clock, a link."""
    return (os.cpu_count() or 1) * 3 // 2
