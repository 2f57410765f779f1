"""Mender's device API: authentication, inventory, deployments; as strict as the real services.

Statuses, wordings and quirks are those of the open-source services (docs/mender.md lists where
this server differs). A device's token is checked first, as by the gateway in front of them.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from aiohttp import web

from . import answers, authreq, rollouts
from .answers import Refusal

if TYPE_CHECKING:
    from .app import Server

AUTH = "/api/devices/v1/authentication/auth_requests"
INVENTORY = "/api/devices/v1/inventory/device/attributes"
DEPLOYMENTS = "/api/devices/v1/deployments/device/deployments"
NEXT_V2 = "/api/devices/v2/deployments/device/deployments/next"

MAX_ATTRIBUTES = 100
MAX_NAME = 1024
MAX_PROVIDE = 4096
MAX_SUBSTATE = 200
_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)([.,]\d+)?(Z|[+-]\d\d:\d\d)")

DeviceHandler = Callable[[web.Request, str], Awaitable[web.Response]]


def routes(server: Server) -> list[web.RouteDef]:
    """The device API over ``server``'s state."""
    api = DeviceAPI(server)
    found = [
        web.post(AUTH, api.authenticate),
        web.put(INVENTORY, api.for_device(api.inventory)),
        web.patch(INVENTORY, api.for_device(api.inventory)),
        web.get(f"{DEPLOYMENTS}/next", api.for_device(api.next_get), allow_head=False),
        web.post(f"{DEPLOYMENTS}/next", api.for_device(api.next_post)),
        web.put(DEPLOYMENTS + "/{id}/status", api.for_device(api.status)),
        web.put(DEPLOYMENTS + "/{id}/log", api.for_device(api.log)),
    ]
    if server.options.v2:
        found.append(web.post(NEXT_V2, api.for_device(api.next_v2)))
    return found


class DeviceAPI:
    def __init__(self, server: Server) -> None:
        self.server = server

    def for_device(self, handler: DeviceHandler) -> Callable[..., Awaitable[web.Response]]:
        """``handler`` with the device's id, once its token proved good."""

        async def checked(request: web.Request) -> web.Response:
            header = request.headers.get("Authorization")
            if header is None:
                return answers.error(401, "no authorization header", "application/json")
            device = self._device(header)
            if device is None:
                return web.Response(status=401, headers={"Content-Type": "application/json"})
            if request.method != "GET" and not _is_json(request):
                return answers.wrong_content_type()
            return await handler(request, device)

        return checked

    def _device(self, header: str) -> str | None:
        scheme, _, token = header.partition(" ")
        found = self.server.tokens.check(token) if scheme == "Bearer" else None
        return found[0] if found and self.server.devices.is_accepted(*found) else None

    async def authenticate(self, request: web.Request) -> web.Response:
        if not _is_json(request):
            return answers.wrong_content_type()
        body = await request.read()
        identity, key = authreq.read(body, request.headers.get("X-MEN-Signature"))
        devices = self.server.devices
        auth_set = devices.request(identity, key, self.server.options.accept_all)
        if auth_set["status"] != "accepted":
            raise Refusal(401, "dev auth: unauthorized")
        token = self.server.tokens.issue(auth_set["device"], auth_set["id"])
        return web.Response(text=token, headers={"Content-Type": answers.JSON_TYPE})

    async def inventory(self, request: web.Request, device: str) -> web.Response:
        prefix = "failed to decode request body: "
        attributes = answers.decode(await request.read(), prefix)
        if not isinstance(attributes, list):
            raise answers.mismatch(attributes, "value of type []model.DeviceAttribute", prefix)
        for attribute in attributes:
            _check_attribute(attribute, prefix)
        replace = request.method == "PUT"
        if not self.server.devices.set_inventory(device, attributes, replace, MAX_ATTRIBUTES):
            raise Refusal(400, "the number of attributes in the scope is above the limit")
        return answers.empty(200)

    async def next_get(self, request: web.Request, device: str) -> web.Response:
        said = {name: request.query.get(name, "") for name in ("artifact_name", "device_type")}
        return self._next(request, device, said, {})

    async def next_post(self, request: web.Request, device: str) -> web.Response:
        body = await _object(request)
        said = {name: body.get(name) or "" for name in ("artifact_name", "device_type")}
        return self._next(request, device, said, body.get("artifact_provides") or {})

    async def next_v2(self, request: web.Request, device: str) -> web.Response:
        provides = (await _object(request)).get("device_provides") or {}
        if not isinstance(provides, dict):
            raise answers.mismatch(provides, "value of type map[string]string", "invalid schema: ")
        provides = dict(provides)
        said = {name: provides.pop(name, "") for name in ("artifact_name", "device_type")}
        return self._next(request, device, said, provides)

    def _next(self, request: web.Request, device: str, said: dict, provides: dict) -> web.Response:
        _check_provides(said)
        try:
            found = self.server.rollouts.next(device, {**said, "provides": provides})
        except rollouts.Conflict as conflict:
            raise Refusal(409, str(conflict)) from None
        if found is None:
            return answers.empty(204)
        deployment, artifact = found
        uri, expire = self.server.storage.sign(request.url.host or "localhost", artifact)
        shown = {
            "id": artifact["id"],
            "artifact_name": artifact["name"],
            "source": {"uri": uri, "expire": expire, "method": "GET"},
            "device_types_compatible": artifact["device_types_compatible"],
        }
        return answers.answer_json({"id": deployment, "artifact": shown})

    async def status(self, request: web.Request, device: str) -> web.Response:
        body = await _object(request)
        status, substate = body.get("status"), body.get("substate")
        _check_status(status, substate)
        try:
            known = self.server.rollouts.report(request.match_info["id"], device, status, substate)
        except rollouts.Conflict as conflict:
            raise Refusal(409, str(conflict)) from None
        if not known:
            raise Refusal(404, "Resource not found")
        return answers.empty(204)

    async def log(self, request: web.Request, device: str) -> web.Response:
        messages = (await _object(request)).get("messages") or []
        if not isinstance(messages, list):
            raise answers.mismatch(messages, "value of type []model.LogMessage")
        if not messages:
            raise Refusal(400, "no messages: invalid deployment log")
        for message in messages:
            _check_message(message)
        deployment = request.match_info["id"]
        if not _is_uuid(deployment):
            raise Refusal(500, "internal error")
        if not self.server.rollouts.save_log(deployment, device, messages):
            raise Refusal(404, "Deployment not found")
        return answers.empty(204)


