"""From the bag to the first update, with the real tools: `make board-demo` runs this.

Two simulated boards, each behind a serial port of its own (a pty), and a development server. What
is shown after a $ is what runs: the real esptool writes MicroPython onto the ESP32, laid out for
two slots; mpremote's transport copies instar, an application and the factory settings onto both
boards. They restart, fetch their configuration, ask to be accepted, and install what they are
offered: an application, and the ESP32 a new MicroPython, too. At the end the real mpremote reads
what runs now.

Exits 0 only if that is what was sent, and the server received exactly the statuses of updates
that went well.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from desk import Operator, Row, console, describe, digest, say, summary

from instar_tools.paths import FIRMWARE, ROOT
from instar_tools.real_boards import BOARDS
from instar_tools.server.testing import DevServer
from instar_tools.simulated import stock_firmware
from instar_tools.simulated.flash_builder import parse_table
from instar_tools.simulated.plugged import Plugged

WORK = ROOT / "build" / "board-demo"
TOOLS = Path(sys.executable).parent
KEYS = {
    "INSTAR_EXTERNAL_KEY": "the-key-on-the-label",
    "INSTAR_CRYPTO_KEY": "v7aT0HGxJxt2gULzr3RHwf4WIf6DusPp",  # the service's, 32 characters
    "INSTAR_WIFI_PASSWORD": "the password of the lab",
}
GOOD = ["downloading", "installing", "rebooting", "installing", "success"]
SECONDS = 120  # a limit for a board that never comes to an end
COUNTED = 'agent.inventory["app_beats"] = _beats'  # a line of the sample application


@dataclass
class Kind:
    """What differs between the boards. heap: as `instar sim plug --heap`; "": the board's own."""

    board: str
    name: str
    firmware: str
    heap: str


# All of instar lies on the file system here, and so in the heap: on an ESP32 that takes PSRAM.
# With instar in its firmware 88wk are enough.
KINDS = (
    Kind("ESP32_GENERIC", "esp32", "ESP32_GENERIC-v1.29.0.bin", "148wk"),
    Kind("RPI_PICO_W", "pico-w", "RPI_PICO_W-v1.29.0.uf2", ""),
)


