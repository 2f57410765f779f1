"""The whole job on one machine: `make demo` runs this.

A development server, and a simulated ESP32 that was flashed with release-1 and knows nothing but
a URL and two keys. It fetches its configuration from the Bootstrap service, encrypted, over plain
HTTP; from then on it speaks TLS to the servers named there. It asks to be accepted, reports its
inventory, publishes its measurements, takes release-2 into its other slot, reboots into it, proves
itself and commits. release-3 crashes at its start: the boot loader goes back, and the board
reports the failure with its log. The last table holds what board and server say against each
other.

Exits 0 only if the running slot's bytes hash to the payload's checksum, and the server received
exactly the statuses and measurements that are expected.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import time
import urllib.request
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn
from rich.table import Table

from instar_tools import flash_builder, image_builder
from instar_tools.artifact_reader import read_artifact
from instar_tools.artifact_writer import ROOTFS, write_artifact
from instar_tools.board_kinds import ESP32_GENERIC
from instar_tools.paths import FIRMWARE, ROOT
from instar_tools.server.testing import DevServer
from instar_tools.simulator import Simulator

WORK = ROOT / "build" / "demo"
DEVICE_TYPE = "esp32"
EXTERNAL_KEY = "a1d0-the-key-on-the-label"
CRYPTO_KEY = "v7aT0HGxJxt2gULzr3RHwf4WIf6DusPp"  # of the Bootstrap service, 32 characters
GOOD = ["downloading", "installing", "rebooting", "installing", "success"]
BAD = ["downloading", "installing", "rebooting", "failure"]
CRASH = "raise RuntimeError('the sensor library does not start')\n"

console = Console(highlight=False)


class Demo:
    """One server, one board, and what was seen of both."""

    def __init__(self, server: DevServer) -> None:
        self.server = server
        self.flash = WORK / "board.flash"
        self.slot = ""
        self.heap: dict = {}
        self.crashed = False
        self.boots = self.published = 0
        self.configured = self.digest = ""
        self.taken: list[dict] = []
        self.reports: dict[str, list[str]] = {}  # release -> what the board says it reported
        self.progress: Progress | None = None
        self.board = Simulator(self.flash, on_event=self.event)

    def prepare(self) -> None:
        """The board as it leaves the factory: flashed with release-1, else blank."""
        settings = {
            "bootstrap_url": self.server.bootstrap_url,
            "bootstrap_plain_http": True,
            "external_key": EXTERNAL_KEY,
            "crypto_key": CRYPTO_KEY,
            "device_type": DEVICE_TYPE,
            "artifact_name": "release-1",
            "ntp_host": "127.0.0.1",
            "ntp_port": self.server.sntp_port,
            "retry_interval": 1,
            "retry_interval_max": 2,
        }
        files = {"/instar.json": json.dumps(settings).encode()}
        flash_builder.write_flash(self.flash, build("release-1", ""), files=files)
        say("board", "flashed: release-1 in slot ota_0; a URL and two keys, no certificate")

    def register(self) -> None:
        """What an operator tells the Bootstrap service of this board, known by its MAC address."""
        mac = ":".join(f"{byte:02x}" for byte in self.flash.read_bytes()[:6])
        content = {
            "mender_url": self.server.url,
            "magistrala_url": self.server.url,
            "magistrala_domain": "lab",
            "update_poll_interval": 1,
        }
        client = self.server.add_config(
            mac,
            EXTERNAL_KEY,
            content=json.dumps({"instar": content, "room": "7"}),
            channels=["readings"],
            ca_cert=Path(self.server.ca_bundle).read_text(),
        )
        self.server.connect(client)
        self.digest = answer_digest(f"{self.server.bootstrap_url}/clients/bootstrap/{mac}")
        say("server", f"an operator registers {mac}: two CAs, the servers' URLs, a channel")

    def event(self, event: dict) -> None:
        """Each event of the board and of its simulator, as a line; accepts the board."""
        text = describe(event)
        if text:
            say("board" if "from" not in event else "power", text)
        if "the sensor library" in event.get("message", ""):
            self.crashed = True
        if event["event"] == "boot":
            self.slot = event["slot"]
            self.boots += 1
        elif event.get("state") == "taken":
            self.taken.append(event)
        elif event["event"] == "configuration":
            self.configured = event["digest"] if event["state"] == "proven" else event["state"]
        elif event["event"] == "published":
            self.published += event["records"]
        elif event["event"] == "heap":
            self.heap = event
        elif event["event"] == "pending":
            self.server.accept_all()
            say("server", "an operator accepts the device")
        elif event["event"] == "progress":
            self.bar(event)
        elif event["event"] == "deployment":
            self.reported = self.reports.setdefault(event["artifact_name"], [])
        elif event["event"] == "report":
            self.reported.append(event["status"])

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

    def run(self, until: str) -> None:
        outcome = self.board.run(until=until, seconds=60)
        if not outcome.met:
            raise SystemExit(f"demo: expected the board to end in {until}, got {outcome.reason}")

    def release(self, name: str, app: str) -> Path:
        """Build, sign off as a Mender Artifact, and upload a release."""
        image = WORK / f"{name}.bin"
        image.write_bytes(build(name, app))
        path = WORK / f"{name}.mender"
        write_artifact(
            path,
            artifact_name=name,
            device_types=[DEVICE_TYPE],
            payload_type=ROOTFS,
            files=[image],
        )
        self.server.upload(path)
        say("server", f"{name}.mender uploaded, {path.stat().st_size} bytes")
        return path

    def bootstraps(self) -> int:
        """How often the server gave a configuration out, encrypted."""
        seen = self.server.requests()
        return sum(
            request["status"] == 200 and "/bootstrap/secure/" in request["path"]
            for request in seen
        )

    def inventory(self) -> dict:
        return self.server.inventory(self.device())

    def device(self) -> str:
        return self.server.devices()[0]["id"]

    def running_digest(self, length: int) -> str:
        """SHA-256 of the first `length` bytes of the slot that runs, read from the flash file."""
        flash = self.flash.read_bytes()
        rows = {row[4]: row for row in flash_builder.parse_table(flash)}
        start = rows[self.slot][2]
        return hashlib.sha256(flash[start : start + length]).hexdigest()


def build(name: str, app: str) -> bytes:
    source = WORK / "app.py"
    source.write_text(app + (FIRMWARE / "app.py").read_text())
    parts = image_builder.firmware_files([str(source)])
    return image_builder.build_image(name, image_builder.compiled(parts))


def say(who: str, text: str) -> None:
    console.print(f"[bold cyan]{who:>8}[/] {text}", markup=True, soft_wrap=True)


def describe(event: dict) -> str:
    """One line for an event, or nothing for those that are shown another way."""
    name = event["event"]
    if name == "boot":
        return f"boots from {event['slot']} ({event['cause']})"
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
    words = {"pending": "is not accepted yet", "inventory": "inventory sent"}
    return words.get(name, "measurements published" if name == "published" else "")


def summary(demo: Demo, rows: list[tuple[str, object, object, object]]) -> bool:
    """Print the table and say whether in every row board and server say what is expected."""
    table = Table("", "expected", "board", "server", title="What board and server say")
    for what, expected, *found in rows:
        marks = ["" if value == expected else "[red]" for value in found]
        cells = [mark + show(value) for mark, value in zip(marks, found, strict=True)]
        table.add_row(what, show(expected), *cells)
    console.print(table)
    heap = demo.heap
    if heap:
        size, romfs = heap["size"] // 1024, heap["romfs"] // 1024
        console.print(f"heap: {size} KiB ({ESP32_GENERIC.heap}) beside {romfs} KiB of ROMFS")
    return all(expected == board == server for _, expected, board, server in rows)


def answer_digest(url: str) -> str:
    """SHA-256 of what the Bootstrap service says, asked for in clear."""
    request = urllib.request.Request(url, headers={"Authorization": f"Client {EXTERNAL_KEY}"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return digest(answer.read().rstrip())


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def show(value: object) -> str:
    return "\n".join(map(str, value)) if isinstance(value, list) else str(value)[:20]


def main() -> int:
    began = time.monotonic()
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    with DevServer(WORK / "server", bootstrap_key=CRYPTO_KEY) as server:
        demo = Demo(server)
        say("server", f"{server.url}, artifacts at {server.storage_url}")
        demo.prepare()
        demo.register()
        demo.run("idle")
        good = demo.release("release-2", "")
        first = server.deploy("release-2", [demo.device()])
        demo.run("success")
        demo.release("release-3", CRASH)
        second = server.deploy("release-3", [demo.device()])
        demo.run("failure")

        payload = read_artifact(good).payloads[0].files[0]
        image = (WORK / "release-2.bin").read_bytes()
        log = " ".join(entry["message"] for entry in server.log(second, demo.device()))
        named = "the sensor library" in log
        slot = demo.inventory()["slot"]
        name = demo.inventory()["artifact_name"]
        configuration = demo.inventory().get("configuration")
        last_good = [release for release, said in demo.reports.items() if said[-1] == "success"][
            -1
        ]
        beats = sum(len(json.loads(message["body"])) for message in server.messages("readings"))
        rows = [
            ("configurations taken", 1, len(demo.taken), demo.bootstraps()),
            ("configuration", demo.digest[:12], demo.configured[:12], configuration),
            # One at each start of an application that starts, the one before the board had a
            # configuration among them.
            ("measurements", demo.boots - 1, demo.published, beats),
            ("statuses of release-2", GOOD, demo.reports["release-2"], server.statuses(first)),
            ("statuses of release-3", BAD, demo.reports["release-3"], server.statuses(second)),
            ("slot that runs", "ota_1", demo.slot, slot),
            (
                "SHA-256 of its bytes",
                digest(image),
                demo.running_digest(len(image)),
                payload.sha256,
            ),
            ("software by name", "release-2", last_good, name),
            ("the crash is in the log", True, demo.crashed, named),
        ]
        agreed = summary(demo, rows)
    console.print(f"{'done' if agreed else 'NOT as expected'} in {time.monotonic() - began:.0f} s")
    return 0 if agreed else 1


if __name__ == "__main__":
    sys.exit(main())
