"""The management side, for whoever holds the management token.

Devices, releases and deployments at the paths of Mender's own management API, as far as this
server has them; /api/dev/ is this server's own: the request log, faults, statuses as they came,
published messages, client certificates.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import asyncio
import hashlib
import hmac
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import BodyPartReader, web

from ..artifact_reader import ArtifactError, read_artifact
from . import answers, authreq, faults
from .answers import Refusal, answer_json, empty

if TYPE_CHECKING:
    from .app import Server

DEVAUTH = "/api/management/v2/devauth/devices"
INVENTORY = "/api/management/v1/inventory/devices"
ARTIFACTS = "/api/management/v1/deployments/artifacts"
DEPLOYMENTS = "/api/management/v1/deployments/deployments"
DEV = "/api/dev"
MAX_NAME = 64  # of a certificate's subject
PREFIXES = ("/api/management/", DEV + "/")


def routes(server: Server) -> list[web.RouteDef]:
    api = Management(server)
    return [
        web.get(DEVAUTH, api.devices),
        web.post(DEVAUTH, api.preauthorize),
        web.get(DEVAUTH + "/{id}", api.device),
        web.delete(DEVAUTH + "/{id}", api.decommission),
        web.put(DEVAUTH + "/{id}/auth/{set}/status", api.decide),
        web.get(INVENTORY + "/{id}", api.inventory),
        web.get(ARTIFACTS, api.artifacts),
        web.post(ARTIFACTS, api.upload),
        web.get(ARTIFACTS + "/{id}", api.artifact),
        web.delete(ARTIFACTS + "/{id}", api.remove_artifact),
        web.get(DEPLOYMENTS, api.deployments),
        web.post(DEPLOYMENTS, api.create),
        web.get(DEPLOYMENTS + "/{id}", api.deployment),
        web.put(DEPLOYMENTS + "/{id}/status", api.abort),
        web.get(DEPLOYMENTS + "/{id}/devices", api.deployment_devices),
        web.get(DEPLOYMENTS + "/{id}/devices/{device}/log", api.log_text),
        web.get(DEV + "/deployments/{id}/history", api.history),
        web.get(DEV + "/deployments/{id}/devices/{device}/log", api.log),
        web.get(DEV + "/requests", api.requests),
        web.delete(DEV + "/requests", api.forget_requests),
        web.get(DEV + "/faults", api.faults),
        web.put(DEV + "/faults", api.set_faults),
        web.get(DEV + "/messages", api.messages),
        web.post(DEV + "/certificates", api.issue_certificate),
    ]


def is_allowed(request: web.Request, token: str) -> bool:
    """Whether the request bears the management token."""
    given = request.headers.get("Authorization", "")
    given_raw = given.encode(errors="surrogateescape")
    return hmac.compare_digest(given_raw, f"Bearer {token}".encode())


def found_or_404(value: Any, what: str) -> Any:
    if value is None or value is False:
        raise Refusal(404, f"{what} not found")
    return value


def _are_ids(devices: Any) -> bool:
    listed = isinstance(devices, list) and bool(devices)
    return listed and all(isinstance(device, str) for device in devices)


async def read_object(request: web.Request) -> dict[str, Any]:
    body = answers.decode(await request.read(), "")
    if not isinstance(body, dict):
        raise Refusal(400, f"expected a JSON object, got {answers.go_type(body)}")
    return body


class Management:
    def __init__(self, server: Server) -> None:
        self.server = server

    # Devices

    async def devices(self, request: web.Request) -> web.Response:
        return answer_json(self.server.devices.list(request.query.get("status")))

    async def device(self, request: web.Request) -> web.Response:
        found = self.server.devices.get(request.match_info["id"])
        return answer_json(found_or_404(found, "device"))

    async def preauthorize(self, request: web.Request) -> web.Response:
        body = await read_object(request)
        identity = authreq.canonical(answers.go_json(body.get("identity_data")).decode())
        pubkey = authreq.load_key(str(body.get("pubkey")))[1]
        if self.server.devices.preauthorize(identity, pubkey) is None:
            raise Refusal(409, "device already exists")
        return empty(201)

    async def decommission(self, request: web.Request) -> web.Response:
        device = request.match_info["id"]
        found_or_404(self.server.devices.forget(device), "device")
        self.server.rollouts.decommission(device)
        return empty(204)

    async def decide(self, request: web.Request) -> web.Response:
        status = (await read_object(request)).get("status")
        if status not in ("accepted", "rejected", "pending"):
            raise Refusal(400, f"expected status accepted, rejected or pending, got {status!r}")
        where = request.match_info
        found_or_404(self.server.devices.decide(where["id"], where["set"], status), "auth set")
        return empty(204)

    async def inventory(self, request: web.Request) -> web.Response:
        device = request.match_info["id"]
        known = found_or_404(self.server.devices.get(device), "device")
        identity = [
            {"name": name, "value": value, "scope": "identity"}
            for name, value in known["identity_data"].items()
        ]
        attributes = identity + self.server.devices.inventory(device)
        return answer_json({"id": device, "attributes": attributes})

    # Releases

    async def artifacts(self, request: web.Request) -> web.Response:
        return answer_json(self.server.artifacts.list())

    async def artifact(self, request: web.Request) -> web.Response:
        found = self.server.artifacts.get(request.match_info["id"])
        return answer_json(found_or_404(found, "artifact"))

    async def remove_artifact(self, request: web.Request) -> web.Response:
        artifact = request.match_info["id"]
        if self.server.rollouts.is_used(artifact):
            raise Refusal(409, "artifact is used in an active deployment")
        found_or_404(self.server.artifacts.remove(artifact), "artifact")
        return empty(204)

    async def upload(self, request: web.Request) -> web.Response:
        if request.content_type != "multipart/form-data":
            raise Refusal(400, "expected multipart/form-data")
        description = ""
        async for part in await request.multipart():
            assert isinstance(part, BodyPartReader)
            if part.name == "artifact":
                return await self._keep(part, description)
            if part.name == "description":
                description = await part.text()
        raise Refusal(400, "expected a part named artifact")

    async def _keep(self, part: BodyPartReader, description: str) -> web.Response:
        with tempfile.TemporaryDirectory(dir=self.server.artifacts.folder) as folder:
            digest = hashlib.sha256()
            with tempfile.NamedTemporaryFile(dir=folder, delete=False) as out:
                while chunk := await part.read_chunk(64 << 10):
                    out.write(chunk)
                    digest.update(chunk)
            path = Path(out.name)
            try:
                info = await asyncio.to_thread(read_artifact, path)
            except ArtifactError as error:
                raise Refusal(400, f"invalid artifact: {error}") from None
            artifact = self.server.artifacts.add(path, info, digest.hexdigest(), description)
        if artifact is None:
            raise Refusal(422, "An artifact with the same name and depends already exists")
        answer = empty(201)
        answer.headers["Location"] = f"{ARTIFACTS}/{artifact}"
        return answer

    # Deployments

    async def deployments(self, request: web.Request) -> web.Response:
        return answer_json(self.server.rollouts.list())

    async def deployment(self, request: web.Request) -> web.Response:
        return answer_json(self._deployment(request))

    def _deployment(self, request: web.Request) -> dict[str, Any]:
        return found_or_404(self.server.rollouts.get(request.match_info["id"]), "deployment")

    async def create(self, request: web.Request) -> web.Response:
        body = await read_object(request)
        name = body.get("artifact_name")
        devices = body.get("devices") or []
        if body.get("all_devices"):
            devices = [device["id"] for device in self.server.devices.list("accepted")]
        if not isinstance(name, str) or not name or not _are_ids(devices):
            raise Refusal(400, "expected artifact_name, and devices (ids) or all_devices")
        if not any(artifact["name"] == name for artifact in self.server.artifacts.list()):
            raise Refusal(422, f"No artifact for the deployment: {name!r}")
        title, force = str(body.get("name") or name), bool(body.get("force_installation"))
        deployment = self.server.rollouts.create(title, name, devices, force)
        answer = empty(201)
        answer.headers["Location"] = f"{DEPLOYMENTS}/{deployment}"
        return answer

    async def abort(self, request: web.Request) -> web.Response:
        if (await read_object(request)).get("status") != "aborted":
            raise Refusal(400, "expected status aborted")
        deployment = self._deployment(request)
        if deployment["status"] == "finished":
            raise Refusal(422, "Deployment already finished")
        self.server.rollouts.abort(deployment["id"])
        return empty(204)

    async def deployment_devices(self, request: web.Request) -> web.Response:
        return answer_json(self.server.rollouts.devices(self._deployment(request)["id"]))

    def _log(self, request: web.Request) -> list[dict]:
        where = request.match_info
        return found_or_404(self.server.rollouts.log(where["id"], where["device"]), "log")

    async def log(self, request: web.Request) -> web.Response:
        return answer_json(self._log(request))

    async def log_text(self, request: web.Request) -> web.Response:
        lines = ("{timestamp} {level}: {message}\n".format(**m) for m in self._log(request))
        return web.Response(text="".join(lines))

    # Development

    async def history(self, request: web.Request) -> web.Response:
        return answer_json(self.server.rollouts.history(self._deployment(request)["id"]))

    async def requests(self, request: web.Request) -> web.Response:
        return answer_json(list(self.server.recorder.entries))

    async def forget_requests(self, request: web.Request) -> web.Response:
        self.server.recorder.entries.clear()
        return empty(204)

    async def faults(self, request: web.Request) -> web.Response:
        return answer_json([vars(fault) for fault in self.server.faults.plan])

    async def set_faults(self, request: web.Request) -> web.Response:
        plan = answers.decode(await request.read(), "")
        try:
            self.server.faults.plan = faults.parse(plan)
        except (TypeError, ValueError) as error:
            raise Refusal(400, str(error)) from None
        return empty(204)

    async def messages(self, request: web.Request) -> web.Response:
        return answer_json(self.server.messages.list(request.query.get("channel")))

    async def issue_certificate(self, request: web.Request) -> web.Response:
        name = (await read_object(request)).get("name")
        if not isinstance(name, str) or not 1 <= len(name) <= MAX_NAME:
            raise Refusal(400, f"expected name, a string of 1 to {MAX_NAME} characters")
        certificate, key = self.server.ca.client_certificate(name)
        return answer_json({"cert": certificate.decode(), "key": key.decode()})
