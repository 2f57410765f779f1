# The two ways to ask a Bootstrap service: in clear, or sealed with the key that all boards share.
#
#   route = to_service(settings)             # by whether there is a crypto_key
#   credential = route.credential(random)    # for the Authorization header
#   text = route.opened(body, response)      # the answer's JSON, else an error: what to check
#
# Limits: AES-CFB hides, it does not protect: nothing shows what was changed or replayed on the
# way. No message shows a key, or what came in an answer: there are secrets in it.
# SPDX-License-Identifier: MIT

from binascii import hexlify, unhexlify

from micropython import const

from ...errors import Rejected, Transient, Unauthorised
from ...http import printable
from . import BadRequest, profile

_BLOCK = const(16)


def to_service(settings):
    """The route that these settings ask for. Raises BadRequest for keys that cannot be used."""
    key = settings.external_key
    if not key or any(ord(c) < 32 or ord(c) == 127 for c in key):
        raise BadRequest("external_key: expected characters, and no control characters")
    return _Secure(settings) if settings.crypto_key else _Plain(key)


class _Plain:
    path = "/"
    check = "external_key"

    def __init__(self, key):
        # The services take UTF-8 too, but without blanks around it. instar.http sends ASCII only.
        if not all(" " <= c <= "~" for c in key) or key != key.strip():
            text = "external_key: expected ASCII without blanks around it, or the secure route"
            raise BadRequest(text)
        self._key = key

    def credential(self, random):
        return self._key

    def opened(self, body, response):
        if not _begins_object(body):
            raise Transient("answer: expected a JSON object, got other text: " + _kind(response))
        return body


class _Secure:
    path = "/secure/"

    def __init__(self, settings):
        hexadecimal = profile(settings)[2]
        self._external_key = settings.external_key.encode()
        self._key = settings.crypto_key.encode()
        form = "as hexadecimal digits" if hexadecimal else "as the key's own characters"
        self._taken = "crypto_key (%s takes it %s)" % (settings.bootstrap_profile, form)
        self.check = "external_key and " + self._taken
        if hexadecimal:
            try:
                self._key = unhexlify(self._key)
            except ValueError:
                raise BadRequest("%s: got others" % self._taken)

    def credential(self, random):
        from ...crypto import cfb

        iv = random(_BLOCK)
        try:
            return hexlify(iv + cfb.encrypt(self._key, iv, self._external_key)).decode()
        except Rejected as error:
            raise BadRequest("%s: %s" % (self._taken, error))

    def opened(self, body, response):
        # An IV is random: 16 printable characters come from somebody who knows nothing of it.
        if len(body) >= _BLOCK and all(32 <= c < 127 or c in b"\t\r\n" for c in body[:_BLOCK]):
            raise Transient("answer: expected encrypted bytes, got text: " + _kind(response))
        view = memoryview(body)
        if len(body) > _BLOCK:
            from ...crypto import cfb

            cfb.decrypt(self._key, view[:_BLOCK], view[_BLOCK:])
        if not _begins_object(view[_BLOCK:]):
            text = "the answer does not decrypt: expected JSON, got %d bytes of something else"
            raise Unauthorised((text + "; check %s") % (len(body), self._taken))
        return view[_BLOCK:]


def _kind(response):
    return printable(response.headers.get("content-type", "no Content-Type").encode())


def _begins_object(text):
    return b"".join(bytes(text[:_BLOCK]).split())[:2] in (b'{"', b"{}")
