# An asyncio HTTP/1.1 client with verified TLS and kept-alive connections, shaped like requests.
#
#   client = Client(ca=[der], feed=watchdog.feed)
#   response = await client.put(url, json={"status": "success"})
#   if response.status_code == 204: ...
#   await client.close()
#
# One connection per host is kept for the next request; `max_connections` bounds all of them (a
# TLS connection takes some 30 KiB). Only https, unless allow_plain says otherwise in words.
# A `patient` request (a long poll) never stands in the way of another one: it ends with GaveWay
# where that finds no place, itself waits for a place as long as it takes, and feeds meanwhile.
# Also here, for those who read answers: printable(); dates.py has Retry-After, download.py ranges.
# Limits: no proxies, cookies, content codings or pipelining; TLS 1.2; see wire.py, response.py.
# SPDX-License-Identifier: MIT

import asyncio
import sys
import time

from micropython import const

from .. import __version__, memory
from ..errors import Rejected, Transient
from .message import printable, read_head
from .request import Request
from .response import Response
from .wire import BUFFER, Connection, Ended, GaveWay

_MAX_REDIRECTS = const(3)
_REDIRECTS = (301, 302, 303, 307, 308)
# What may be sent twice if the first one's fate is unknown (RFC 9110 §9.2.2).
_IDEMPOTENT = ("GET", "HEAD", "PUT")


