"""The second board: a device of a Murano product. It makes itself known, keeps the token that it
is told once, sends its data, does what a resource says, and takes an update from there."""

from __future__ import annotations

import json

from desk import DEVICE_TYPE, WORK, Board, Row, artifact, digest, image, say

from instar_tools.artifact_reader import read_artifact
from instar_tools.server.testing import DevServer
from instar_tools.simulated import flash_builder

PRODUCT = "lab"
RESOURCES = ("config_otau", "otau_in", "inventory", "beats", "pace", "pace_now")
# What the resource otau_in gets, by what the board says that it reports.
STATUSES = {
    "offered": ["INIT"],
    "downloading": ["DOWNLOAD"],
    "installing": ["DOWNLOAD_SUCCESS", "INSTALL"],
    "rebooting": ["INSTALL_STEP"],
    "proven": ["INSTALL_STEP"],
    "success": ["INSTALL_SUCCESS", "INSTALLED_VERSION"],
}


class SecondBoard(Board):
    """What was seen of it, and what its operator does."""

    def __init__(self, server: DevServer) -> None:
        super().__init__("board 2")
        self.server = server
        self.recorded = 0
        self.installed = ""
        self.told_to = self.pace = ""
        self.reported: list[str] = []

    def prepare(self) -> None:
        """The board as it leaves the factory: the product's URL and its CA, no secret."""
        url = self.server.add_product(PRODUCT, resources=RESOURCES)
        settings = {
            "murano_url": url,
            "murano_wait": 20,
            "max_connections": 3,  # two resources are watched, and something has to be sent
            "ca": ["/ca.der"],
            "device_type": DEVICE_TYPE,
            "artifact_name": "release-1",
            "ntp_host": "127.0.0.1",
            "ntp_port": self.server.sntp_port,
            "retry_interval": 1,
            "retry_interval_max": 2,
        }
        files = {"/instar.json": json.dumps(settings).encode(), "/ca.der": self.server.ca_der}
        flash_builder.write_flash(self.flash, image("release-1"), files=files, seed=2)
        say("board 2", f"flashed: release-1; the URL of the Murano product, {url}")

    def event(self, event: dict) -> None:
        super().event(event)
        if event["event"] == "recorded":
            self.recorded += event["records"]
        elif event["event"] == "deployment":
            self.installed = event["artifact_name"]
            self.reported += STATUSES["offered"]
        elif event["event"] == "pace":
            self.pace = str(event["ms"])
        elif event["event"] == "report":
            again = event["status"] == "installing" and "INSTALL" in self.reported
            self.reported += STATUSES["proven" if again else event["status"]]

    def obeyed(self, event: dict) -> bool:
        """Whether the board does what an operator tells it once it rests."""
        if event["event"] == "idle" and not self.told_to:
            self.told_to = "50"
            self.server.set_resource(PRODUCT, self.mac, "pace", self.told_to)
            say("server", "an operator writes 50 to the resource pace")
        return self.pace == self.told_to != ""

    def offer(self, name: str) -> None:
        """Upload a release to the product's content, and offer it in config_otau."""
        path = artifact(name)
        self.server.add_content(PRODUCT, path.name, path)
        offer = {"version": name, "name": "More beats", "type": "FILE", "payload": path.name}
        self.server.set_resource(PRODUCT, self.mac, "config_otau", json.dumps(offer))
        say("server", f"{path.name} uploaded, and offered in the resource config_otau")

    def told(self, resource: str) -> list[str]:
        """Everything that the product has of this board's resource, in order."""
        return [value for _, value in self.server.history(PRODUCT, self.mac, resource)]


def play(server: DevServer) -> list[Row]:
    """From the factory to an update, and what board and product say against each other."""
    board = SecondBoard(server)
    board.prepare()
    board.run(board.obeyed)
    board.offer("release-4")
    board.run("success")
    return rows(board)


def rows(board: SecondBoard) -> list[Row]:
    server = board.server
    (identity,) = server.identities(PRODUCT)
    payload = read_artifact(WORK / "release-4.mender").payloads[0].files[0]
    new = (WORK / "release-4.bin").read_bytes()
    told = [json.loads(text) for text in board.told("otau_in")]
    statuses = [entry["status"] for entry in told if entry["version"] == "release-4"]
    version = [e["version"] for e in told if e["status"] == "INSTALLED_VERSION"][-1]
    slot = json.loads(board.told("inventory")[-1])["slot"]
    expected = [name for names in STATUSES.values() for name in names]
    return [
        ("identity", board.mac, board.mac, identity["identity"]),
        ("measurements", board.boots, board.recorded, len(board.told("beats"))),
        ("pace", "50", board.pace, board.told("pace_now")[-1]),
        ("statuses of release-4", expected, board.reported, statuses),
        ("slot that runs", "ota_1", board.slot, slot),
        ("SHA-256 of its bytes", digest(new), board.running_digest(len(new)), payload.sha256),
        ("software by name", "release-4", board.installed, version),
    ]
