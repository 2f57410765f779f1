"""One development server and one simulated board, on a desk: what the system tests play with.

lab = Lab(tmp_path, server)
lab.flash(settings={"proof_timeout": 5})
deployment = lab.deploy(lab.artifact("release-2"))
lab.run("success")
assert lab.server.statuses(deployment) == GOOD

Lab(tmp_path, server, board="RPI_PICO_W") has a board without firmware slots: lab.flash() fills its
slot /a, and lab.app_artifact("release-2", source) makes the update.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import subprocess
from pathlib import Path

from instar_tools import image_builder, slot_builder
from instar_tools.artifact_writer import ROOTFS, Content, write_artifact
from instar_tools.paths import BOARDS, FIRMWARE, micropython
from instar_tools.server.testing import DevServer
from instar_tools.simulated import flash_builder
from instar_tools.simulated.board_kinds import ESP32_GENERIC, KINDS
from instar_tools.simulated.simulator import Simulator

GOOD = ["downloading", "installing", "rebooting", "installing", "success"]
ROLLED_BACK = ["downloading", "installing", "rebooting", "failure"]
DEVICE_TYPES = {"ESP32_GENERIC": "esp32", "RPI_PICO_W": "pico-w"}
APP = "micropython-app"
EXTERNAL_KEY = "the-key-on-the-label"
CRYPTO_KEY = "12345678910111213141516171819202"  # what the service has if nobody said another
# What an ESP32 needs for all of Mender: gzip, P-256, every payload type. The tests hold it.
MENDER_HEAP = "80wk"
# With bootstrap and messages to Magistrala, and with the data and the updates of a Murano product.
MAGISTRALA_HEAP = "88wk"
MURANO_HEAP = "92wk"
STORE_HEADER = 12  # magic, length, CRC before a record of the board's store
SECONDS = 60  # a limit for a board that never comes to an end, not a measure


@functools.cache
def image(name: str, head: str = "", app: str | None = None) -> bytes:
    """A firmware image with instar and the sample application; `head` runs as it is imported."""
    app = (FIRMWARE / "app.py").read_text() if app is None else app
    files = image_builder.firmware_files()
    files["app.py"] = (head + app).encode()
    return image_builder.build_image(name, image_builder.compiled(files))


class Lab:
    """A board's flash file, its simulator, and everything that both sides said."""

    def __init__(
        self,
        folder: Path,
        server: DevServer,
        board: str = ESP32_GENERIC.name,
        parts=(),
        **simulator,
    ) -> None:
        self.folder = folder
        self.server = server
        self.kind = KINDS[board]
        self.parts = parts
        if self.kind is ESP32_GENERIC:
            simulator.setdefault("heap", MENDER_HEAP)
        self.device_type = DEVICE_TYPES[board]
        self.path = folder / "board.flash"
        self.events: list[dict] = []
        self.console: list[str] = []
        self.board = Simulator(
            self.path,
            on_event=self._event,
            console=lambda line: self.console.append(line.decode()),
            **simulator,
        )

    def _event(self, event: dict) -> None:
        self.events.append(event)
        if event["event"] == "pending":
            self.server.accept_all()

    def flash(
        self,
        first: bytes | None = None,
        settings: dict | None = None,
        files: dict[str, bytes] | None = None,
        app: str | None = None,
    ) -> None:
        """Make the flash file of a board that was just flashed, with its settings and CAs.

        first: the firmware image, where there are firmware slots. app: source of the application
        in it, or else in slot /a; None: the sample.
        """
        self.settings = {
            "mender_url": self.server.url,
            "device_type": self.device_type,
            "wifi_ssid": "lab",
            "artifact_name": "release-1",
            "ca": ["/api-ca.der", "/storage-ca.der"],
            "ntp_host": "127.0.0.1",
            "ntp_port": self.server.sntp_port,
            "update_poll_interval": 1,
            "retry_interval": 1,
            "retry_interval_max": 1,
            "download_tries": 2,
            "proof_timeout": 30,
            "http_timeout": 5,
            **(settings or {}),
        }
        content = {
            "/api-ca.der": self.server.ca_der,
            "/storage-ca.der": self.server.storage_ca_der,
            **(files or {}),
        }
        self._make(first, content, app)

    def flash_blank(self, settings: dict | None = None, app: str | None = None) -> None:
        """Make the flash file of a board from the factory: a URL, two keys, no certificate."""
        self.settings = {
            "bootstrap_url": self.server.bootstrap_url,
            "bootstrap_plain_http": True,
            "bootstrap_slow_interval": 1,
            "external_key": EXTERNAL_KEY,
            "crypto_key": CRYPTO_KEY,
            "device_type": self.device_type,
            "wifi_ssid": "lab",
            "ntp_host": "127.0.0.1",
            "ntp_port": self.server.sntp_port,
            "retry_interval": 1,
            "retry_interval_max": 1,
            "http_timeout": 5,
            **(settings or {}),
        }
        self._make(None, {}, app)

    def register(self, content: dict | None = None, **more) -> str:
        """Upload a configuration for this board: where Mender and Magistrala are, and `content`
        (settings, and None to leave one out). Returns the client's id, connected."""
        fields = {"ca_cert": self.server.ca_bundle.read_text(), "channels": ["readings"], **more}
        client = self.server.add_config(
            self.mac, EXTERNAL_KEY, content=self.content(content), **fields
        )
        self.server.connect(client)
        return client

    def content(self, content: dict | None = None) -> str:
        """What the configuration says, as the service has it."""
        settings = {
            "mender_url": self.server.url,
            "magistrala_url": self.server.url,
            "magistrala_domain": "lab",
            "update_poll_interval": 1,
            "proof_timeout": 30,
            **(content or {}),
        }
        found = {name: value for name, value in settings.items() if value is not None}
        return json.dumps({"instar": found, "room": "7"})

    def product(self, settings: dict | None = None, **product) -> dict:
        """A Murano product `lab`, and the settings of a board that is one of its devices."""
        resources = ["config_otau", "otau_in", "inventory", "beats", "pace", "pace_now"]
        resources += product.pop("resources", ())
        url = self.server.add_product("lab", resources=resources, **product)
        return {"mender_url": "", "murano_url": url, "murano_wait": 20, **(settings or {})}

    def offer(self, version: str, content: bytes, **payload) -> None:
        """Upload the content to the product, and offer it to this board. payload: more of the
        offer's; for a firmware image its format."""
        name = f"{version}.bin"
        self.server.add_content("lab", name, content)
        offer = {"version": version, "name": f"Release {version}", "type": "FILE"}
        offer["payload"] = {"content": name, **payload} if payload else name
        self.server.set_resource("lab", self.mac, "config_otau", json.dumps(offer))

    def told(self, resource: str = "otau_in") -> list[str]:
        """Everything this board wrote to a resource of the product, in order."""
        return [value for _, value in self.server.history("lab", self.mac, resource)]

    def otau(self, version: str) -> list[str]:
        """The statuses of a version that Murano got."""
        found = [json.loads(text) for text in self.told()]
        return [entry["status"] for entry in found if entry["version"] == version]

    @property
    def mac(self) -> str:
        """The board's MAC address, which lies at the beginning of its flash."""
        return ":".join(f"{byte:02x}" for byte in self.path.read_bytes()[:6])

    def _make(self, first: bytes | None, files: dict[str, bytes], app: str | None) -> None:
        content = {"/instar.json": json.dumps(self.settings).encode(), **files}
        if self.kind.firmware_slots:
            first = first or image("release-1", app=app)
        else:
            folder = self._app_folder("first", app)
            content = slot_builder.device_files(self.kind.name, folder, self.parts) | content
        flash_builder.write_flash(self.path, first, kind=self.kind, files=content, seed=1)

    def _app_folder(self, name: str, source: str | None) -> Path:
        folder = self.folder / f"app-{name}"
        folder.mkdir(exist_ok=True)
        source = (FIRMWARE / "app.py").read_text() if source is None else source
        (folder / "app.py").write_text(source)
        return folder

    def artifact(self, name: str, payload: bytes | None = None, **release) -> Path:
        """A rootfs-image Artifact of a firmware image, or of other bytes."""
        source = self.folder / f"{name}.bin"
        source.write_bytes(image(name) if payload is None else payload)
        return self._write(name, {"payload_type": ROOTFS, "files": [source], **release})

    def app_artifact(
        self, name: str, source: str | None = None, key: bytes | None = None, **release
    ) -> Path:
        """A micropython-app Artifact for this board's slots, signed if there is a key (PEM).

        source: of app.py; None: the sample. A board without firmware slots gets instar with it.
        """
        board = None if self.kind.firmware_slots else self.kind.name
        files = slot_builder.slot_files(board, self._app_folder(name, source))
        payload = Content(slot_builder.UPDATE_TAR, slot_builder.update_tar(files))
        fields = {"payload_type": APP, "files": [payload], "key": key, **release}
        return self._write(name, fields)

    def file_artifact(self, name: str, folder: str, filename: str, data: bytes) -> Path:
        """A single-file Artifact, as Mender's generator writes it."""
        lines = {"dest_dir": folder, "filename": filename, "permissions": "644"}
        files = [Content(field, text.encode() + b"\n") for field, text in lines.items()]
        files.append(Content(filename, data))
        return self._write(name, {"payload_type": "single-file", "files": files})

    def _write(self, name: str, release: dict) -> Path:
        path = self.folder / f"{name}.mender"
        fields = {"artifact_name": name, "device_types": [self.device_type], **release}
        write_artifact(path, **fields)
        return path

    def deploy(self, path: Path) -> str:
        """Upload, and create a deployment for this board (which has been accepted)."""
        self.server.upload(path)
        return self.server.deploy(path.stem, [self.device()])

    def meet(self) -> None:
        """Run until the board has been accepted and found nothing to do."""
        self.run("idle")

    def run(self, until, seconds: float = SECONDS) -> None:
        outcome = self.board.run(until=until, seconds=seconds)
        assert outcome.met, (outcome, self.said(), self.console[-15:])

    def device(self) -> str:
        (device,) = self.server.devices()
        return device["id"]

    def log(self, deployment: str) -> str:
        entries = self.server.log(deployment, self.device())
        return "\n".join(entry["message"] for entry in entries)

    def said(self) -> list[str]:
        """The board's events in short, without those that repeat."""
        skip = ("idle", "progress", "heap", "authorised", "inventory")
        return [
            " ".join(str(value) for key, value in event.items() if key != "from")
            for event in self.events
            if event["event"] not in skip
        ]

    def errors(self) -> list[str]:
        return [event["message"] for event in self.events if event["event"] == "error"]

    def slot(self) -> str:
        """The slot that ran last: ota_0 or ota_1; without firmware slots app_slot()."""
        if not self.kind.firmware_slots:
            return self.app_slot() or "a"
        return [event["slot"] for event in self.events if event["event"] == "boot"][-1]

    def app_slot(self) -> str | None:
        """The application slot that the boot guard's record names; None: there is no record."""
        record = self.slots()
        return record["active"] if record else None

    def slots(self) -> dict | None:
        """The boot guard's record."""
        try:
            return json.loads(self.read("/.instar/slots")[STORE_HEADER:])
        except FileNotFoundError:
            return None

    def read(self, path: str) -> bytes:
        """A file of the board's file system, read by mounting it."""
        done = subprocess.run(
            [micropython(), Path(__file__).parent / "read_vfs.py", self.path, path],
            env={**os.environ, "MICROPYPATH": f"{BOARDS / 'UNIX'}:.frozen"},
            capture_output=True,
            check=False,
        )
        if done.returncode == 2:
            raise FileNotFoundError(path)
        assert done.returncode == 0, done.stdout + done.stderr
        return bytes.fromhex(done.stdout.decode())

    def digest(self, label: str, length: int | None = None) -> str:
        """SHA-256 of a partition's first bytes, read from the flash file."""
        flash = self.path.read_bytes()
        row = {row[4]: row for row in flash_builder.parse_table(flash)}[label]
        data = flash[row[2] : row[2] + row[3]]
        return hashlib.sha256(data[:length]).hexdigest()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
