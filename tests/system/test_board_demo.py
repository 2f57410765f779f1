"""`make board-demo`: from a blank chip to a reported update, by the real esptool and mpremote."""

from __future__ import annotations

import subprocess
import sys

from instar_tools.paths import ROOT


def test_from_the_bag_to_the_first_update():
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "demo" / "boards.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    for line in (
        "$ instar flash --board ESP32_GENERIC",
        "Verification successful",
        "runs: /b/app.mpy, release 2",
        "RPI_PICO_W: what board and server say",
    ):
        assert line in done.stdout, line
