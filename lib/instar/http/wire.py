# One TCP or TLS connection: bytes out, lines and chunks in, never blocking the event loop.
#
#   connection = Connection((True, "updates.example", 443), bytearray(BUFFER), timeout_ms=30000)
#   await connection.open(context, connect_ms=10000, handshake_ms=30000)
#   await connection.write(b"GET / HTTP/1.1\r\n...")
#   line = await connection.readline(256)
#   view = await connection.some(1000)          # valid until the next call
#
# It reads until the socket would block, and only then waits in asyncio's poller: the stock
# StreamReader waits before every read, which is many times slower (bench/http.py).
#
# Limits: TLS 1.2, as in MicroPython's mbedTLS. getaddrinfo() and the public-key steps of a
# handshake block whatever is done here: `feed` (the watchdog's) is called just before them.
# A TCP close without TLS's close_notify looks like a clean end: lengths have to decide.
# Below 50 bytes a second a link is as good as none; over two minutes: TLS has records of 16 KiB.
# SPDX-License-Identifier: MIT

import asyncio
import gc
import select
import socket
import time
from asyncio import core  # pyright: ignore[reportAttributeAccessIssue]
from errno import EINPROGRESS

from micropython import const

from .. import memory
from ..errors import Rejected, Transient

BUFFER = 4096  # bytes for what arrives: a line has to fit, with its LF
_SLICE_MS = const(5)  # other tasks run at least this often while bytes keep coming
_PATIENCE_MS = const(100)  # how often a long poll looks whether it is in somebody's way
_WHOLE = const(4)  # timeouts: for a body that is read as a whole
_ALL = const(0x1FFFFFFF)  # bytes: more than a body has


class Ended(Transient):
    """The peer closed or reset the connection before the answer was complete."""


class GaveWay(Transient):
    """A long poll ended before its answer: another request needed the connection's place."""


def _ready(register, stream):
    # How asyncio's own streams wait: the poller wakes this task when `stream` is ready.
    yield register(stream)


