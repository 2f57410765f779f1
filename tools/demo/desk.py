"""What both boards of the demo share: the screen, the simulated board, its releases."""

from __future__ import annotations

import hashlib
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn
from rich.table import Table

from instar_tools import image_builder
from instar_tools.artifact_writer import ROOTFS, write_artifact
from instar_tools.paths import FIRMWARE, ROOT
from instar_tools.server.testing import DevServer
from instar_tools.simulated import flash_builder
from instar_tools.simulated.board_kinds import ESP32_GENERIC
from instar_tools.simulated.simulator import Simulator

WORK = ROOT / "build" / "demo"
DEVICE_TYPE = "esp32"
SECONDS = 60  # a limit for a board that never comes to an end

console = Console(highlight=False, emoji=False)

Row = tuple[str, object, object, object]  # what, expected, what the board says, what the server


class Board:
    """A simulated ESP32, and what was seen of it. `flash` is its flash file."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.flash = WORK / f"{name}.flash"
        self.slot = ""
        self.heap: dict = {}
        self.boots = 0
        self.progress: Progress | None = None
        self.board = Simulator(self.flash, on_event=self.event)

    def event(self, event: dict) -> None:
        """Each event of the board and of its simulator, as a line."""
        text = describe(event)
        if text:
            say(self.name if "from" not in event else "power", text)
        if event["event"] == "boot":
            self.slot = event["slot"]
            self.boots += 1
        elif event["event"] == "heap":
            self.heap = event
        elif event["event"] == "progress":
            self.bar(event)

    def bar(self, event: dict) -> None:
        if not self.progress:
            columns = TextColumn("         download"), BarColumn(), DownloadColumn()
            self.progress = Progress(*columns, console=console)
            self.task = self.progress.add_task("", total=event["total"])
            self.progress.start()
        self.progress.update(self.task, completed=event["done"])
        if event["done"] == event["total"]:
            self.progress.stop()
            self.progress = None

    def run(self, until) -> None:
        outcome = self.board.run(until=until, seconds=SECONDS)
        if not outcome.met:
            raise SystemExit(f"demo: expected the board to end in {until}, got {outcome.reason}")

    @property
    def mac(self) -> str:
        return ":".join(f"{byte:02x}" for byte in self.flash.read_bytes()[:6])

    def running_digest(self, length: int) -> str:
        """SHA-256 of the first `length` bytes of the slot that runs, read from the flash file."""
        flash = self.flash.read_bytes()
        rows = {row[4]: row for row in flash_builder.parse_table(flash)}
        start = rows[self.slot][2]
        return digest(flash[start : start + length])

    def memory(self) -> str:
        size, romfs = self.heap["size"] // 1024, self.heap["romfs"] // 1024
        return f"heap: {size} KiB ({ESP32_GENERIC.heap}) beside {romfs} KiB of ROMFS"


class Operator:
    """Accepts a board that asks, and hears what it says that it reports: release -> statuses."""

    def __init__(self, server: DevServer) -> None:
        self.server = server
        self.reports: dict[str, list[str]] = {}

    def hear(self, event: dict) -> None:
        if event["event"] == "pending":
            self.server.accept_all()
            say("server", "an operator accepts the device")
        elif event["event"] == "deployment":
            self._reported = self.reports.setdefault(event["artifact_name"], [])
        elif event["event"] == "report":
            self._reported.append(event["status"])


def image(name: str, head: str = "") -> bytes:
    """A firmware image with the sample application; `head` runs as it is imported."""
    source = WORK / "app.py"
    source.write_text(head + (FIRMWARE / "app.py").read_text())
    parts = image_builder.firmware_files([str(source)])
    return image_builder.build_image(name, image_builder.compiled(parts))


def artifact(name: str, head: str = "") -> Path:
    """The same as a Mender Artifact, beside the image NAME.bin."""
    source, path = WORK / f"{name}.bin", WORK / f"{name}.mender"
    source.write_bytes(image(name, head))
    write_artifact(
        path,
        artifact_name=name,
        device_types=[DEVICE_TYPE],
        payload_type=ROOTFS,
        files=[source],
    )
    return path


def say(who: str, text: str) -> None:
    console.print(f"[bold cyan]{who:>8}[/] {text}", markup=True, soft_wrap=True)


def describe(event: dict) -> str:
    """One line for an event, or nothing for those that are shown another way."""
    name = event["event"]
    if name == "boot":
        where = f" from {event['slot']}" if "slot" in event else ""
        return f"boots{where} ({event['cause']})"
    if name in ("reset", "panic", "watchdog"):
        return name
    if name == "deployment":
        return f"is offered {event['artifact_name']}"
    if name == "state":
        return f"state {event['state']}"
    if name == "report":
        return f"status [green]{event['status']}[/]"
    if name == "error":
        return "[red]" + event["message"].strip().splitlines()[-1].replace("[", "\\[") + "[/]"
    if name in ("bootstrap", "configuration"):
        return f"{name} {event['state']}"
    words = {
        "pending": "is not accepted yet",
        "inventory": "inventory sent",
        "published": "measurements published",
        "recorded": "measurements recorded",
        "pace": "does what the resource pace says",
    }
    return words.get(name, "")


def summary(title: str, rows: list[Row]) -> bool:
    """Print the table and say whether in every row board and server say what is expected."""
    table = Table("", "expected", "board", "server", title=title)
    for what, expected, *found in rows:
        marks = ["" if value == expected else "[red]" for value in found]
        cells = [mark + show(value) for mark, value in zip(marks, found, strict=True)]
        table.add_row(what, show(expected), *cells)
    console.print(table)
    return all(expected == board == server for _, expected, board, server in rows)


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def show(value: object) -> str:
    return "\n".join(map(str, value)) if isinstance(value, list) else str(value)[:20]
