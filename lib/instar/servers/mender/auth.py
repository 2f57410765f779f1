# The authentication request: who this board is, signed with its identity key.
#
#   body, headers = await Identity(settings, {"mac": "24:0a:c4:..."}, os.urandom, feed).request()
#
# In the heap only while it is made: the public-key code is large.
# SPDX-License-Identifier: MIT

import asyncio
import json
from binascii import b2a_base64

from ...crypto import keys
from ...errors import Broken, Rejected


class Identity:
    """attributes: a dict of strings. random: n -> n random bytes, for a new key. feed: called
    between the steps of the arithmetic."""

    def __init__(self, settings, attributes, random, feed):
        self._settings = settings
        self._attributes = attributes
        self._random = random
        self._feed = feed

    async def request(self):
        """(body, headers). Raises Broken if the key in the store is damaged."""
        key = await self._load_key()
        body = await self._body(key)
        signature = await self._drive(key.sign(body))
        headers = {
            "Content-Type": "application/json",
            "X-MEN-Signature": b2a_base64(signature).decode().strip(),
        }
        return body, headers

    async def _body(self, key):
        attributes = self._attributes
        pairs = [
            json.dumps(name) + ": " + json.dumps(attributes[name]) for name in sorted(attributes)
        ]
        request = {
            "id_data": "{" + ", ".join(pairs) + "}",
            "pubkey": await self._drive(key.public_pem()),
        }
        if self._settings.tenant_token:
            request["tenant_token"] = self._settings.tenant_token
        return json.dumps(request).encode()

    async def _load_key(self):
        # Another key is another device: one that is there is used or complained about, only.
        store = self._settings.store
        data = store.get("identity-key")
        if data is None:
            key = await self._drive(keys.generate(self._random))
            store.put("identity-key", key.to_der())
            if store.get("identity-key") != key.to_der():
                raise Broken("identity key: expected to read back what was stored")
            return key
        try:
            return keys.load(data)
        except (Rejected, ValueError):
            raise Broken("identity key: expected a P-256 or RSA key in the store, got damage")

    async def _drive(self, steps):
        while True:
            self._feed()
            try:
                next(steps)
            except StopIteration as done:
                return done.value
            await asyncio.sleep_ms(0)