class Connection:
    """A connection to `origin`, a (secure, host, port). buffer: a bytearray for what arrives.

    timeout_ms: the longest silence while something is expected. Every error is a Transient that
    names host and port; Untrusted for a refused certificate, Ended when the peer went away.
    """

    slowest = (120000, 6000)  # ms of waiting, and the bytes that have to move meanwhile

    def __init__(self, origin, buffer, timeout_ms, feed=None):
        self.origin = origin
        self.name = ("[%s]:%d" if ":" in origin[1] else "%s:%d") % origin[1:]
        self.reused = self.busy = False
        # Of a long poll's: `patient` until its answer's first byte, `wanted` by another request.
        # `retired`: not to be used for a further request.
        self.patient = self.wanted = self.retired = False
        self.sent = self.received = 0  # bytes of the request and of its answer so far
        self.idle_since = self._breath = time.ticks_ms()
        self._timeout_ms = self._limit_ms = timeout_ms
        self._deadline = None
        self._pace()
        self._feed = feed or (lambda: None)
        self._socket: socket.socket = None  # pyright: ignore[reportAttributeAccessIssue]
        self._handshaking = False
        self._doing = "connecting"
        self.buffer = buffer
        self._view = memoryview(buffer)
        self._start = self._end = 0

    async def open(self, context, connect_ms, handshake_ms):
        """Connect to the first address that answers. The handshake runs in the first write."""
        addresses = self._resolve()
        while True:
            try:
                await self._connect(addresses.pop(0), connect_ms)
                break
            except Transient:
                self.close()
                if not addresses:
                    raise
        if context:
            gc.collect()  # TLS takes some 17 KiB in one piece; on RP2 from this very heap
            self._begin("in the TLS handshake", handshake_ms)
            self._handshaking = True
            try:
                self._socket = context.wrap_socket(
                    self._socket, server_hostname=self.origin[1], do_handshake_on_connect=False
                )
                self._socket.setblocking(False)
            except (OSError, ValueError) as error:
                raise self._explain(error)

    def begin(self, timeout_ms):
        """A request starts: count what is sent and received anew."""
        self.sent = self.received = 0
        self._timeout_ms = timeout_ms
        self._pace()
        if not self._handshaking:
            self._doing, self._deadline = "sending", None

    def expect_head(self, limit_ms):
        """The whole head of the answer has to arrive within this time; if it is waited for
        patiently, its first byte, and the rest within the timeout."""
        self._begin("waiting for the answer", limit_ms)

    def expect_body(self):
        """From here on only silence counts: a body may take as long as it flows."""
        self._doing, self._deadline = "reading the answer", None
        self._pace()

    def expect_whole(self):
        """After expect_body(): and all of it within four times the timeout."""
        self._pace(_WHOLE * self._timeout_ms, _ALL)

    async def write(self, data):
        """Send all of `data` (bytes or a view of them), in one write if the socket takes it."""
        view = memoryview(data)
        while view:
            try:
                count = self._socket.write(view)
            except (OSError, ValueError) as error:
                raise self._explain(error)
            if count is None:
                await self._wait(core._io_queue.queue_write)
                continue
            if self._handshaking:
                self._handshaking = False
                self._doing, self._deadline = "sending", None
            self.sent += count
            view = view[count:]

    async def readline(self, limit):
        """The next line as bytes, without its CR LF or LF; `limit` (< 4096) counts the CR."""
        while True:
            at = self.buffer.find(b"\n", self._start, self._end)
            if at - self._start > limit or (at < 0 and self._end - self._start > limit):
                raise Transient("%s: expected lines of at most %d bytes" % (self.name, limit))
            if at >= 0:
                break
            if not await self._fill():
                raise self.ended()
        line = bytes(self._view[self._start : at])
        self._start = at + 1
        return line[:-1] if line.endswith(b"\r") else line

    async def some(self, limit):
        """1 to `limit` bytes as a view, valid until the next call; empty: the peer closed."""
        if time.ticks_diff(time.ticks_ms(), self._breath) >= _SLICE_MS:
            await asyncio.sleep_ms(0)
            self._breath = time.ticks_ms()
        if self._start == self._end and not await self._fill():
            return self._view[:0]
        start = self._start
        self._start = min(self._end, start + limit)
        return self._view[start : self._start]

    def alive(self):
        """Whether an idle connection can carry another request: open, and nothing unread."""
        try:
            return self._start == self._end and self._socket.readinto(self._view) is None
        except (OSError, ValueError):
            return False

    def close(self):
        """Close the socket. Who still reads from it gets an Ended."""
        if self._socket:
            self._socket.close()

    def ended(self):
        """The error for an answer that stopped short."""
        return Ended("%s: closed while %s" % (self.name, self._doing))

    def _begin(self, doing, limit_ms):
        self._doing, self._limit_ms = doing, limit_ms
        self._deadline = time.ticks_add(time.ticks_ms(), limit_ms)

    def _pace(self, window_ms=None, least=0):
        # `least` bytes have to move in each `window_ms` of waiting.
        self._window_ms, self._least = (window_ms, least) if window_ms else self.slowest
        self._waited_ms, self._moved = 0, self.sent + self.received

    def _check_pace(self, spent_ms):
        # What trickles is never silent, and would hold the board for ever.
        self._waited_ms += spent_ms
        if self._waited_ms < self._window_ms:
            return
        if self.sent + self.received - self._moved < self._least:
            text = "%s: too slow: %g s of waiting while %s"
            raise Transient(text % (self.name, self._waited_ms / 1000, self._doing))
        self._pace(self._window_ms, self._least)

    def _resolve(self):
        self._feed()
        try:
            found = socket.getaddrinfo(self.origin[1], self.origin[2], 0, socket.SOCK_STREAM)
        except OSError as error:
            raise Transient("%s: no address for this name: %s" % (self.name, error))
        return list(found)

    async def _connect(self, address, connect_ms):
        self._begin("connecting", connect_ms)
        try:
            self._socket = socket.socket(address[0], socket.SOCK_STREAM)
            self._socket.setblocking(False)
            self._socket.connect(address[-1])
        except OSError as error:
            if error.errno != EINPROGRESS:
                raise self._explain(error)
        await self._wait(core._io_queue.queue_write)
        # A refused connection is "writable" too; reading from it tells why it failed.
        poller = select.poll()
        poller.register(self._socket, select.POLLOUT)
        for found in poller.poll(0):
            if found[1] & (select.POLLERR | select.POLLHUP):
                self._raise_why()

    def _raise_why(self):
        try:
            self._socket.readinto(self._view)
        except OSError as error:
            raise self._explain(error)
        raise self.ended()

    async def _fill(self):
        # Bytes are appended behind those not yet taken; the number that came, 0 at the end.
        if self._start == self._end:
            self._start = self._end = 0
        elif self._end == len(self.buffer):
            self._end -= self._start
            self.buffer[: self._end] = self.buffer[self._start :]
            self._start = 0
        room = self._view[self._end :] if self._end else self._view
        while True:
            try:
                count = self._socket.readinto(room)
            except (OSError, ValueError) as error:
                raise self._explain(error)
            if count is not None:
                break
            if self.patient:
                await self._linger()
            else:
                await self._wait(core._io_queue.queue_read)
        self._feed()
        if self.patient:
            self.patient = False
            self._begin(self._doing, self._timeout_ms)
        self._end += count
        self.received += count
        return count

    async def _wait(self, register):
        left = limit = self._timeout_ms
        began = time.ticks_ms()
        if self._deadline is not None:
            limit = self._limit_ms
            left = max(0, time.ticks_diff(self._deadline, began))
        try:
            await asyncio.wait_for_ms(_ready(register, self._socket), left)
        except asyncio.TimeoutError:
            raise self._late(limit)
        self._breath = time.ticks_ms()
        if self._deadline is None:
            self._check_pace(time.ticks_diff(self._breath, began))
        self._feed()

    async def _linger(self):
        # A slice of a long poll's wait. Nobody else may close a socket that a task waits on, so
        # it looks by itself whether it has to go; asyncio's poller and its tasks, which
        # wait_for_ms() makes anew each time, would cost heap in every slice.
        if self.wanted:
            raise GaveWay("%s: gave way to another request" % self.name)
        left = time.ticks_diff(self._deadline or 0, time.ticks_ms())
        if left <= 0:
            raise self._late(self._limit_ms)
        await asyncio.sleep_ms(min(left, _PATIENCE_MS))
        self._feed()

    def _late(self, limit_ms):
        return Transient("%s: timeout after %g s %s" % (self.name, limit_ms / 1000, self._doing))

    def _explain(self, error):
        if not self._handshaking and not isinstance(error, ValueError):
            return Ended("%s: %s while %s" % (self.name, error, self._doing))
        try:
            from .trust import explained

            return explained(self.name, error)
        finally:
            memory.forget("instar.http.trust")