class Client:
    """Requests over at most `max_connections` connections.

    ca: the CAs to trust, DER certificates, or a function that returns them: then they need not
    stay in RAM. cert, key: this board's own in DER, if the server asks. timeout: the longest
    silence, and the longest time to an answer's head, in seconds; connect_timeout and
    handshake_timeout likewise. idle_timeout: how long an unused connection is kept. max_body:
    the largest body read as a whole, in bytes. feed: called whenever bytes arrive and just
    before what blocks, as a watchdog needs.
    """

    def __init__(
        self,
        *,
        ca=(),
        cert=None,
        key=None,
        allow_plain=False,
        timeout=30,
        connect_timeout=15,
        handshake_timeout=30,
        idle_timeout=60,
        max_connections=2,
        max_body=65536,
        user_agent=None,
        feed=None,
    ):
        self._ca = ca
        self._pair = (cert, key)
        self.own = []  # the origins that see them, (secure, host, port) each; none: all do
        self._context = None
        self._allow_plain = allow_plain
        self._timeout_ms = int(timeout * 1000)
        self._connect_ms = int(connect_timeout * 1000)
        self._handshake_ms = int(handshake_timeout * 1000)
        self._idle_ms = int(idle_timeout * 1000)
        self._max_connections = max_connections
        self._max_body = max_body
        ours = "instar/%s (MicroPython; %s)" % (__version__, sys.platform)
        self._user_agent = user_agent or ours
        self._feed = feed
        self._connections = []  # those in use and those kept; the longest idle come first
        self._buffers = []
        self._freed = asyncio.Event()
        self._waiting = 0  # requests that wait for room, patient ones not counted

    def prepare(self):
        """Take now what lives long, before short-lived things lie in between: the TLS context and
        a buffer. Raises Rejected for certificates or a key that are none."""
        if self._authorities():
            self._make_context()
        self._buffers.append(bytearray(BUFFER))

    def _authorities(self):
        return self._ca() if callable(self._ca) else self._ca

    def _make_context(self):
        try:
            from .trust import tls_context

            self._context = tls_context(self._authorities(), *self._pair)
        finally:
            memory.forget("instar.http.trust")
        self._pair = (None, None)  # the context holds it

    def present(self, cert, key):
        """Another certificate of this board with its key, in DER, for every connection from now
        on. Long polls end with GaveWay. Raises Rejected for what is none."""
        self._pair = (cert, key)
        self._make_context()
        for connection in list(self._connections):
            connection.retired = connection.wanted = True
            if not connection.busy:
                self._drop(connection)

    async def request(
        self,
        method,
        url,
        *,
        headers=None,
        data=None,
        json=None,
        stream=False,
        redirects=0,
        idempotent=None,
        timeout=None,
        patient=False,
    ):
        """One request and its Response; the body is read whole unless `stream`.

        data: bytes, str, or an async iterable of bytes (chunked, or with its length if it has a
        `__len__`). json: a value instead. redirects: how many to follow, at most 3; only to
        https, and with no header but Range and its like. idempotent: says that this may be sent
        twice where the method does not say so; an iterable again, too. timeout: seconds instead
        of the client's. patient: a long poll, see above; `timeout` is for its wait alone.

        Raises Transient (and Untrusted) for what another try may cure, Rejected for a URL, a
        header or a body's length that must not be sent.
        """
        headers = dict(headers or {})
        if "user-agent" not in [name.lower() for name in headers]:
            headers["User-Agent"] = self._user_agent
        request = Request(method, url, headers, data, json)
        if idempotent is None:
            idempotent = method in _IDEMPOTENT and not request.streamed
        limit_ms = self._timeout_ms if timeout is None else int(timeout * 1000)
        if not request.origin[0] and not self._allow_plain:
            raise Rejected("%s: expected https (plain HTTP is not allowed)" % request.origin[1])
        for _ in range(min(redirects, _MAX_REDIRECTS) + 1):
            response = await self._exchange(request, idempotent, limit_ms, patient)
            if not redirects or response.status_code not in _REDIRECTS:
                break
            await response.close()
            try:
                from .redirects import following

                request = following(request, response, headers)
            finally:
                memory.forget("instar.http.redirects")
        else:
            raise Transient("%s: too many redirects" % request.origin[1])
        if not stream:
            try:
                await response.load(self._max_body)
            except BaseException:  # a full heap, too
                await response.close()
                raise
        return response

    def get(self, url, **options):  # as request(), like those below
        return self.request("GET", url, **options)

    def post(self, url, **options):
        return self.request("POST", url, **options)

    def put(self, url, **options):
        return self.request("PUT", url, **options)

    def patch(self, url, **options):
        return self.request("PATCH", url, **options)

    async def close(self):
        """Close every connection, those in use too. The client can be used again."""
        while self._connections:
            self._drop(self._connections[-1])

    async def _exchange(self, request, again, limit_ms, patient):
        fresh = False
        while True:
            connection = await self._lease(request.origin, fresh, limit_ms, patient)
            try:
                connection.begin(self._timeout_ms if patient else limit_ms)
                await request.send(connection)
                connection.expect_head(limit_ms)
                head = await read_head(connection)
                connection.expect_body()
                return Response(request.url, request.method, head, connection, self._release)
            except Ended:
                self._drop(connection)
                # A kept connection that dies before any byte of the answer was most likely
                # closed by the server meanwhile. Where nothing was sent, nothing was done.
                if not connection.reused or connection.received or (connection.sent and not again):
                    raise
                fresh = True
            except BaseException:
                self._drop(connection)
                raise

    async def _lease(self, origin, fresh, limit_ms, patient):
        # A connection to `origin`, marked busy: a kept one, or a new one once there is room. A
        # patient request lets those pass that wait: else it took back the place it gave up.
        while True:
            if patient and self._waiting:
                await self._wait_for_room(limit_ms, patient)
                continue
            connection = None if fresh else self._kept(origin)
            if connection:
                connection.patient, connection.wanted = patient, False
                return connection
            if len(self._connections) < self._max_connections:
                return await self._connect(origin, patient)
            idle = [c for c in self._connections if not c.busy]
            if idle:
                self._drop(idle[0])
            else:
                await self._wait_for_room(limit_ms, patient)

    def _kept(self, origin):
        for connection in [c for c in self._connections if not c.busy and c.origin == origin]:
            age = time.ticks_diff(time.ticks_ms(), connection.idle_since)
            if age < self._idle_ms and connection.alive():
                connection.busy = connection.reused = True
                return connection
            self._drop(connection)
        return None

    async def _connect(self, origin, patient):
        if origin[0] and not self._context:
            self._make_context()
        context = self._context if origin[0] else None
        if context and self.own and origin not in self.own:
            self._make_context()  # the first one has taken the pair, so this is one without
            context, self._context = self._context, context
        # The buffer of a connection that is gone goes on: 4 KiB in one piece may be hard to find.
        buffer = self._buffers.pop() if self._buffers else bytearray(BUFFER)
        connection = Connection(origin, buffer, self._timeout_ms, self._feed)
        connection.busy, connection.patient = True, patient
        self._connections.append(connection)
        try:
            await connection.open(context, self._connect_ms, self._handshake_ms)
        except BaseException:
            self._drop(connection)
            raise
        return connection

    async def _wait_for_room(self, limit_ms, patient):
        self._freed.clear()
        if patient:
            return await self._freed.wait()
        for connection in self._connections:
            if connection.patient and not connection.wanted:
                connection.wanted = True  # it ends by itself, see wire.py
                break
        self._waiting += 1
        try:
            await asyncio.wait_for_ms(self._freed.wait(), limit_ms)
        except asyncio.TimeoutError:
            raise Transient("all %d connections are in use" % self._max_connections)
        finally:
            self._waiting -= 1
            if not self._waiting:
                self._freed.set()  # the patient ones let this one pass

    def _release(self, connection, reusable):
        # Called by the Response when it is done with the connection.
        if not reusable or connection.retired or connection not in self._connections:
            return self._drop(connection)
        for other in self._connections:
            if other.origin == connection.origin and not other.busy:
                self._drop(other)
                break
        connection.busy = False
        connection.idle_since = time.ticks_ms()
        self._connections.remove(connection)
        self._connections.append(connection)
        self._freed.set()

    def _drop(self, connection):
        if connection in self._connections:
            self._connections.remove(connection)
            self._buffers.append(connection.buffer)
        connection.close()
        self._freed.set()
