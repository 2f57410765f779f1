"""The first board: blank from the factory, it learns of Mender and Magistrala by bootstrap."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

from desk import DEVICE_TYPE, WORK, Board, Operator, Row, artifact, digest, image, say

from instar_tools.artifact_reader import read_artifact
from instar_tools.server.testing import DevServer
from instar_tools.simulated import flash_builder

EXTERNAL_KEY = "a1d0-the-key-on-the-label"
CRYPTO_KEY = "v7aT0HGxJxt2gULzr3RHwf4WIf6DusPp"  # of the Bootstrap service, 32 characters
GOOD = ["downloading", "installing", "rebooting", "installing", "success"]
BAD = ["downloading", "installing", "rebooting", "failure"]
CRASH = "raise RuntimeError('the sensor library does not start')\n"


class FirstBoard(Board, Operator):
    """What was seen of it, and what its operator does."""

    def __init__(self, server: DevServer) -> None:
        Board.__init__(self, "board")
        Operator.__init__(self, server)
        self.crashed = False
        self.published = 0
        self.configured = self.digest = ""
        self.taken: list[dict] = []

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
        flash_builder.write_flash(self.flash, image("release-1"), files=files)
        say("board", "flashed: release-1 in slot ota_0; a URL and two keys, no certificate")

    def register(self) -> None:
        """What an operator tells the Bootstrap service of this board, known by its MAC address."""
        content = {
            "mender_url": self.server.url,
            "magistrala_url": self.server.url,
            "magistrala_domain": "lab",
            "update_poll_interval": 1,
        }
        client = self.server.add_config(
            self.mac,
            EXTERNAL_KEY,
            content=json.dumps({"instar": content, "room": "7"}),
            channels=["readings"],
            ca_cert=Path(self.server.ca_bundle).read_text(),
        )
        self.server.connect(client)
        self.digest = answer_digest(f"{self.server.bootstrap_url}/clients/bootstrap/{self.mac}")
        say("server", f"an operator registers {self.mac}: two CAs, the servers' URLs, a channel")

    def event(self, event: dict) -> None:
        """Also accepts the board."""
        super().event(event)
        if "the sensor library" in event.get("message", ""):
            self.crashed = True
        if event.get("state") == "taken":
            self.taken.append(event)
        elif event["event"] == "configuration":
            self.configured = event["digest"] if event["state"] == "proven" else event["state"]
        elif event["event"] == "published":
            self.published += event["records"]
        self.hear(event)

    def release(self, name: str, head: str = "") -> Path:
        """Build a release as a Mender Artifact, and upload it."""
        path = artifact(name, head)
        self.server.upload(path)
        say("server", f"{path.name} uploaded, {path.stat().st_size} bytes")
        return path

    def deploy(self, name: str) -> str:
        return self.server.deploy(name, [self.device()])

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


def play(server: DevServer) -> tuple[FirstBoard, list[Row]]:
    """From the factory to a good update and a bad one."""
    board = FirstBoard(server)
    board.prepare()
    board.register()
    board.run("idle")
    good = board.release("release-2")
    first = board.deploy("release-2")
    board.run("success")
    board.release("release-3", CRASH)
    second = board.deploy("release-3")
    board.run("failure")
    return board, rows(board, good, first, second)


def rows(board: FirstBoard, good: Path, first: str, second: str) -> list[Row]:
    """What board and server say against each other."""
    server, inventory = board.server, board.inventory()
    payload = read_artifact(good).payloads[0].files[0]
    new = (WORK / "release-2.bin").read_bytes()
    log = " ".join(entry["message"] for entry in server.log(second, board.device()))
    kept = [release for release, said in board.reports.items() if said[-1] == "success"][-1]
    beats = sum(len(json.loads(message["body"])) for message in server.messages("readings"))
    running = board.running_digest(len(new))
    return [
        ("configurations taken", 1, len(board.taken), board.bootstraps()),
        (
            "configuration",
            board.digest[:12],
            board.configured[:12],
            inventory.get("configuration"),
        ),
        # One at each start of an application that starts, the one before the board had a
        # configuration among them.
        ("measurements", board.boots - 1, board.published, beats),
        ("statuses of release-2", GOOD, board.reports["release-2"], server.statuses(first)),
        ("statuses of release-3", BAD, board.reports["release-3"], server.statuses(second)),
        ("slot that runs", "ota_1", board.slot, inventory["slot"]),
        ("SHA-256 of its bytes", digest(new), running, payload.sha256),
        ("software by name", "release-2", kept, inventory["artifact_name"]),
        ("the crash is in the log", True, board.crashed, "the sensor library" in log),
    ]


def answer_digest(url: str) -> str:
    """SHA-256 of what the Bootstrap service says, asked for in clear."""
    request = urllib.request.Request(url, headers={"Authorization": f"Client {EXTERNAL_KEY}"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return digest(answer.read().rstrip())
