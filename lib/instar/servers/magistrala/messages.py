# Messages to Magistrala's channels over HTTP, as SenML (RFC 8428).
#
#   messages = Messages(settings, client)
#   topic = messages.channel("telemetry") + "/room/1"        # a subtopic is optional
#   await messages.send(topic, ['{"n":"temperature","v":21.5}'])
#
# The path is /m/<domain>/c/<channel> since SuperMQ 0.17, and /channels/<channel>/messages without
# a domain before.
# Limits: Mainflux before 0.13, which wants the bare key, is not published to.
# SPDX-License-Identifier: MIT

from micropython import const

from ...errors import Rejected, Transient, Unauthorised
from ...http import printable
from ...senml import pack
from . import scheme

_MAX_SUBTOPIC = const(512)
_GOOD = (202, 200, 204)
_DENIED = (401, 403)
_REFUSED = (400, 413, 415)
# The adapter compares the whole value: a charset behind it is refused with 415.
_TYPE = "application/senml+json"


class Messages:
    """The HTTP adapter at `settings.magistrala_url`, as client `magistrala_secret`.

    client: see servers/__init__.py.
    """

    def __init__(self, settings, client):
        self._settings = settings
        self._client = client

    def channel(self, name=""):
        """The id of the channel that has `name` as its id, else as its name, else as its type;
        "": the first of type "data", else the first. Raises Rejected if there is none."""
        channels = self._settings.magistrala_channels
        fields = ("id", "name", "type") if name else ("type",)
        for field in fields:
            for channel in channels:
                if channel.get(field) == (name or "data"):
                    return channel["id"]
        if channels and not name:
            return channels[0]["id"]
        known = [channel.get("name") or channel["id"] for channel in channels]
        raise Rejected("channel: expected one of this board's, %s, got %r" % (known, name))

    async def send(self, topic, records):
        """Send SenML records (JSON texts, str or bytes) in one message.

        topic: a channel's id, or that and a subtopic: "id/room/1". Returns once the adapter took
        the message. A cut connection leaves open whether it did: that is Transient, and sent
        again it may arrive twice. Unauthorised for 401 and 403, Rejected for a message that will
        never be taken.
        """
        path = self._path(topic)
        headers = {
            "Authorization": "%s %s" % (scheme(self._settings), self._settings.magistrala_secret),
            "Content-Type": _TYPE,
        }
        url = self._settings.magistrala_url.rstrip("/") + path
        try:
            response = await self._client.post(url, headers=headers, data=pack(records))
        except Rejected as error:
            # A URL or a secret that is none: no fault of the message.
            raise Transient("messages: the settings allow no request: %s" % error)
        self._check(response)

    def _path(self, topic):
        channel, mark, subtopic = topic.partition("/")
        if not any(known["id"] == channel for known in self._settings.magistrala_channels):
            raise Rejected(
                "topic: expected the id of one of this board's channels, got %r" % channel
            )
        if mark:
            _check_subtopic(subtopic)
        domain = self._settings.magistrala_domain
        path = "/m/%s/c/%s" % (domain, channel) if domain else "/channels/%s/messages" % channel
        return path + mark + subtopic

    def _check(self, response):
        status = response.status_code
        body = response.content
        # 202 is empty. A captive portal says 200, with a page.
        if status in _GOOD and body.strip()[:1] != b"<":
            return
        text = "messages: expected 202, got %d %s" % (status, self._shown(body))
        if status in _DENIED:
            text += "; check magistrala_secret, that magistrala_domain is the client's, and that"
            text += " it is connected to the channel (state 1)"
            raise Unauthorised(text, response.retry_after())
        if status in _REFUSED:
            raise Rejected(text)
        if status in (404, 405):  # of the path, which comes from the settings, not of the message
            text += "; check magistrala_url and magistrala_domain"
        raise Transient(text, response.retry_after())

    def _shown(self, body):
        # A server may repeat what it got; an escape would hide it from this search.
        secret = self._settings.magistrala_secret.encode()
        return "(not shown)" if b"\\" in body or secret in body else printable(body)


def _check_subtopic(subtopic):
    # What brokers give a meaning (* > + #), what a URL does (% ? . ..), and empty segments.
    if len(subtopic) > _MAX_SUBTOPIC:
        raise Rejected("subtopic: expected at most %d characters" % _MAX_SUBTOPIC)
    for part in subtopic.split("/"):
        if part in ("", ".", "..") or not all(_plain(char) for char in part):
            text = "subtopic: expected segments of letters, digits and -._~: between /, got %r"
            raise Rejected(text % subtopic)


def _plain(char):
    return "0" <= char <= "9" or "A" <= char <= "Z" or "a" <= char <= "z" or char in "-._~:"
