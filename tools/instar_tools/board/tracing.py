# An HTTP client that shows what goes over its connections, for murano.py beside it.
#
#   client = Tracing(ca=[der])     # as http.Client
#
# Each trace is {"trace": [what, text or hex]}: "note" of a connection; "request", the bytes of a
# request's first write, and "sent", those of the following ones; "head", a line of an answer;
# "body", bytes of one; "rest", of how many bytes nothing was shown.
# Limits: of one body some KiB are shown. The secrets are in it: whoever prints it masks them.
# SPDX-License-Identifier: MIT
import desk
from micropython import const

from instar.http import Client

_SHOWN = const(4096)  # bytes of one body, about


def say(what, value):
    desk.say({"trace": [what, value if isinstance(value, (int, str)) else bytes(value).hex()]})


class Tracing(Client):
    """Every connection shows what it carries."""

    async def _connect(self, origin, *more):
        kind = "TLS" if origin[0] else "plain HTTP, not encrypted"
        say("note", f"connecting to {origin[1]}, port {origin[2]}: {kind}")
        connection = await super()._connect(origin, *more)
        Watched(connection)
        return connection


class Watched:
    """Stands in the way of one connection's methods."""

    def __init__(self, connection):
        self._count = 0  # bytes of this body so far
        self._state = ""
        self._begin, self._write = connection.begin, connection.write
        self._readline, self._some = connection.readline, connection.some
        self._expect_body, self._close = connection.expect_body, connection.close
        connection.begin, connection.write = self.begin, self.write
        connection.readline, connection.some = self.readline, self.some
        connection.expect_body, connection.close = self.expect_body, self.close

    def begin(self, *more):
        self._end()
        self._state = "request"
        self._begin(*more)

    async def write(self, data):
        if len(data):
            self._show(self._state, data)
            if self._state == "request":  # it begins with the head, which is no body
                self._count -= bytes(data).find(b"\r\n\r\n") + 4
            self._state = "sent"
        await self._write(data)

    async def readline(self, limit):
        line = await self._readline(limit)
        if self._state != "body":  # else it is of the chunks' framing
            self._end()
            self._state = "head"
            say("head", line)
        return line

    def expect_body(self):
        self._state = "body"
        self._expect_body()

    async def some(self, limit):
        view = await self._some(limit)
        if len(view):
            self._show("body", view)
        return view

    def close(self):
        if self._state:
            self._end()
            self._state = ""
            say("note", "closed")
        self._close()

    def _show(self, what, data):
        if self._count < _SHOWN:
            say(what, data)
        self._count += len(data)

    def _end(self):
        if self._count > _SHOWN:
            say("rest", self._count)
        self._count = 0
