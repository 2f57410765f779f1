"""A simulated board with a cable in it, and the commands that a person gives it over that."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import contextlib
import json

from click.testing import CliRunner

from instar_tools.board_code import BOARD
from instar_tools.cable.port import connect
from instar_tools.cli import main
from instar_tools.simulated import stock_firmware
from instar_tools.simulated.board_kinds import KINDS
from instar_tools.simulated.flash_builder import write_flash
from instar_tools.simulated.plugged import Plugged

SECONDS = 60  # a limit, not a measure


class Cable:
    """A board of this kind with stock MicroPython, or with `image` where that says another, and
    these files.

    with cable.plugged(): cable.deploy("--app", folder)
    """

    def __init__(self, folder, kind, image=None, files=None):
        self.folder = folder
        self.kind = KINDS[kind]
        self.path = folder / f"{kind}.flash"
        self.said = ""
        if self.kind.firmware_slots:
            image = image or stock_firmware.app_image("v1.29.0")
        write_flash(self.path, image, kind=self.kind, files=files, seed=1)

    @contextlib.contextmanager
    def plugged(self, **options):
        """The board has power; whatever its program does goes to `board.events`."""
        with Plugged(self.path, **options) as self.board:
            yield self.board

    def command(self, name, *words, code=0, env=None):
        """`instar NAME --port .. WORDS`, with the exit code expected (None: any). Returns what it
        printed."""
        words = [name, "--port", self.board.port, *words]
        done = CliRunner().invoke(main, [str(word) for word in words], env=env)
        assert code in (None, done.exit_code), (done.output, done.exception)
        self.said += done.output
        return done.output

    def deploy(self, *words, **more):
        return self.command("deploy", *words, **more)

    @contextlib.contextmanager
    def link(self):
        with connect(self.board.port) as link:
            yield link

    def tree(self):
        """Every file on the board: path -> (size, SHA-256). Restarts it."""
        with self.link() as link:
            link.run((BOARD / "deployer.py").read_text())
            rows = [json.loads(line) for line in link.run("listing('')").splitlines() if line]
            link.reset()
        return {path: (size, digest) for path, size, digest in rows if digest is not None}

    def app(self, name, text="import asyncio\n\n\nasync def run(agent):\n    pass\n"):
        """A folder with this application."""
        folder = self.folder / name
        folder.mkdir()
        (folder / "app.py").write_text(text)
        return folder
