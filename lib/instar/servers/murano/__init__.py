# Exosite Murano's device API: provisioning, resources, records, content.
#
#   murano = Murano(settings, "24:0a:c4:00:00:01", client, online=agent.online)
#   await murano.write({"temperature": 23.5})
#   values = await murano.read("thermostat", "mode")         # {"thermostat": "65"}
#   change = await murano.wait("thermostat", seconds=240)    # a Change, or None
#
# The first call provisions the board; a 401 later does so again, while what is stored stays until
# there is something better (activation.py). Where that fails, each call raises that error until it
# is time to ask again. Every method raises Transient (also for answers that no Murano gives:
# they may be a captive portal's), Unauthorised, or Rejected for what stays wrong.
# form.py has the encoding; the other modules of this folder come into the heap when needed.
# SPDX-License-Identifier: MIT

import asyncio
import os

from micropython import const

from ... import memory
from ...errors import Rejected, Transient, Unauthorised
from ...http import Ended, printable
from ...retry import Backoff
from ...stopwatch import Stopwatch
from .form import FORM, alias, decode, encode, joined

_ALIAS = "/onep:v1/stack/alias"
_RECORD = "/onep:v1/stack/record"
_REJECTED = (400, 404, 405, 409, 413, 415, 416)
_MAX_TIME = const(4102444800)  # 2100: an RTC counts no further everywhere


