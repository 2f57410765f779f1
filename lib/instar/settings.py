# The settings of one board: a JSON file, checked value by value before anything uses it.
#
#   settings = Settings.load("/instar.json", store)
#   settings.update_poll_interval           # seconds
#
# An unknown name or a wrong value is refused with what was expected and what came.
# SPDX-License-Identifier: MIT

import json

from micropython import const

from .errors import Broken, Rejected
from .store import read_file

_MAX_FILE = const(8192)
_MAX_TEXT = const(1024)
_DAY = const(86400)
_YEAR = const(31536000)


def _text(value):
    return isinstance(value, str) and len(value) <= _MAX_TEXT and "\n" not in value


def _flag(value):
    return value is True or value is False


def _names(value):
    return isinstance(value, list) and all(_text(item) and item for item in value)


def _words(value):
    return isinstance(value, dict) and all(_text(k) and _text(value[k]) for k in value)


def _url(value):
    return _text(value) and (not value or value.startswith(("https://", "http://")))


def _between(low, high):
    def check(value):
        return isinstance(value, int) and not _flag(value) and low <= value <= high

    return check


def specification():
    """{name: (default, check, what is expected)}.

    Intervals are seconds; the defaults of Mender's are those of the official client. A function,
    so that the table is in RAM only while settings are checked.
    """
    return {
        "mender_url": ("", _url, "an http(s) URL"),
        "tenant_token": ("", _text, "a string"),
        "device_type": ("", _text, "a string"),
        "artifact_name": ("unknown", _text, "the name of the software that was flashed"),
        "identity": ({}, _words, "an object of strings (default: the board's MAC address)"),
        "ca": ([], _names, "a list of paths of DER certificates"),
        "client_cert": ("", _text, "the path of a DER certificate"),
        "client_key": ("", _text, "the path of a DER key"),
        "allow_plain_http": (False, _flag, "true or false"),
        "update_poll_interval": (1800, _between(1, _YEAR), "1 to 31536000 seconds"),
        "inventory_poll_interval": (28800, _between(1, _YEAR), "1 to 31536000 seconds"),
        "retry_interval": (60, _between(1, _DAY), "1 to 86400 seconds"),
        "retry_interval_max": (300, _between(1, _DAY), "1 to 86400 seconds"),
        "download_tries": (10, _between(1, 10000), "1 to 10000"),
        "proof_timeout": (1800, _between(1, _DAY), "1 to 86400 seconds"),
        "report_timeout": (_DAY, _between(1, _YEAR), "1 to 31536000 seconds"),
        "http_timeout": (30, _between(1, 3600), "1 to 3600 seconds"),
        "max_connections": (2, _between(1, 8), "1 to 8"),
        "watchdog": (60, _between(0, 3600), "0 (off) to 3600 seconds"),
        "ntp_host": ("pool.ntp.org", _text, "a host name, or empty for none"),
        "ntp_port": (123, _between(1, 65535), "a port"),
        "wifi_ssid": ("", _text, "a string"),
        "wifi_password": ("", _text, "a string"),
    }


_SECRET = ("tenant_token", "wifi_password")


class Settings:
    """Every setting is an attribute; `store` is the board's Store."""

    def __init__(self, values, store=None):
        """values: dict of settings. Raises Rejected naming the first that is wrong."""
        self.store = store
        spec = specification()
        for name in values:
            _check(spec, name, values[name])
        self._values = {name: values.get(name, spec[name][0]) for name in spec}
        if self.mender_url.startswith("http://") and not self.allow_plain_http:
            raise Rejected("mender_url is plain http: expected https, or allow_plain_http true")

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

    def client_certificate(self):
        """(certificate, key) in DER for mutual TLS, or (None, None)."""
        if not self.client_cert:
            return None, None
        return _der(self.client_cert), _der(self.client_key)


def _check(spec, name, value):
    if name not in spec:
        raise Rejected(f"settings: unknown name {name!r}; known: {sorted(spec)}")
    _, good, expected = spec[name]
    if not good(value):
        came = "another value" if name in _SECRET else repr(value)[:80]
        raise Rejected(f"settings: {name}: expected {expected}, got {came}")


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