class Desk(Operator):
    """One board with its cable in a port, and the server that it is for."""

    def __init__(self, kind: Kind, server: DevServer) -> None:
        super().__init__(server)
        self.kind = kind
        self.flash = WORK / f"{kind.name}.flash"
        self.firmware = WORK / kind.firmware
        self.slot = ""

    # What a person does.

    def instar(self, *words: object) -> str:
        return self.type("instar", *words)

    def type(self, program: str, *words: object) -> str:
        """Run a command as it is shown. Returns what it printed."""
        shown = shlex.join(str(word).replace(f"{ROOT}/", "") for word in (program, *words))
        console.print(f"[bold]$ {shown}[/]", soft_wrap=True)
        process = subprocess.Popen(
            [TOOLS / program, *map(str, words)],
            env={**os.environ, **KEYS, "COLUMNS": "100"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        lines = []
        assert process.stdout
        for line in process.stdout:
            lines.append(line)
            console.print(f"    {line.rstrip()}".replace(f"{ROOT}/", ""), markup=False)
        if process.wait():
            raise SystemExit(f"board-demo: {program} ended with {process.returncode}")
        return "".join(lines)

    def app(self, number: int) -> Path:
        """The sample application as its release `number`, which tells the server what runs."""
        folder = WORK / f"app-{number}"
        folder.mkdir(exist_ok=True)
        source = (FIRMWARE / "app.py").read_text()
        source = source.replace(COUNTED, 'agent.inventory["application"] = WHAT')
        (folder / "app.py").write_text(f'WHAT = f"{{__file__}}, release {number}"\n{source}')
        return folder

    # What the board says.

    def event(self, event: dict) -> None:
        text = describe(event)
        if text:
            say(self.kind.name if "from" not in event else "power", text)
        if event["event"] == "boot":
            self.slot = event.get("slot", "")
        self.hear(event)

    # From the bag to the first update.

    def play(self) -> list[Row]:
        self.instar("sim", "create", self.flash, "--board", self.kind.board, "--blank")
        self.instar("image", "--official", "--version", "v1.29.0", "-o", self.firmware)
        heap = self.kind.heap or None
        with Plugged(self.flash, heap, on_event=self.event) as self.board:
            self.put_micropython()
            port = ("--port", self.board.port)
            more = ("--with", "bootstrap", "--app", self.app(1))
            self.instar("deploy", *port, *more)
            self.register()
            self.provision()
            self.board.wait("idle", SECONDS)
            rows = [self.update_application()]
            if BOARDS[self.kind.board].firmware_slots:
                rows += self.update_micropython()
            return rows + self.running()

    def put_micropython(self) -> None:
        flash = ("flash", "--board", self.kind.board, "--firmware", self.firmware)
        if BOARDS[self.kind.board].firmware_slots:
            self.instar(*flash, "--port", self.board.port)
            return
        drive = WORK / "RPI-RP2"  # what a Pico in BOOTSEL mode looks like
        drive.mkdir()
        (drive / "INFO_UF2.TXT").write_text("UF2 Bootloader v3.0\nBoard-ID: RPI-RP2\n")
        self.instar(*flash, "--drive", drive)

    def register(self) -> None:
        """What an operator tells the Bootstrap service of this board, known by its MAC address."""
        content = {"instar": {"mender_url": self.server.url, "update_poll_interval": 1}}
        client = self.server.add_config(
            self.mac,
            KEYS["INSTAR_EXTERNAL_KEY"],
            content=json.dumps(content),
            channels=["readings"],
            ca_cert=Path(self.server.ca_bundle).read_text(),
        )
        self.server.connect(client)
        say("server", f"an operator registers {self.mac}")

    def provision(self) -> None:
        more = {"ntp_port": self.server.sntp_port, "retry_interval": 1, "retry_interval_max": 2}
        words = [f"--set={name}={value}" for name, value in more.items()]
        self.instar(
            "provision",
            *("--port", self.board.port, "--url", self.server.bootstrap_url),
            *("--plain-http", "--secure", "--wifi-ssid", "lab"),
            *("--device-type", self.kind.name, "--artifact-name", "app-1"),
            *("--ntp-host", "127.0.0.1", *words),
        )

    def update_application(self) -> Row:
        path = WORK / f"{self.kind.name}-app-2.mender"
        self.instar(
            *("artifact", "write", "micropython-app", "-t", self.kind.name, "-n", "app-2"),
            *("--app", self.app(2), "--board", self.kind.board, "--with", "bootstrap"),
            *("-o", path),
        )
        return self.deploy("app-2", path)

    def update_micropython(self) -> list[Row]:
        source, path = WORK / "micropython.bin", WORK / "micropython-1.30.mender"
        source.write_bytes(stock_firmware.app_image("v1.30.0"))
        self.instar(
            *("artifact", "write", "rootfs-image", "-t", self.kind.name),
            *("-n", "micropython-1.30", "-f", source, "-o", path),
        )
        row = self.deploy("micropython-1.30", path)
        data = source.read_bytes()
        told = self.inventory()
        return [
            row,
            ("slot of MicroPython", "ota_1", self.slot, told["slot"]),
            ("its SHA-256", digest(data), self.digest_in(self.slot, len(data)), digest(data)),
        ]

    def deploy(self, name: str, path: Path) -> Row:
        """Offer it to the board, and wait for the end."""
        self.server.upload(path)
        deployment = self.server.deploy(name, [self.device()])
        say("server", f"{path.name} uploaded and deployed")
        self.board.wait("success", SECONDS)
        return (f"statuses of {name}", GOOD, self.reports[name], self.server.statuses(deployment))

    # What is true at the end.

    def running(self) -> list[Row]:
        """The application, as mpremote finds it on the board and as the server was told."""
        code = "import app; print('runs:', app.WHAT)"
        said = self.type("mpremote", "connect", self.board.port, "exec", code)
        told = self.inventory()["application"]
        found = said.split("runs: ")[-1].strip()
        return [("application", "/b/app.mpy, release 2", found, told)]

    @property
    def mac(self) -> str:
        return ":".join(f"{byte:02x}" for byte in self.flash.read_bytes()[:6])

    def device(self) -> str:
        devices = self.server.devices()
        return next(d["id"] for d in devices if d["identity_data"]["mac"] == self.mac)

    def inventory(self) -> dict:
        return self.server.inventory(self.device())

    def digest_in(self, slot: str, length: int) -> str:
        """SHA-256 of the first bytes of a slot, read from the flash file."""
        flash = self.flash.read_bytes()
        start = next(row[2] for row in parse_table(flash) if row[4] == slot)
        return digest(flash[start : start + length])


def main() -> int:
    began = time.monotonic()
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    agreed = True
    with DevServer(WORK / "server", bootstrap_key=KEYS["INSTAR_CRYPTO_KEY"]) as server:
        for kind in KINDS:
            rows = Desk(kind, server).play()
            title = f"{kind.board}: what board and server say"
            agreed = summary(title, rows) and agreed
    console.print(f"{'done' if agreed else 'NOT as expected'} in {time.monotonic() - began:.0f} s")
    return 0 if agreed else 1


if __name__ == "__main__":
    sys.exit(main())
