# The settings there are: their defaults, and what their values may be.
#
#   values = checked({"watchdog": 30})       # every setting, those not given at their default
#
# Needed only while settings are loaded: settings.py unloads this module again.
# SPDX-License-Identifier: MIT

from micropython import const

from .errors import Rejected

_MAX_TEXT = const(1024)
_DAY = const(86400)
_YEAR = const(31536000)
_EXPECTED_URL = "an http(s) URL without user name or query"


def _text(value):
    # Control characters belong in no name, password or URL, and could end a line of HTTP.
    good = isinstance(value, str) and len(value) <= _MAX_TEXT
    return good and not any(byte < 32 or byte == 127 for byte in value.encode())


def _flag(value):
    return value is True or value is False


def _names(value):
    return isinstance(value, list) and all(_text(item) and item for item in value)


def _words(value):
    return isinstance(value, dict) and all(_text(k) and _text(value[k]) for k in value)


def _folders(value):
    return _names(value) and all(_folder(item) for item in value)


def _folder(path):
    return path == "/" or (
        path[0] == "/" and all(part not in ("", ".", "..") for part in path[1:].split("/"))
    )


def _url(value):
    # A base: paths are added to it, so it has no query. Otherwise what http's split_url() takes.
    if value == "":
        return True
    if not _text(value) or any(not 32 < byte < 127 or byte in b"?#" for byte in value.encode()):
        return False
    scheme, _, rest = value.partition("://")
    return scheme in ("https", "http") and _authority(rest.partition("/")[0])


def _authority(text):
    if text.startswith("["):
        host, end, port = text[1:].partition("]")
        good = end and ":" in host and not host.strip("0123456789abcdefABCDEF:.")
    else:
        host = text.partition(":")[0]
        port = text[len(host) :]
        good = host and all(char.isalpha() or char.isdigit() or char in "-._" for char in host)
    return good and (not port or _port(port))


def _port(text):
    return text[0] == ":" and text[1:].isdigit() and len(text) <= 6 and 0 < int(text[1:]) < 65536


def _profile(value):
    return value in ("clients", "things", "mainflux")


def _auth(value):
    return value in ("cik", "token", "password", "certificate")


def _password(value):
    return _text(value) and (value == "" or len(value) >= 20)


def _update_server(value):
    return value in ("", "mender", "murano")


def _segment(value):
    return _text(value) and not any(byte in b"/?#%" or byte < 33 for byte in value.encode())


def _channels(value):
    return isinstance(value, list) and all(_channel(item) for item in value)


def _channel(item):
    return _words(item) and _segment(item.get("id", "")) and item.get("id", "") != ""


def _watchdog(value):
    return _between(0, 0)(value) or _between(3, 3600)(value)


def _between(low, high):
    def check(value):
        return isinstance(value, int) and not _flag(value) and low <= value <= high

    return check


