"""The management side of a running development server, called from Python.

    client = Client("https://localhost:8443", token, Path("dev/ca.pem"))
    client.accept_all()

Synchronous, on the standard library. Ids are strings; shapes are those of the REST answers.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
import secrets
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from .management import ARTIFACTS, DEPLOYMENTS, DEV, DEVAUTH, INVENTORY
from .murano_client import MuranoClient


class ServerError(Exception):
    """The server refused; ``status`` is its HTTP status."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Client(MuranoClient):
    """Management calls. Each may raise `ServerError`, or OSError if nobody answers."""

    def __init__(
        self, url: str, token: str, ca: Path | None, bootstrap_profile: str = "clients"
    ) -> None:
        """ca: the PEM of the CA to trust; None for a plain-HTTP server. bootstrap_profile: that
        of the server's Bootstrap service."""
        self._profile = bootstrap_profile
        self.url, self._token = url.rstrip("/"), token
        self._context = ssl.create_default_context(cafile=ca) if ca else None

    def call(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Any:
        """One request: ``body`` bytes, or to be sent as JSON. Returns the JSON that came, the
        Location of what was created, or None."""
        headers = {"Authorization": f"Bearer {self._token}", **(headers or {})}
        if body is not None and not isinstance(body, bytes):
            body, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
        request = urllib.request.Request(self.url + path, body, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30, context=self._context) as answer:
                content = answer.read()
                return json.loads(content) if content else answer.headers.get("Location")
        except urllib.error.HTTPError as error:
            raise ServerError(error.code, _reason(error)) from None

    def _create(self, path: str, body: Any, headers: dict[str, str] | None = None) -> str:
        return self.call("POST", path, body, headers).rpartition("/")[2]

    # Devices

    def devices(self, status: str | None = None) -> list[dict[str, Any]]:
        return self.call("GET", f"{DEVAUTH}?status={status}" if status else DEVAUTH)

    def device(self, device: str) -> dict[str, Any]:
        return self.call("GET", f"{DEVAUTH}/{device}")

    def decide(self, device: str, status: str) -> None:
        """Accept (or reject) the newest key of a device."""
        newest = self.device(device)["auth_sets"][-1]["id"]
        self.call("PUT", f"{DEVAUTH}/{device}/auth/{newest}/status", {"status": status})

    def accept_all(self) -> list[str]:
        """Accept every pending device. Returns their ids."""
        found = [device["id"] for device in self.devices("pending")]
        for device in found:
            self.decide(device, "accepted")
        return found

    def decommission(self, device: str) -> None:
        self.call("DELETE", f"{DEVAUTH}/{device}")

    def inventory(self, device: str) -> dict[str, Any]:
        """The attributes that a device sent, by name."""
        found = self.call("GET", f"{INVENTORY}/{device}")["attributes"]
        return {item["name"]: item["value"] for item in found if item["scope"] == "inventory"}

    # Releases and deployments

    def upload(self, path: Path, description: str = "") -> str:
        """Upload an Artifact. Returns its id."""
        boundary = secrets.token_hex(16)
        head = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="description"\r\n\r\n'
            f"{description}\r\n--{boundary}\r\nContent-Disposition: form-data;"
            f' name="artifact"; filename="artifact.mender"\r\n\r\n'
        )
        body = head.encode() + Path(path).read_bytes() + f"\r\n--{boundary}--\r\n".encode()
        return self._create(
            ARTIFACTS, body, {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        )

    def releases(self) -> list[dict[str, Any]]:
        return self.call("GET", ARTIFACTS)

    def deploy(
        self, artifact_name: str, devices: list[str] | None = None, force: bool = False
    ) -> str:
        """Create a deployment, for all accepted devices if none are named. Returns its id."""
        body: dict[str, Any] = {"artifact_name": artifact_name, "force_installation": force}
        body |= {"devices": devices} if devices else {"all_devices": True}
        return self._create(DEPLOYMENTS, body)

    def deployments(self) -> list[dict[str, Any]]:
        return self.call("GET", DEPLOYMENTS)

    def deployment(self, deployment: str) -> dict[str, Any]:
        """The deployment, with its ``devices`` and the status of each."""
        found = self.call("GET", f"{DEPLOYMENTS}/{deployment}")
        return {**found, "devices": self.call("GET", f"{DEPLOYMENTS}/{deployment}/devices")}

    def abort(self, deployment: str) -> None:
        self.call("PUT", f"{DEPLOYMENTS}/{deployment}/status", {"status": "aborted"})

    def deployment_history(self, deployment: str) -> list[dict[str, Any]]:
        """Each status, substate, device and sender ("device" or "server"), as they came."""
        return self.call("GET", f"{DEV}/deployments/{deployment}/history")

    def statuses(self, deployment: str, device: str | None = None) -> list[str]:
        """What devices (or one) reported, in the order received, repetitions included."""
        return [
            entry["status"]
            for entry in self.deployment_history(deployment)
            if entry["sender"] == "device" and device in (None, entry["device"])
        ]

    def log(self, deployment: str, device: str) -> list[dict[str, str]]:
        """The log that a device sent: timestamp, level, message of each entry."""
        return self.call("GET", f"{DEV}/deployments/{deployment}/devices/{device}/log")

    # Magistrala

    def add_channel(
        self, channel: str, name: str = "", metadata: Any = None, domain: str = "lab"
    ) -> None:
        """Make a channel, or give it this name and metadata (an object)."""
        body = {"id": channel, "name": name, "metadata": metadata}
        self.call("POST", f"{self._domain(domain)}/channels", body)

    def add_config(
        self,
        external_id: str,
        external_key: str,
        content: str = "",
        channels: Iterable[str | dict[str, Any]] = (),
        domain: str = "lab",
        prefix: str = "clients",
        **certs: str,
    ) -> str:
        """Make a configuration for a device's bootstrap. Returns the client's id.

        channels: ids, or objects with id, name and metadata. None of them: the answer's
        channels will be null. certs: client_cert, client_key, ca_cert. prefix and domain are of
        no account where the service has none such (Mainflux).
        """
        ids = []
        for channel in channels:
            if isinstance(channel, dict):
                named = {"name": channel.get("name", ""), "metadata": channel.get("metadata")}
                self.add_channel(channel["id"], domain=domain, **named)
                channel = channel["id"]
            ids.append(channel)
        where = self._configs(domain, prefix)
        body = {"external_id": external_id, "external_key": external_key, "content": content}
        # The service makes no configuration without a channel, but takes the last one away.
        config = self._create(where, {**body, **certs, "channels": ids or ["none"]})
        if not ids and self._profile != "profiles":
            self.call("PUT", f"{where}/connections/{config}", {"channels": []})
        return config

    def _domain(self, domain: str) -> str:
        return f"/{domain}" if domain and not self._profile.startswith("mainflux") else ""

    def _configs(self, domain: str, prefix: str = "clients") -> str:
        base = self._domain(domain)
        return f"{base}/{prefix if base else 'things'}/configs"

    def configs(self, domain: str = "lab") -> list[dict[str, Any]]:
        """The domain's configurations (at most 100), without their certificates."""
        return self.call("GET", f"{self._configs(domain)}?limit=100")["configs"]

    def update_config(
        self,
        client_id: str,
        name: str | None = None,
        content: str | None = None,
        domain: str = "lab",
    ) -> None:
        """Change name and content; what is None stays."""
        where = f"{self._configs(domain)}/{client_id}"
        known = self.call("GET", where)
        given = {"name": name, "content": content}
        body = {
            field: known.get(field, "") if text is None else text for field, text in given.items()
        }
        self.call("PATCH" if self._profile == "profiles" else "PUT", where, body)

    def update_certs(self, client_id: str, domain: str = "lab", **certs: str) -> None:
        """Replace client_cert, client_key and ca_cert."""
        self.call("PATCH", f"{self._configs(domain)}/certs/{client_id}", certs)

    def connect(self, client_id: str, state: int = 1, domain: str = "lab") -> None:
        """Connect the client to its channels (1), or disconnect it (0)."""
        where = self._configs(domain)
        if self._profile == "profiles":
            verb = "enable" if state else "disable"
            self.call("POST", f"{where}/{client_id}/{verb}")
        else:
            base = where.rpartition("/")[0]
            self.call("PUT", f"{base}/state/{client_id}", {"state": state})

    def messages(self, channel: str | None = None) -> list[dict[str, Any]]:
        """What clients published: domain, channel, subtopic (its parts joined by dots),
        publisher, content_type, body (text) of each, oldest first."""
        query = f"?channel={quote(channel)}" if channel else ""
        return self.call("GET", f"{DEV}/messages{query}")

    def issue_certificate(self, name: str) -> tuple[str, str]:
        """A new client certificate of the API's CA, and its key; both PEM."""
        found = self.call("POST", f"{DEV}/certificates", {"name": name})
        return found["cert"], found["key"]

    # Development

    def requests(self) -> list[dict[str, Any]]:
        """Every request of devices so far; see `recorder.Recorder.note`."""
        return self.call("GET", f"{DEV}/requests")

    def forget_requests(self) -> None:
        self.call("DELETE", f"{DEV}/requests")

    def faults(self, *plan: dict[str, Any]) -> None:
        """Put a fault plan in force, in place of the last one; see `faults`."""
        self.call("PUT", f"{DEV}/faults", list(plan))


def _reason(error: urllib.error.HTTPError) -> str:
    try:
        found = json.loads(error.read())
        return found.get("error") or found["message"]
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"HTTP status {error.code}"
