# The settings of one board: a JSON file, checked value by value before anything uses it.
#
#   settings = Settings.load("/instar.json", store)
#   settings.update_poll_interval           # seconds
#
# An unknown name or a wrong value is refused with what was expected and what came.
# SPDX-License-Identifier: MIT

import json

from micropython import const

from . import memory
from .errors import Broken, Rejected
from .store import read_file

_MAX_FILE = const(8192)


class Settings:
    """Every setting is an attribute; `store` is the board's Store."""

    def __init__(self, values, store=None):
        """values: dict of settings. Raises Rejected naming the first that is wrong."""
        from .options import checked

        self.store = store
        self._values = checked(values)
        memory.forget("instar.options")

    @classmethod
    def load(cls, path, store=None):
        """Read the file. Raises Rejected if it is missing, too large, no JSON, or wrong in it."""
        try:
            values = json.loads(_file(path))
        except ValueError:
            raise Rejected(f"settings: {path} is no JSON")
        if not isinstance(values, dict):
            raise Rejected(f"settings: {path} holds a {type(values).__name__}, expected an object")
        return cls(values, store)

    def __getattr__(self, name):
        try:
            return self._values[name]
        except KeyError:
            raise AttributeError(name)

    def ca_certificates(self):
        """The CAs as a list of DER bytes."""
        return [_der(path) for path in self.ca]

    def verify_keys(self):
        """The public keys for Artifacts as a list of bytes, PEM or DER; none: unsigned will do."""
        return [_file(path) for path in self.artifact_verify_keys]

    def client_certificate(self):
        """(certificate, key) in DER for mutual TLS, or (None, None)."""
        if not self.client_cert:
            return None, None
        return _der(self.client_cert), _der(self.client_key)


def _file(path):
    try:
        data = read_file(path, _MAX_FILE)
    except (Broken, OSError) as error:
        raise Rejected(f"settings: cannot read {path}: {error}")
    if data is None:
        raise Rejected(f"settings: {path} is missing")
    return data


def _der(path):
    data = _file(path)
    if data[:1] != b"\x30":
        raise Rejected(f"settings: {path} is not DER (expected first byte 0x30, got {data[:1]})")
    return data
