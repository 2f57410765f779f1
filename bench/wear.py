"""What a board's doings cost its flash: the tables of docs/flash-wear.md, in Markdown.

    .venv/bin/python bench/wear.py

Whole updates run on the simulated boards, several in a row; the journal over years, and the
outbox over weeks without a network, on LittleFS alone. Every erase and program of the chip is
counted. The slots' rows, otadata's and LittleFS's alone are equal on every computer. The file
system's of whole updates differ by an erase or two and some ten programs from run to run: by what
the clock says, and by whether the application is well when it is first asked (if not, the log is
written again). Its fullest sector in so few updates is chance, and left out.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.pop(0)  # this folder, whose http.py is not Python's
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "system"))

from lab import Lab, image
from wear_lab import POLLS, count, polls, worn

from instar_tools.paths import BOARDS, LIB, ROOT, micropython
from instar_tools.server.testing import DevServer
from instar_tools.simulated.wear import Count, Wear

CYCLES = 100_000  # erases that a NOR flash sector is good for, say their makers
UPDATES = 6  # in a row, even: slots take turns
POLLS_A_DAY = 48  # update_poll_interval's default is half an hour
RECORDED = 1000  # updates whose records are written to one LittleFS
WEEKS = 4
EVERY = {"each 10 s": 10, "each minute": 60}  # seconds between two values
_BOARD = Path(__file__).with_name("wear_board.py")
PLACES = {"ota_": "app slots"}
_CRASH = "raise RuntimeError('no sensor')\n"


# ---- whole updates on a simulated board


def firmware(lab: Lab, number: int, compression: str) -> None:
    lab.deploy(lab.artifact(f"release-{number}", compression=compression))
    lab.run("success")


def rolled_back(lab: Lab, number: int) -> None:
    name = f"release-{number}"
    lab.deploy(lab.artifact(name, image(name, head=_CRASH)))
    lab.run("failure")


def application(lab: Lab, number: int) -> None:
    lab.deploy(lab.app_artifact(f"release-{number}"))
    lab.run("success")


def file(lab: Lab, number: int) -> None:
    data = os.urandom(3000)
    lab.deploy(lab.file_artifact(f"release-{number}", "/data", "table.bin", data))
    lab.run("success")


SCENARIOS: dict[str, tuple[str, Callable[[Lab, int], None]]] = {
    "firmware, gzip": ("ESP32_GENERIC", lambda lab, number: firmware(lab, number, "gzip")),
    "firmware, uncompressed": (
        "ESP32_GENERIC",
        lambda lab, number: firmware(lab, number, "none"),
    ),
    "firmware, rolled back": ("ESP32_GENERIC", rolled_back),
    "application": ("ESP32_GENERIC", application),
    "one file of 3000 bytes": ("ESP32_GENERIC", file),
    "application with instar": ("RPI_PICO_W", application),
}


def idle_days(lab: Lab) -> Wear:
    """What a day of polls costs, with a start before it."""
    lab.flash(app=POLLS)
    lab.meet()
    wear = count(lab)
    polls(lab, POLLS_A_DAY)
    return wear


def updates(board: str, update: Callable[[Lab, int], None]) -> Wear:
    """What UPDATES of them cost."""
    with tempfile.TemporaryDirectory() as folder, DevServer(Path(folder) / "server") as server:
        lab = worn(Path(folder), server, board=board)
        lab.flash()
        lab.meet()
        wear = count(lab)
        for number in range(2, 2 + UPDATES):
            update(lab, number)
        return wear


def rows(name: str, wear: Wear) -> Iterator[list[str]]:
    """One for each kind of place, of one update. The app slots are one: they take turns."""
    for kind in ("ota_", "otadata", "vfs"):
        one = Count()
        for place in {place for _, place in wear.counts if place.startswith(kind)}:
            one += wear.total(place)
        if one.operations:
            numbers = (one.erases.total(), one.programs, one.programmed)
            each = [f"{number / UPDATES:,.0f}" for number in numbers]
            tail = [""] * 3 if kind == "vfs" else lasts(one.most / UPDATES, 2)
            yield [name, PLACES.get(kind, kind), *each, *tail]


def lasts(worst: float, digits: int) -> list[str]:
    """`worst`, erases of a sector each time; how many times CYCLES are; and years at one a day."""
    number = int(CYCLES / worst)
    return [f"{worst:.{digits}f}", f"{number:,}", f"{number // 365:,}"]


# ---- LittleFS alone, over a long time


def asked(*question: object) -> dict:
    path = [LIB, ROOT / "tests" / "device", BOARDS / "UNIX", ".frozen"]
    done = subprocess.run(
        [micropython(), "-X", "heapsize=32M", _BOARD],
        input=json.dumps(question),
        env={**os.environ, "MICROPYPATH": ":".join(map(str, path))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def long_run(name: str, found: dict, number: int) -> list[str]:
    erases = found["erases"].values()
    worst = max(erases) / number
    each = [f"{total / number:,.0f}" for total in (sum(erases), found["programs"])]
    return [name, *each, *lasts(worst, 3)]


def table(head: str, found: list[list[str]]) -> None:
    names = head.split("|")
    print("\n| " + " | ".join(names) + " |")
    print("|---" * len(names) + "|")
    for row in found:
        print("| " + " | ".join(row) + " |")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, DevServer(Path(folder) / "server") as server:
        idle = idle_days(worn(Path(folder), server))
    print(f"A start and {POLLS_A_DAY} polls: {idle.total().operations} flash operations.")
    found = []
    for name, (board, update) in SCENARIOS.items():
        found += rows(f"{name} ({board})", updates(board, update))
    tail = f"worst sector|in {CYCLES:,} cycles|years, one a day"
    table(f"an update|where|erases|programs|bytes|{tail}", found)
    journal = long_run("an update's records", asked("updates", RECORDED), RECORDED)
    days = 7 * WEEKS
    outages = {text: asked("outage", days, every) for text, every in EVERY.items()}
    lost = [long_run(f"a day offline, a value {text}", one, days) for text, one in outages.items()]
    table(f"what|erases|programs|{tail}", [journal, *lost])
    for text, one in outages.items():
        print(
            f"\nA value {text}: {one['kept']} are kept; sending them: {one['sending']} operations."
        )


if __name__ == "__main__":
    main()