class Murano:
    """The product at `settings.murano_url`. identity: what this board is called there (str).
    client: see servers/__init__.py. online: an async callable before every request. random:
    n -> n random bytes, for a password. feed: called before what blocks for some time."""

    def __init__(self, settings, identity, client, online=None, random=os.urandom, feed=None):
        if not isinstance(identity, str) or not identity:
            raise Rejected("murano_identity: expected a name for this board, got %r" % (identity,))
        self.settings = settings
        self.identity = identity
        self.client = client
        self.online = online
        self.random = random
        self.feed = feed or (lambda: None)
        self.url = settings.murano_url.rstrip("/")
        self.domain = self.url.partition("://")[2]
        self.secrets = [settings.murano_token, settings.murano_password]  # never in a message
        self.unsaved = None  # a token that the flash did not take: it is not shown again
        self._answered = False  # whether the server ever said anything
        self._auth = None  # the headers that authenticate, {} for certificates, or None
        self._under_way = None  # a provisioning: its step, an Event for its end, its error
        self._backoff = Backoff(settings.retry_interval, settings.retry_interval_max)
        self._uptime = Stopwatch()
        self._failure = None  # why there are no credentials that work
        self._until = 0  # seconds of uptime: before, nobody is asked again
        if settings.murano_auth == "certificate":
            from .credentials import PAIR, stored_pair

            if pair := stored_pair(self, PAIR):
                client.present(*pair)
            memory.forget("instar.servers.murano.credentials")

    # Resources

    async def write(self, values):
        """Write values, a dict or (alias, value) pairs, all at one time. See form.text()."""
        body = encode(values)
        headers = {"Content-Type": FORM}
        response = await self.call("POST", _ALIAS, headers, body, idempotent=True)
        self.check(response, "write", 204)

    async def read(self, *aliases):
        """{alias: value as str}, without those that Murano does not know or has no value of."""
        response = await self.call("GET", _query(aliases), {"Accept": FORM})
        return self._values(response, "read", aliases)

    async def read_write(self, values, *aliases):
        """write(), then read(), in one request."""
        body = encode(values)
        headers = {"Accept": FORM, "Content-Type": FORM}
        response = await self.call("POST", _query(aliases), headers, body, idempotent=True)
        return self._values(response, "read_write", aliases)

    async def record(self, pairs):
        """Record values of the past. pairs: what form.entry() makes, each str or bytes.

        Returns [(alias, time)] of those that were refused: Murano has a value of that time. Sent
        again after a lost answer, that is what becomes of all of them.
        """
        headers = {"Content-Type": FORM}
        response = await self.call("POST", _RECORD, headers, joined(pairs), idempotent=True)
        if response.status_code == 409:
            from .conflicts import conflicts

            try:
                return conflicts(pairs, response.content)
            finally:
                memory.forget("instar.servers.murano.conflicts")
        if response.status_code in (404, 405, 415):  # the URL's fault, not that of the values
            raise Transient("expected 204, got %d: is murano_url right?" % response.status_code)
        self.check(response, "record", 204)
        return []

    async def wait(self, alias, seconds=None, since=None):
        """Wait for a new value of one resource: a Change, or None after `seconds`. See
        polling.py, which also has Watch."""
        from .polling import wait

        return await wait(self, alias, seconds or self.settings.murano_wait, since)

    # Content: see content.py

    async def contents(self):
        """The ids of the content there is, a list."""
        return await self._content("contents")

    async def info(self, id):
        """The Info of a content: type, size, updated, description."""
        return await self._content("info", id)

    async def download(self, id, *span, **options):
        """A content, or a part of it, as a Download: an async iterable of views."""
        return await self._content("download", id, *span, **options)

    async def upload(self, id, source, **options):
        """Give the product a content of this board."""
        return await self._content("upload", id, source, **options)

    async def _content(self, name, *args, **options):
        try:
            from . import content

            return await getattr(content, name)(self, *args, **options)
        finally:
            memory.forget("instar.servers.murano.content")

    # The rest

    async def timestamp(self):
        """The server's time: seconds since 1970. No credentials are sent."""
        response = await self.send("GET", "/timestamp", {})
        self.check(response, "timestamp", 200)
        found = response.content.strip()
        if not found.isdigit() or len(found) > 10 or int(found) > _MAX_TIME:
            raise Transient("timestamp: expected seconds, got '%s'" % printable(found))
        return int(found)

    async def activate(self):
        """Provision now, by settings.murano_auth. Raises Unauthorised with what an operator has
        to do, Rejected for settings that cannot work."""
        await self._provision("activate")

    async def reprovision(self, password=None, certificate=None, key=None):
        """New credentials in place of those in use, which are worth nothing after.

        A token product needs nothing; a password product takes `password`, by default a random
        one; a certificate product takes `certificate`, as PEM text, and its `key` in DER. Those
        two have to belong together and to name this identity: that is not checked here.
        """
        await self._provision("reprovision", password, certificate, key)

    async def call(self, method, path, headers=None, data=None, **options):
        """An authenticated request. The answer is not checked, but is never a 401: that activates
        once more, and sends once more. options: those of http.Client.request()."""
        self._raise_failure()
        auth = self._auth
        for again in (False, True):
            if auth is None or again:
                if self.online:
                    await self.online()  # a network that is away is no failure to remember
                await self._provision("renew", auth)
                auth = self._auth
            response = await self.send(method, path, auth, headers, data, **options)
            if response.status_code != 401:
                self._failure = None
                self._backoff.reset()
                return response
            await response.close()
        text = "identity %s: expected %s to take its credentials, got 401 right after activation: "
        text += "an operator has to reset the identity there, then this board activates itself"
        raise self._remembered(Unauthorised(text % (self.identity, self.domain)))

    async def send(self, method, path, auth, headers=None, data=None, **options):
        """One request with the headers `auth` ({} for none), and its Response."""
        if self.online:
            await self.online()
        merged = dict(auth)
        merged.update(headers or {})
        try:
            url = self.url + path
            response = await self.client.request(method, url, headers=merged, data=data, **options)
        except Ended as error:
            if self._answered or "while connecting" in str(error):
                raise
            text = "%s (Murano does so where the domain is not a product's: is murano_url right?)"
            raise Transient(text % error)
        self._answered = True
        return response

    def check(self, response, what, *expected):
        """Raise what the status of `response` means, unless it is one of those `expected`."""
        status = response.status_code
        if status in expected:
            return
        wanted = " or ".join([str(one) for one in expected])
        got = status, self.shown(response.content)
        text = "%s: expected %s, got %d %s" % ((what, wanted) + got)
        if status in (401, 403):
            raise Unauthorised(text, response.retry_after())
        if status in _REJECTED:
            raise Rejected(text)
        raise Transient(text, response.retry_after())

    def _values(self, response, what, aliases):
        self.check(response, what, 200, 204)
        found = decode(response.content)
        values = {name: value for name, value in found if name in aliases}
        if found and not values:  # a captive portal's page
            text = "%s: expected values of %s, got %s"
            raise Transient(text % (what, aliases, self.shown(response.content)))
        return values

    def shown(self, body):
        """What a message may show of an answer's body."""
        # A server may repeat what it got; an escape would hide it from this search.
        hidden = any(mark in body for mark in (b"\\", b"%", b"&"))
        if hidden or any(secret and secret.encode() in body for secret in self.secrets):
            return "(not shown)"
        return printable(body)

    async def _provision(self, step, *given):
        # One task for all who ask meanwhile: they get what it brings. Who is cancelled while he
        # waits must not take the token with him: to wait for the task would hand the cancellation
        # on to it, the event does not.
        while task := self._under_way:
            await task[1].wait()
            if task[0] == step != "reprovision":
                break
        else:
            if step == "renew":
                if self._auth is not given[0]:
                    return  # another task was quicker
                self._raise_failure()
            task = self._under_way = [step, asyncio.Event(), None]
            asyncio.create_task(self._do(task, given))  # noqa: RUF006 (the loop holds it)
            await task[1].wait()
        if task[2]:
            raise task[2]

    async def _do(self, task, given):
        step = task[0]
        try:
            self.feed()  # modules are imported, the flash is written
            from . import activation

            self._auth = await getattr(activation, step)(self, *given)
            self._failure = None
        except Exception as error:
            if step == "renew" and isinstance(error, Rejected):
                error = Unauthorised(str(error))  # the settings' fault, not that of what was to go
            if step == "renew" or (step == "activate" and isinstance(error, Unauthorised)):
                self._remembered(error)
            task[2] = error
        finally:
            for name in ("activation", "credentials", "pairs"):
                memory.forget("instar.servers.murano." + name)
            self._under_way = None
            task[1].set()

    def _remembered(self, error):
        self._failure = error
        self._until = self._uptime.seconds() + self._backoff.delay(error)
        return error

    def _raise_failure(self):
        # An application that writes every second must not ask every second.
        left = self._until - self._uptime.seconds()
        if self._failure and left > 0:
            # A new one, as each raise of the same would add to its traceback.
            error = type(self._failure)(*self._failure.args)
            if isinstance(error, Transient):
                error.retry_after = left
            raise error


def _query(aliases):
    if not aliases:
        raise Rejected("read: expected at least one alias, got none")
    return _ALIAS + "?" + "&".join([alias(name) for name in aliases])