# name: (default, check, what is expected). Intervals are seconds; the defaults of Mender's are
# those of the official client.
_TABLE = {
    "mender_url": ("", _url, _EXPECTED_URL),
    "tenant_token": ("", _text, "a string"),
    "device_type": ("", _text, "a string"),
    "artifact_name": ("unknown", _text, "the name of the software that was flashed"),
    "identity": ({}, _words, "an object of strings (default: the board's MAC address)"),
    "ca": ([], _names, "a list of paths of DER certificates"),
    "client_cert": ("", _text, "the path of a DER certificate"),
    "client_key": ("", _text, "the path of a DER key"),
    "artifact_verify_keys": ([], _names, "a list of paths of public keys"),
    "downgrade_key": ("", _text, "a provides key whose version must not go down, or empty"),
    "ignore_scripts": (False, _flag, "true or false"),
    "file_roots": (["/data"], _folders, "a list of absolute folders, without . or .."),
    "allow_plain_http": (False, _flag, "true or false"),
    "update_poll_interval": (1800, _between(1, _YEAR), "1 to 31536000 seconds"),
    "inventory_poll_interval": (28800, _between(1, _YEAR), "1 to 31536000 seconds"),
    "retry_interval": (60, _between(1, _DAY), "1 to 86400 seconds"),
    "retry_interval_max": (300, _between(1, _DAY), "1 to 86400 seconds"),
    "download_tries": (10, _between(1, 10000), "1 to 10000"),
    "proof_timeout": (1800, _between(1, _DAY), "1 to 86400 seconds"),
    "report_timeout": (_DAY, _between(1, _YEAR), "1 to 31536000 seconds"),
    "http_timeout": (30, _between(1, 120), "1 to 120 seconds"),
    "max_connections": (1, _between(1, 8), "1 to 8"),
    "watchdog": (60, _watchdog, "0 (off), or 3 to 3600 seconds"),
    "ntp_host": ("pool.ntp.org", _text, "a host name, or empty for none"),
    "ntp_port": (123, _between(1, 65535), "a port"),
    "wifi_ssid": ("", _text, "a string"),
    "wifi_password": ("", _text, "a string"),
    "bootstrap_url": ("", _url, _EXPECTED_URL),
    "bootstrap_profile": ("clients", _profile, "clients, things or mainflux"),
    "bootstrap_plain_http": (False, _flag, "true or false"),
    "external_id": ("", _text, "a string (default: the board's MAC address)"),
    "external_key": ("", _text, "a string"),
    "crypto_key": ("", _text, "the service's key, or empty for bootstrap that is not secure"),
    "bootstrap_slow_interval": (900, _between(1, _DAY), "1 to 86400 seconds"),
    "bootstrap_after_refusals": (10, _between(1, 10000), "1 to 10000"),
    "bootstrap_after_silence": (21600, _between(1, _YEAR), "1 to 31536000 seconds"),
    "configuration_timeout": (1800, _between(1, _DAY), "1 to 86400 seconds"),
    "magistrala_url": ("", _url, _EXPECTED_URL),
    "magistrala_domain": ("", _segment, "a domain's id, or empty where there are none"),
    "magistrala_id": ("", _text, "a string"),
    "magistrala_secret": ("", _text, "a string"),
    "magistrala_channels": ([], _channels, "a list of objects of strings, each with an id"),
    "murano_url": ("", _url, _EXPECTED_URL),
    "murano_auth": ("cik", _auth, "cik, token, password or certificate"),
    "murano_identity": ("", _text, "a string (default: the board's MAC address)"),
    "murano_token": ("", _text, "a token, or empty for one that activation brings"),
    "murano_password": ("", _password, "20 characters at least, or none: the board makes one"),
    "murano_wait": (240, _between(1, 300), "1 to 300 seconds"),
    "murano_time": (True, _flag, "true or false"),
    "update_server": ("", _update_server, "mender or murano (default: the one there is)"),
    "outbox_size": (65536, _between(0, 1 << 20), "0 to 1048576 bytes"),
    "outbox_save_interval": (600, _between(1, _DAY), "1 to 86400 seconds"),
}
SECRET = (
    "tenant_token",
    "wifi_password",
    "external_key",
    "crypto_key",
    "magistrala_secret",
    "murano_token",
    "murano_password",
)
# Where plain HTTP has to be allowed in words, and by which setting.
_PLAIN = {
    "mender_url": "allow_plain_http",
    "magistrala_url": "allow_plain_http",
    "murano_url": "allow_plain_http",
    "bootstrap_url": "bootstrap_plain_http",
}
# What the factory's file alone decides: who the board is, whom it asks, and how safely.
_FACTORY_ONLY = (
    "allow_plain_http",
    "bootstrap_plain_http",
    "bootstrap_profile",
    "bootstrap_url",
    "crypto_key",
    "external_id",
    "external_key",
    "identity",
)
# In that file the paths of certificates and keys: a configuration has these apart, as DER.
_PATHS = ("artifact_verify_keys", "ca", "client_cert", "client_key")


def checked(given):
    """All settings: `given` over the defaults; `update_server` is one that there is, or empty.

    Raises Rejected naming the first that is wrong.
    """
    for name in given:
        _check(name, given[name])
    values = {name: given.get(name, _TABLE[name][0]) for name in _TABLE}
    for name, allowed in _PLAIN.items():
        if values[name].startswith("http://") and not values[allowed]:
            raise Rejected(f"{name} is plain http: expected https, or {allowed} true")
    _choose_server(values)
    return values


def _choose_server(values):
    name = values["update_server"]
    if name and not values[name + "_url"]:
        if not values["bootstrap_url"]:  # else it may come yet
            raise Rejected(f"update_server is {name}: expected {name}_url, got none")
        name = ""
    for other in ("mender", "murano"):
        if not name and values[other + "_url"]:
            name = other
    values["update_server"] = name


def overlaid(factory, values):
    """All settings: a configuration's `values` over those of the factory's file, and the defaults.

    Raises Rejected as checked() does, and for what a configuration may not decide.
    """
    for name in values:
        if name in _FACTORY_ONLY or name in _PATHS:
            raise Rejected(f"settings: {name}: expected only in the factory's file")
    if factory.get("downgrade_key", "") != "" and "downgrade_key" in values:
        raise Rejected("settings: downgrade_key: expected as set at the factory, got another")
    merged = dict(factory)
    merged.update(values)
    return checked(merged)


def _check(name, value):
    if name not in _TABLE:
        raise Rejected(f"settings: unknown name {repr(name)[:40]}; known: {sorted(_TABLE)}")
    _, good, expected = _TABLE[name]
    if not good(value):
        came = "another value" if name in SECRET else _shown(value)
        if good is _url and "@" in came:
            came = "one with an @"  # before which there may be a password
        raise Rejected(f"settings: {name}: expected {expected}, got {came[:80]}")


def _shown(value):
    try:
        return repr(value)
    except RuntimeError:  # thousands of lists in each other are JSON, too
        return "what is nested too deep"
