# Mender's device API: authentication, inventory, deployments, download, log.
#
#   server = Mender(settings, {"mac": "24:0a:c4:..."}, client, feed=watchdog.feed)
#   await server.authorise()                       # Unauthorised until somebody accepts the board
#   deployment = await server.next_deployment({"artifact_name": "v1", "device_type": "esp32"})
#   stream = await server.open(deployment, 0)
#   async for view in stream: ...
#   await server.report(deployment.id, "success")
#
# The token lives in RAM only. Any call that meets a 401 or 403 gets a new one and is sent again,
# once. Limits: no update control maps, no tiers; one download at a time.
# SPDX-License-Identifier: MIT

import os

from micropython import const

from ... import memory
from ...errors import Aborted, Rejected, Unauthorised

_API = "/api/devices/v%d/%s"
_DEPLOYMENTS = "deployments/device/deployments/"
_MAX_SUBSTATE = const(200)
_MAX_LOG = const(32768)


class Deployment:
    """What to install. total: the Artifact's size in bytes, known after it was opened once."""

    image = sha256 = named = None  # see intake.py: an Artifact says itself what it is

    def __init__(self, id, artifact_name, uri, device_types=(), total=None):
        self.id = id
        self.artifact_name = artifact_name
        self.uri = uri
        self.device_types = device_types
        self.total = total


class Mender:
    """The server of `settings.mender_url`. identity: a dict of strings, the same for ever.
    client: see servers/__init__.py.

    random: n -> n random bytes, for a new key. feed: called around everything that takes long.
    Every method raises Transient (also for answers that no Mender server gives: they may be a
    captive portal's), Unauthorised, or Rejected for what the server calls bad.
    """

    def __init__(self, settings, identity, client, random=os.urandom, feed=None):
        for name in identity:
            if not isinstance(identity[name], str):
                raise Rejected("identity: expected strings, got another value of %s" % name)
        if not identity:
            raise Rejected("identity: expected at least one name and value, got none")
        self._client = client
        self._settings = settings
        self._url = settings.mender_url.rstrip("/")
        self._identity = identity
        self._random = random
        self._feed = feed or (lambda: None)
        self._stream = None
        self._token = ""
        self._v1 = False

    @property
    def _shapes(self):
        from . import shapes  # once more, if open() unloaded it

        return shapes

    async def authorise(self, fresh=False):
        """Have a token; a new one if `fresh`. Raises Broken if the identity key is damaged."""
        if self._token and not fresh:
            return
        self._token = ""
        body, headers = await self._signed_request()
        url = self._url + _API % (1, "authentication/auth_requests")
        response = await self._client.post(url, data=body, headers=headers, idempotent=True)
        if response.status_code == 401:
            text = "auth: expected this device to be accepted on the server, got 401: it is"
            raise Unauthorised(text + " pending or rejected, or another key signed")
        self._shapes.check(response, "auth", 200)
        self._token = self._shapes.token(response)

    async def report_inventory(self, attributes):
        """Add to the inventory: strings, numbers, lists of one kind. None is left out, a bool
        goes as "true" or "false", which the server would refuse otherwise."""
        body = self._shapes.inventory(attributes)
        path = _API % (1, "inventory/device/attributes")
        response = await self._call("PATCH", path, json=body)
        self._shapes.check(response, "inventory", 200)

    async def next_deployment(self, provides):
        """The Deployment that waits for this board, or None. provides: what is installed, with
        artifact_name and device_type."""
        provides = dict(provides)
        provides["artifact_name"] = provides.get("artifact_name") or "unknown"
        provides["device_type"] = provides.get("device_type") or self._settings.device_type
        response = None
        if not self._v1:
            body = {"device_provides": provides}
            response = await self._call("POST", _API % (2, _DEPLOYMENTS + "next"), json=body)
            # The open-source server has no v2; that does not change while we run.
            self._v1 = response.status_code == 404
        if self._v1 or not response:
            query = "next?artifact_name=%s&device_type=%s"
            query %= (
                self._shapes.quote(provides["artifact_name"]),
                self._shapes.quote(provides["device_type"]),
            )
            response = await self._call("GET", _API % (1, _DEPLOYMENTS + query))
        # 409: what we provide changed during a deployment, which the server has ended by now.
        if response.status_code in (204, 409):
            return None
        self._shapes.check(response, "next", 200)
        return self._shapes.to_deployment(response)

    async def open(self, deployment, offset=0, end=None):
        """The Artifact from byte `offset` on, with `end` only what lies before that, as an async
        iterable of views with .offset, .total and close(). Without a token: its host is another
        one. Opening closes the one before.

        Expired: ask next again, which gives another URL. Rejected: the range does not fit.
        """
        memory.forget("instar.servers.mender.shapes")
        from ...http.download import open_range

        if self._stream:
            await self._stream.close()
        self._stream = await open_range(
            self._client, deployment.uri, offset, deployment.total, end
        )
        deployment.total = self._stream.total
        return self._stream

    async def renew(self, deployment, provides):
        """Another URL for a deployment whose URL expired. provides: as for next_deployment().
        Raises Aborted if the server no longer offers it."""
        found = await self.next_deployment(provides)
        if not found or found.id != deployment.id:
            raise Aborted("the server no longer offers this deployment")
        deployment.uri = found.uri

    async def report(self, id, status, substate=None):
        """Tell how far the deployment is. Raises Aborted if the server withdrew it, Rejected if it
        knows of none."""
        if status != "downloading":
            self._stream = None
            memory.forget("instar.http.download")  # the download is over
        body = {"status": status}
        if substate:
            body["substate"] = substate[:_MAX_SUBSTATE]
        response = await self._call("PUT", self._path(id, "status"), json=body)
        self._shapes.check_deployment(response, "status " + status)

    async def send_log(self, id, entries, limit=_MAX_LOG):
        """Send [(RFC 3339 time, level, message), ...], as many of the newest as fit in `limit`
        bytes of JSON. No entries, no request."""
        if entries:
            response = await self._call(
                "PUT", self._path(id, "log"), log=self._shapes.Log(entries, limit)
            )
            self._shapes.check_deployment(response, "log")

    async def _call(self, method, path, json=None, log=None):
        # Every call of this API may be repeated: a second one finds what the first left.
        for fresh in (False, True):
            await self.authorise(fresh)
            headers = {"Authorization": "Bearer " + self._token}
            if log:
                headers["Content-Type"] = "application/json"
            response = await self._client.request(
                method, self._url + path, headers=headers, data=log, json=json, idempotent=True
            )
            if response.status_code not in (401, 403):
                return response
        self._token = ""
        text = "%s: expected the new token to be good, got %d"
        raise Unauthorised(text % (path.partition("?")[0], response.status_code))

    def _path(self, id, what):
        if not self._shapes.is_id(id):
            raise Rejected("%s: expected a deployment's id that fits a URL" % what)
        return _API % (1, _DEPLOYMENTS + id + "/" + what)

    async def _signed_request(self):
        memory.release(memory.SMALL_WINDOW)  # the arithmetic needs the room, for a moment
        from .auth import Identity

        identity = Identity(self._settings, self._identity, self._random, self._feed)
        try:
            return await identity.request()
        finally:
            memory.forget("instar.servers.mender.auth")
            memory.forget("instar.crypto")
            memory.restore((memory.SMALL_WINDOW,))