def _is_json(request: web.Request) -> bool:
    """Whether the body, where there is one, is declared as JSON (in UTF-8)."""
    if not request.body_exists:
        return True
    declared = "Content-Type" in request.headers and request.content_type
    return declared == "application/json" and (request.charset or "utf-8").lower() == "utf-8"


async def _object(request: web.Request) -> dict[str, Any]:
    body = answers.decode(await request.read(), "invalid schema: ")
    if not isinstance(body, dict):
        raise answers.mismatch(body, "value of type model.Request", "invalid schema: ")
    return body


def _check_provides(said: dict[str, Any]) -> None:
    problems = []
    for name, text in said.items():
        if not isinstance(text, str):
            raise answers.mismatch(
                text, f"struct field .{name} of type string", "invalid schema: "
            )
        if not text:
            problems.append(f"{name}: cannot be blank")
        elif len(text) > MAX_PROVIDE:
            problems.append(f"{name}: the length must be between 1 and {MAX_PROVIDE}")
    _refuse(problems)


def _check_status(status: Any, substate: Any) -> None:
    if status is None:
        raise Refusal(500, "internal error")  # the real one stumbles over {} like this
    if status not in rollouts.KNOWN:
        raise Refusal(400, f"invalid status for device '{status}'")
    if not isinstance(substate or "", str):
        raise answers.mismatch(substate, "struct field .substate of type string")
    problems = [] if status in rollouts.FROM_DEVICE else ["status: must be a valid value"]
    if len(substate or "") > MAX_SUBSTATE:
        problems.append(f"substate: the length must be no more than {MAX_SUBSTATE}")
    _refuse(problems)


def _check_attribute(attribute: Any, prefix: str) -> None:
    if not isinstance(attribute, dict):
        raise answers.mismatch(attribute, "value of type model.DeviceAttribute", prefix)
    name, value = attribute.get("name") or "", attribute.get("value")
    for field in ("name", "description"):
        if not isinstance(attribute.get(field) or "", str):
            wanted = f"struct field DeviceAttribute.{field} of type string"
            raise answers.mismatch(attribute[field], wanted, prefix)
    if not name:
        raise Refusal(400, "name: cannot be blank.")
    if len(name) > MAX_NAME:
        raise Refusal(400, f"name: the length must be between 1 and {MAX_NAME}.")
    kinds = {_kind(item) for item in value} if isinstance(value, list) else {_kind(value)}
    if kinds - {"string", "number"}:
        raise Refusal(400, "value: supported types are string, float64, and arrays thereof.")
    if len(kinds) > 1:
        raise Refusal(400, "value: array values must be of consistent type: string or float64.")


def _kind(value: Any) -> str:
    return "null" if value is None else answers.go_type(value)


def _check_message(message: Any) -> None:
    if not isinstance(message, dict):
        raise answers.mismatch(message, "value of type model.LogMessage")
    fields = ("level", "message", "timestamp")
    for field in fields:
        if not isinstance(message.get(field) or "", str):
            raise answers.mismatch(message[field], f"struct field LogMessage.{field}")
    if message.get("timestamp"):
        _check_timestamp(message["timestamp"])
    _refuse([f"{field}: cannot be blank" for field in fields if not message.get(field)])


def _check_timestamp(text: str) -> None:
    form = '"2006-01-02T15:04:05Z07:00"'
    found = _RFC3339.fullmatch(text)
    if not found:
        rest = text[10:] or text
        raise Refusal(400, f'parsing time "{text}" as {form}: cannot parse "{rest}" as "T"')
    try:
        dt.datetime.fromisoformat(found[1])
    except ValueError:
        raise Refusal(400, f'parsing time "{text}": out of range') from None


def _is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True


def _refuse(problems: list[str]) -> None:
    if problems:
        raise Refusal(400, "; ".join(problems) + ".")
