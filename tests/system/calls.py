"""Requests as a device sends them, header by header, and signing keys: for tests of the server."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import base64
import http.client
import json
import ssl
from pathlib import Path
from urllib.parse import urlsplit

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

AUTH = "/api/devices/v1/authentication/auth_requests"
INVENTORY = "/api/devices/v1/inventory/device/attributes"
DEPLOYMENTS = "/api/devices/v1/deployments/device/deployments"
VECTORS = Path(__file__).parents[1] / "vectors"
ARTIFACT = VECTORS / "app-1.0.mender"


def call(server, method, path, headers=(), body="", *, url=None, context=None):
    """One request on a connection of its own, nothing added: (status, headers, body)."""
    parts = urlsplit(url or server.url)
    if parts.scheme == "http":
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=20)
    else:
        context = context or ssl.create_default_context(cafile=server.ca_bundle)
        connection = http.client.HTTPSConnection(
            parts.hostname, parts.port, timeout=20, context=context
        )
    try:
        connection.request(method, path, body or None, dict(headers))
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


class Device:
    """A device with a P-256 key, as far as the server can tell."""

    def __init__(self, server, mac="02:00:00:00:00:01"):
        self.server, self.mac, self.token = server, mac, ""
        self.key = ec.generate_private_key(ec.SECP256R1())

    def auth_request(self, id_data=None):
        """(headers, body) of its auth request; ``id_data``: its identity spelt another way."""
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        pem = self.key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()
        body = json.dumps({"id_data": id_data or json.dumps({"mac": self.mac}), "pubkey": pem})
        signature = self.key.sign(body.encode(), ec.ECDSA(hashes.SHA256()))
        headers = {"X-MEN-Signature": base64.b64encode(signature).decode()}
        return {**headers, "Content-Type": "application/json"}, body

    def authenticate(self):
        """Returns the status; keeps the token where there is one."""
        status, _, body = call(self.server, "POST", AUTH, *self.auth_request())
        self.token = body.decode() if status == 200 else ""
        return status

    def call(self, method, path, value=None, headers=()):
        """(status, JSON or None) of a request with its token."""
        headers = {"Authorization": f"Bearer {self.token}", **dict(headers)}
        body = ""
        if value is not None:
            headers["Content-Type"], body = "application/json", json.dumps(value)
        status, _, content = call(self.server, method, path, headers, body)
        return status, json.loads(content) if content else None

    def next(self, name="factory", device_type="esp32"):
        query = f"artifact_name={name}&device_type={device_type}"
        return self.call("GET", f"{DEPLOYMENTS}/next?{query}")

    def report(self, deployment, status, **more):
        return self.call("PUT", f"{DEPLOYMENTS}/{deployment}/status", {"status": status, **more})[
            0
        ]


def accepted(server, mac="02:00:00:00:00:01"):
    """A device that the server accepts, with its token, and its id."""
    device = Device(server, mac)
    assert device.authenticate() == 401
    (device.id,) = server.accept_all()
    assert device.authenticate() == 200
    return device


def offered(server, device, name="app-1.0"):
    """Deploy to ``device``, let it ask: (deployment id, the URL it is given)."""
    deployment = server.deploy(name, [device.id])
    status, found = device.next()
    assert (status, found["id"]) == (200, deployment)
    return deployment, found["artifact"]["source"]["uri"]


def download(server, url, headers=()):
    """GET a download URL exactly as it was given."""
    parts = urlsplit(url)
    return call(server, "GET", f"{parts.path}?{parts.query}", headers, url=url)
