# What this board has to show to one Murano product: records in the store, of that product and
# identity alone, so that no other product ever gets them. In the heap only while it is needed.
#
#   credentials = Credentials(settings, "https://example.m2.exosite.io", "12345678")
#   credentials.current              # the secret to show, or None
#   credentials.settle(token)        # durable, and read back, when it returns
#
# The record is JSON: "token" or "password"; "new", a password whose acceptance is not known;
# "state", of a request for a token, written before it is sent:
#   "asked"     sent, and its answer is not known: the token it brought may be lost
#   "refused"   the answer to one was no; the next ones are not marked anew, as each mark is an
#               operation of the flash
#   "damaged"   (found when it is read) the flash does not hold what was written
# Client certificates that this board was given by reprovision() are records of their own: NEW
# waits for the server's word, and is moved to PAIR.
# SPDX-License-Identifier: MIT

from binascii import crc32

from ...errors import Broken

PAIR = "client"
NEW = "client-new"


class Credentials:
    """The record of `identity` at the product with this URL. field: "token" or "password". given:
    the factory's, or ""."""

    def __init__(self, settings, url, identity):
        password = settings.murano_auth == "password"
        self.field = "password" if password else "token"
        self.given = settings.murano_password if password else settings.murano_token
        self._store = settings.store
        self._name = record_name("murano", url, identity)
        try:
            self._record = self._store.get_json(self._name) or {}
        except (Broken, ValueError):
            self._record = {"state": "damaged"}

    @property
    def current(self):
        """The secret that the server should know, or None: the factory's password it does not know
        before activation."""
        return self._record.get(self.field) or (self.given if self.field == "token" else None)

    @property
    def pending(self):
        """A password whose acceptance is not known, or None."""
        return self._record.get("new")

    @property
    def state(self):
        """See above; None where no answer is missing."""
        return self._record.get("state")

    def known(self):
        """All secrets there are."""
        return [one for one in (self.current, self.pending, self.given) if one]

    def settle(self, secret):
        """`secret` is the one: it alone is kept."""
        self.keep(state=None, new=None, **{self.field: secret})

    def keep(self, **changes):
        """Change fields of the record, None takes one away. Raises Broken or OSError from the
        flash; then the record is as it was."""
        record = dict(self._record)
        record.update(changes)
        record = {name: record[name] for name in record if record[name]}
        if record == self._record:
            return
        self._store.put_json(self._name, record)
        if self._store.get_json(self._name) != record:
            raise Broken("credentials: expected to read back what was stored")
        self._record = record


def record_name(kind, url, identity):
    """The name of a record for this product and this identity."""
    return "%s-%08x" % (kind, crc32((url + "\n" + identity).encode()))


def stored_pair(murano, kind):
    """(certificate, key) in DER of the record PAIR or NEW, or None. A damaged one counts as none:
    the server says if another will not do."""
    try:
        data = murano.settings.store.get(record_name(kind, murano.url, murano.identity))
    except Broken:
        return None
    return unpack_pair(data) if data else None


def pack_pair(cert, key):
    """A certificate and its key, both DER, as the records PAIR and NEW hold them: the
    certificate's size in 2 bytes, big-endian, the certificate, the key."""
    return len(cert).to_bytes(2, "big") + cert + key


def unpack_pair(data):
    """(certificate, key) of such a record."""
    end = 2 + int.from_bytes(data[:2], "big")
    return data[2:end], data[end:]
