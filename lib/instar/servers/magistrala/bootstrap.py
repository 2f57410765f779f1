# A board's configuration from a Bootstrap service of Magistrala or Mainflux.
#
#   answer = await bootstrap(settings, "02:00:00:aa:bb:01", feed=watchdog.feed)
#   memory.forget("instar.servers.magistrala")
#   memory.forget("instar.crypto")
#
# Limits: answers of at most 16 KiB; no redirects are followed. No message shows a key.
# SPDX-License-Identifier: MIT

import os

from micropython import const

from ...errors import Rejected, Transient, Unauthorised
from ...http import printable
from .. import connect
from . import BadRequest, profile
from .answer import parse
from .routes import to_service

_MAX_ANSWER = const(16384)
_MAX_REASON = const(2048)  # bytes of an error's body: a key that it repeats is whole in them
_SHOWN = const(120)

# Left as it is in a path, as Go's net/url does: the services unescape a path that is written in
# this way, and only this; in any other they look for the id as it is written (%3A for a colon).
_SEGMENT = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~$&+,:;=@"

_ADVICE = {
    400: "check external_id, external_key and bootstrap_profile",
    401: "check bootstrap_profile: another version expects another word before the key",
    403: "check %s",
    404: "check external_id, bootstrap_profile and bootstrap_url (Mainflux before 0.13: the keys,"
    " too), and whether the configuration is on the server yet",
    405: "check bootstrap_url and bootstrap_profile",
}


async def bootstrap(settings, external_id, random=os.urandom, feed=None):
    """Ask the service at `settings.bootstrap_url` once. Returns an Answer (answer.py).

    A crypto_key in the settings makes it the secure route. random: n -> n random bytes, for its
    IV. feed: as http.Client has it. What to unload afterwards is shown at the top of this file.

    Raises Unauthorised for 401, 403, 404 and an answer that does not decrypt: an operator may
    still mend that. BadRequest for 400, 405 and settings that make no request: asking again is
    useless. Rejected for an answer of the service that is wrong in itself. Transient for all
    else, and for what no Bootstrap service says: that may be a captive portal.
    """
    service = _Service(settings, external_id, random)
    client = connect(settings, feed, settings.bootstrap_plain_http)
    try:
        return await service.ask(client)
    finally:
        await client.close()


def check(settings, external_id):
    """Make what bootstrap() would send, and send nothing. Raises what bootstrap() would."""
    _Service(settings, external_id, os.urandom)


class _Service:
    # Where to ask, and what with: made, and refused, before anything is sent.

    def __init__(self, settings, external_id, random):
        path, self._words, _ = profile(settings)
        self._route = to_service(settings)
        self._url = _base(settings.bootstrap_url) + path + self._route.path + _segment(external_id)
        self._credential = self._route.credential(random)
        self._hidden = (self._credential.encode(), settings.external_key.encode())

    async def ask(self, client):
        """Ask with each scheme word until one is not refused. Of refusals the first is raised."""
        refusals = []
        for word in self._words:
            header = word + " " + self._credential if word else self._credential
            response = await client.get(self._url, headers={"Authorization": header}, stream=True)
            if response.status_code == 200:
                return await self._take(response)
            error = await self._refusal(response)
            if not isinstance(error, Unauthorised):
                raise error
            refusals.append(error)
        raise refusals[0]

    async def _take(self, response):
        body = await _read(response, _MAX_ANSWER)
        text = self._route.opened(body, response)
        if len(body) > _MAX_ANSWER:
            came = response.length or "more"
            raise Rejected("answer: expected at most %d bytes, got %s" % (_MAX_ANSWER, came))
        return parse(text)

    async def _refusal(self, response):
        status = response.status_code
        came = await _read(response, _MAX_REASON)
        if 300 <= status < 400:
            came = b"to " + response.headers.get("location", "nowhere").partition("?")[0].encode()
        text = "%s: expected 200, got %d %s" % (self._url, status, self._shown(came))
        if status in _ADVICE:
            advice = _ADVICE[status]
            text += "; " + (advice % self._route.check if "%s" in advice else advice)
        if status in (400, 405):
            return BadRequest(text)
        kind = Unauthorised if status in (401, 403, 404) else Transient
        return kind(text, response.retry_after())

    def _shown(self, data):
        # An escape may hide a key from this search.
        if b"\\" in data or any(key in data for key in self._hidden):
            return "(not shown)"
        return printable(data, _SHOWN)


async def _read(response, limit):
    # At most `limit` bytes of the body, and one more if it is larger.
    body = bytearray()
    async for view in response:
        body.extend(view[: limit + 1 - len(body)])
        if len(body) > limit:
            break
    await response.close()
    return body


def _base(url):
    if not url or "?" in url or "#" in url:
        came = "a query or fragment" if url else "none"
        raise BadRequest("bootstrap_url: expected an http(s) URL without ? and #, got " + came)
    return url.rstrip("/")


def _segment(external_id):
    bad = any(ord(c) < 32 or ord(c) == 127 or c == "/" for c in external_id)
    if bad or external_id in ("", ".", ".."):
        text = "external_id: expected one segment of a path, without / and control characters"
        raise BadRequest("%s, got %r" % (text, external_id[:80]))
    codes = external_id.encode()
    return "".join([chr(c) if chr(c) in _SEGMENT else "%%%02X" % c for c in codes])
