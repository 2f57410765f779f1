# The settings of one board: the factory's JSON file, and over it what bootstrap brought. All of
# it is checked, value by value, before anything uses it.
#
#   settings = Settings.load("/instar.json", store)
#   settings.update_poll_interval           # seconds
#
# An unknown name or a wrong value in the file is refused with what was expected and what came; in
# what bootstrap brought it is passed over (configuration.py), and `problem` says so.
# SPDX-License-Identifier: MIT

import json

from micropython import const

from . import memory
from .errors import Broken, Rejected
from .store import read_file

_MAX_FILE = const(8192)


class Settings:
    """Every setting is an attribute; `store` is the board's Store, `given` the factory's dict, or
    the path that it was read from.

    Of the configuration in use, if there is one: `configured` (bool), `on_trial` (bool), `digest`
    (hex, else ""). `problem`: what is wrong with what is stored (str), or None.
    """

    def __init__(self, values, store=None):
        """values: dict of settings, as from the factory: no configuration is looked for. Raises
        Rejected naming the first that is wrong."""
        from .options import checked

        self.store = store
        self.configured = self.on_trial = False
        self.digest = ""
        self.problem = None
        self._kinds = ()
        self.given = values
        self._values = checked(values)
        memory.forget("instar.options")

    @classmethod
    def load(cls, path, store=None):
        """Read the file and, on a board that bootstraps, the configuration in the store.

        Raises Rejected if the file is missing, too large, no JSON, or wrong in it.
        """
        from .loading import load

        try:
            return load(cls, path, store)
        finally:
            memory.forget("instar.loading")

    def __getattr__(self, name):
        try:
            return self._values[name]
        except KeyError:
            raise AttributeError(name)

    def ca_certificates(self):
        """The CAs as a list of DER bytes: the factory's, then the configuration's."""
        return [_der(path) for path in self.ca] + self._blobs("ca")

    def verify_keys(self):
        """The public keys for Artifacts as a list of bytes, PEM or DER; none: unsigned will do.

        The configuration's only where the factory gave none.
        """
        if self.artifact_verify_keys:
            return [file_at(path) for path in self.artifact_verify_keys]
        return self._blobs("artifact_keys")

    def client_certificate(self):
        """(certificate, key) in DER for mutual TLS, or (None, None): the configuration's, else the
        factory's."""
        if found := self._blobs("client"):
            return tuple(found)
        if not self.client_cert:
            return None, None
        return _der(self.client_cert), _der(self.client_key)

    @property
    def application(self):
        """What the configuration has for the application, as a dict: read from the flash each
        time it is asked for."""
        found = self._blobs("application")
        return json.loads(found[0]) if found else {}

    def _blobs(self, kind):
        # Read when asked for: they are kilobytes, and a TLS context has them once it is made.
        if kind not in self._kinds:
            return []
        from .configuration import blobs

        try:
            return blobs(self.store, self.digest, kind)
        finally:
            memory.forget("instar.configuration")


def file_at(path):
    """The bytes of a small file that the settings name. Raises Rejected if it is missing."""
    try:
        data = read_file(path, _MAX_FILE)
    except (Broken, OSError) as error:
        raise Rejected(f"settings: cannot read {path}: {error}")
    if data is None:
        raise Rejected(f"settings: {path} is missing")
    return data


def _der(path):
    data = file_at(path)
    if data[:1] != b"\x30":
        raise Rejected(f"settings: {path} is not DER (expected first byte 0x30, got {data[:1]})")
    return data
