"""A simulated board without a server, on the bench: programs for it, its runs, what was seen.

bench = Bench(tmp_path)                        # an ESP32; PicoBench: a Pico W
bench.make("say('hello', n=1)").run()
assert bench.one("hello")["n"] == 1
"""

from __future__ import annotations

import os
import subprocess
import sys

from instar_tools import image_builder
from instar_tools.simulated.board_kinds import RPI_PICO_W
from instar_tools.simulated.flash_builder import write_flash
from instar_tools.simulated.simulator import Simulator

SAY = """def say(event, **info):
    import json
    print('@instar ' + json.dumps(dict(info, event=event)))
"""


class Bench:
    """An ESP32: the program is in the ROMFS of its first slot."""

    def __init__(self, folder):
        self.folder = folder
        self.flash = folder / "board.flash"
        self.events: list[dict] = []
        self.text: list[str] = []

    def image(self, main="", version="1", **files):
        content = {name.replace("_py", ".py"): text.encode() for name, text in files.items()}
        return image_builder.build_image(version, {"main.py": (SAY + main).encode(), **content})

    def make(self, main="", board_files=None, **files):
        data = {
            name: text if isinstance(text, bytes) else text.encode()
            for name, text in (board_files or {}).items()
        }
        write_flash(self.flash, self.image(main, **files), files=data, seed=7)
        return self

    def simulator(self, **options):
        return Simulator(
            self.flash,
            on_event=self.events.append,
            console=lambda line: self.text.append(line.decode()),
            **options,
        )

    def run(self, until=None, boots=None, **options):
        self.events.clear()
        self.text.clear()
        return self.simulator(**options).run(until, seconds=30, boots=boots)

    def put(self, address, data):
        with open(self.flash, "r+b") as f:
            f.seek(address)
            f.write(data)

    def seen(self, *names):
        return [event for event in self.events if event["event"] in names]

    def one(self, name):
        (event,) = self.seen(name)
        return event


class PicoBench(Bench):
    """A Pico W: the program is /main.py on its file system."""

    def make(self, main="", board_files=None):
        content = {"/main.py": SAY + main, **(board_files or {})}
        data = {name: text.encode() for name, text in content.items()}
        write_flash(self.flash, kind=RPI_PICO_W, files=data, seed=7)
        return self


def instar(*words):
    return subprocess.run(
        [sys.executable, "-c", "from instar_tools.cli import main; main()", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "NO_COLOR": "1"},
    )
