"""The server put together: what it listens on, and the way of a request through it.

    server = Server(Options(data=Path("dev")))
    await server.start()
    ...
    await server.stop()

Two TLS ports, the API and the object store, each with a certificate of its own CA; the Bootstrap
service and the message endpoint on a plain port too, for boards that cannot do TLS yet; the
device's side of everything once more, for boards that bring a certificate; a port for each
product of Murano; SNTP on UDP.
A request is recorded, may meet a fault, and only then reaches a protocol. Management calls are
neither recorded nor disturbed.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import datetime as dt
import secrets
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from . import (
    answers,
    authreq,
    faults,
    magistrala,
    magistrala_keys,
    magistrala_manage,
    magistrala_messages,
    magistrala_state,
    management,
    mender,
    murano_manage,
    recorder,
    sntp,
)
from .magistrala_families import SERVED, not_found
from .murano_products import Products
from .pki import LOCAL_NAMES, Authority, write_secret
from .releases import Artifacts
from .rollouts import Rollouts
from .state import Database, Devices
from .storage import Storage

BODY_LIMIT = 1 << 20
_SHUTDOWN = 0.5  # seconds that requests in progress get

_LOCAL = ("127.0.0.1", "::1", "0.0.0.0", "::")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Middleware = Callable[[web.Request, Handler], Awaitable[web.StreamResponse]]


@dataclass
class Options:
    """How the server runs. Ports: 0 for any that is free.

    names: host names and addresses in the certificates.
    storage_host: the name in download URLs; None: the one by which the device came.
    single_ca: the object store's certificate is from the API's CA instead of a second one.
    validity: first and last moment of the server certificates, for tests.
    token_lifetime: seconds. sntp_offset: seconds that the time server is ahead.
    mutual_port: where a certificate of the API's CA is demanded; None: nowhere.
    bootstrap_profile: the version of the Bootstrap service, see `magistrala_families.SERVED`.
    bootstrap_key: its crypto key as configured; None: upstream's default.
    murano_port, murano_auth, murano_domain: of a first product, called lab; no port: none.
    """

    data: Path
    names: list[str] = field(default_factory=lambda: list(LOCAL_NAMES))
    bind: str = "127.0.0.1"
    port: int = 0
    storage_port: int = 0
    sntp_port: int = 0
    bootstrap_port: int = 0
    mutual_port: int | None = None
    murano_port: int | None = None
    murano_auth: str | None = None
    murano_domain: str = "localhost"
    bootstrap_profile: str = "clients"
    bootstrap_key: str | None = None
    storage_host: str | None = None
    plain: bool = False
    accept_all: bool = False
    v2: bool = False
    single_ca: bool = False
    sntp_offset: float = 0
    token_lifetime: int = authreq.WEEK
    validity: tuple[dt.datetime, dt.datetime] | None = None


class Server:
    """The shared state and its listeners. Make it in the thread that will run it."""

    def __init__(self, options: Options) -> None:
        """
        Raises:
            ValueError: an option does not fit the others; the message says which.
        """
        _check(options)
        self.options = options
        self.bootstrap_key = magistrala_keys.crypto_key(
            options.bootstrap_key, options.bootstrap_profile
        )
        folder = options.data
        folder.mkdir(parents=True, exist_ok=True)
        self.ca = Authority(folder)
        self.storage_ca = self.ca if options.single_ca else Authority(folder, "storage-ca")
        self.bundle = folder / "ca-bundle.pem"
        self.bundle.write_bytes(self.ca.pem.read_bytes() + self.storage_ca.pem.read_bytes())
        self.token_file = folder / "management-token"
        if not self.token_file.exists():
            write_secret(self.token_file, secrets.token_urlsafe(32).encode())
        self.token = self.token_file.read_text()
        self.tokens = authreq.Tokens(folder, options.token_lifetime)
        self.db = Database(folder / "state.sqlite")
        self.devices = Devices(self.db)
        self.artifacts = Artifacts(self.db, folder / "artifacts")
        self.rollouts = Rollouts(self.db, self.artifacts)
        self.storage = Storage(folder, self.artifacts, options.storage_host)
        self.configs = magistrala_state.Configs(self.db)
        self.messages = magistrala_state.Messages(self.db)
        self.recorder, self.faults = recorder.Recorder(), faults.Faults()
        self.murano = Products(self)
        self._runners: list[web.AppRunner] = []
        self.port = self.bootstrap_port = self.mutual_port = self.sntp_port = 0

    async def start(self) -> None:
        """Listen on all ports.

        Raises:
            OSError: a port is taken.
        """
        options = self.options
        bootstrap = [*magistrala.routes(self), *magistrala_messages.routes(self)]
        managed = magistrala_manage.routes(self)
        devices = [*mender.routes(self), *bootstrap]
        api = [*devices, *management.routes(self), *managed, *murano_manage.routes(self)]
        self.port = await self._listen("api", api, options.port, self._tls(self.ca))
        self.storage.scheme = "http" if options.plain else "https"
        self.storage.port = await self._listen(
            "storage", self.storage.routes(), options.storage_port, self._tls(self.storage_ca)
        )
        self.bootstrap_port = await self._listen(
            "bootstrap", [*bootstrap, *managed], options.bootstrap_port, None
        )
        if options.mutual_port is not None:
            context = self._mutual_tls()
            self.mutual_port = await self._listen("mutual", devices, options.mutual_port, context)
        await self.murano.start()
        self._sntp, self.sntp_port = await sntp.serve(
            options.bind, options.sntp_port, options.sntp_offset
        )

    async def _listen(
        self, host: str, routes: list[web.RouteDef], port: int, context: ssl.SSLContext | None
    ) -> int:
        app = web.Application(client_max_size=BODY_LIMIT, middlewares=[_around(self, host)])
        app.add_routes(routes)
        return await self.listen(app, port, context)

    async def listen(self, app: web.Application, port: int, context: ssl.SSLContext | None) -> int:
        """Serve ``app`` until `stop`. Returns the port.

        Raises:
            OSError: it is taken.
        """
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN)
        await runner.setup()
        self._runners.append(runner)
        await web.TCPSite(runner, self.options.bind, port, ssl_context=context).start()
        return runner.addresses[0][1]

    def _tls(self, ca: Authority) -> ssl.SSLContext | None:
        if self.options.plain:
            return None
        return ca.server_context(self.options.names, self.options.validity)

    def _mutual_tls(self) -> ssl.SSLContext:
        context = self.ca.server_context(self.options.names, self.options.validity)
        self.ca.demand(context)
        return context

    async def stop(self) -> None:
        """Close every connection and the state."""
        self.murano.stop()
        for runner in self._runners:
            await runner.cleanup()
        if self.sntp_port:
            self._sntp.close()
        self.db.close()

    def ready(self) -> dict[str, Any]:
        """Where it listens and what a client needs: what --ready-file holds."""
        scheme, bind = self.storage.scheme, self.options.bind
        host = "localhost" if bind in _LOCAL else bind
        mutual = {"mutual": f"https://{host}:{self.mutual_port}"} if self.mutual_port else {}
        return {
            "api": f"{scheme}://{host}:{self.port}",
            "bootstrap": f"http://{host}:{self.bootstrap_port}",
            **mutual,
            "murano": {name: found.product.url for name, found in self.murano.services.items()},
            "storage": f"{scheme}://{self.options.storage_host or host}:{self.storage.port}",
            "sntp_port": self.sntp_port,
            "ca": str(self.ca.pem),
            "storage_ca": str(self.storage_ca.pem),
            "management_token_file": str(self.token_file),
        }


def _check(options: Options) -> None:
    if options.bootstrap_profile not in SERVED:
        raise ValueError(
            f"bootstrap profile: expected one of {', '.join(SERVED)},"
            f" got {options.bootstrap_profile!r}"
        )
    if options.plain and options.mutual_port is not None:
        raise ValueError("a port that demands certificates cannot be without TLS")


def _around(server: Server, host: str) -> Middleware:
    """What surrounds every handler of one listener."""

    @web.middleware
    async def around(request: web.Request, handler: Handler) -> web.StreamResponse:
        if host == "api" and request.path.startswith(management.PREFIXES):
            if not management.is_allowed(request, server.token):
                return answers.error(401, "expected the management token")
            return await _guarded(request, handler, host)
        if host != "storage" and magistrala_manage.is_managed(request.path):
            return await _guarded(request, handler, host)
        entry = server.recorder.note(request, host)
        return await recorder.watched(
            server.faults, entry, request, lambda r: _guarded(r, handler, host), _too_large
        )

    return around


def _too_large() -> web.Response:
    return answers.error(413, f"request body too large: at most {BODY_LIMIT} bytes")


async def _guarded(request: web.Request, handler: Handler, host: str) -> web.StreamResponse:
    """``handler``, with refusals and the router's errors worded as the services do."""
    try:
        return await handler(request)
    except answers.Refusal as refusal:
        return refusal.answer()
    except web.HTTPNotFound:
        if host == "bootstrap":
            return not_found()
        return answers.bare_error(404, "Resource not found")
    except web.HTTPMethodNotAllowed:
        if host == "bootstrap":
            return web.Response(status=405)
        return answers.bare_error(405, "Method not allowed")
