"""A Murano product: its settings, and the ways in which its answers may differ.

Real servers differ, and documents contradict them; so each of these is a field of the product:

    lengths       "both" (Content-Length and chunked, as the real service sends a download),
                  "length" or "chunked"
    range_status  200 or 206, for a part of a content
    ignore_range  send everything, whatever Range says
    dates         Last-Modified as "http" date or as "unix" seconds
    since         whether If-Modified-Since is "inclusive" or "exclusive", in whole seconds
    conflicts     a record's 409 names them as "pairs", alias=ts&alias=ts, or as "lists",
                  alias=ts,ts
    nothing       304 or 204 when a long poll ends without a value
    empty         a resource whose value is empty is "absent" from what is read, or "sent"
    close         answer reads, long polls and records with Connection: close
    keeps_old_token  a device's former credentials stay good after it has new ones
    token         a token's 40 characters are "base62" or "hex"
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field, fields
from typing import Any

AUTHS = ("token", "password", "certificate")
RESOURCES = ("config_otau", "otau_in", "inventory")
_CHOICES: dict[str, tuple] = {
    "auth": AUTHS,
    "lengths": ("both", "length", "chunked"),
    "range_status": (200, 206),
    "dates": ("http", "unix"),
    "since": ("inclusive", "exclusive"),
    "conflicts": ("pairs", "lists"),
    "nothing": (304, 204),
    "empty": ("absent", "sent"),
    "token": ("base62", "hex"),
}
_FIXED = ("name", "auth", "domain", "port", "plain", "listens")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_DOMAIN = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")


@dataclass
class Product:
    """See the module. identity_format: a regular expression for identities; "": any.

    port: what was asked for, 0 for any; listens: where it listens, or did last.
    """

    name: str
    auth: str = "token"
    domain: str = "localhost"
    port: int = 0
    listens: int = 0
    plain: bool = False
    whitelist: bool = False
    resources: list[str] = field(default_factory=lambda: list(RESOURCES))
    identity_format: str = ""
    lengths: str = "both"
    range_status: int = 200
    ignore_range: bool = False
    dates: str = "http"
    since: str = "inclusive"
    conflicts: str = "pairs"
    nothing: int = 304
    empty: str = "absent"
    close: bool = False
    keeps_old_token: bool = False
    token: str = "base62"

    def __post_init__(self) -> None:
        """
        Raises:
            ValueError: a field has a value that it cannot have; the message says which.
        """
        for spec in fields(self):
            _check(spec.name, spec.type, getattr(self, spec.name))
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"name: expected letters, digits, - and _, got {self.name!r}")
        # TLS names no address in SNI, so that an address could never match.
        if not _DOMAIN.fullmatch(self.domain):
            raise ValueError(f"domain: expected a host name, got {self.domain!r}")
        if not 0 <= self.port < 1 << 16:
            raise ValueError(f"port: expected 0 to 65535, got {self.port}")
        if self.plain and self.auth == "certificate":
            raise ValueError("a product that demands certificates cannot be without TLS")
        _check_pattern(self.identity_format)

    @property
    def url(self) -> str:
        return f"{'http' if self.plain else 'https'}://{self.domain}:{self.listens}"

    def changed(self, changes: dict[str, Any]) -> Product:
        """The product with other settings. How it is reached and by whom stays as it is.

        Raises:
            ValueError: no such field, no such value, or one that stays.
        """
        if fixed := [name for name in changes if name in _FIXED]:
            raise ValueError(f"{fixed[0]}: cannot be changed")
        return made({**asdict(self), **changes})

    def shown(self) -> dict[str, Any]:
        return {**asdict(self), "url": self.url}


def made(given: dict[str, Any]) -> Product:
    """The product of these fields.

    Raises:
        ValueError: no such field, no such value, or no name.
    """
    known = {spec.name for spec in fields(Product)}
    if unknown := set(given) - known:
        raise ValueError(f"product: expected some of {sorted(known)}, got {sorted(unknown)}")
    if "name" not in given:
        raise ValueError("product: expected a name")
    return Product(**given)


def _check(name: str, kind: Any, value: Any) -> None:
    if name in _CHOICES:
        if value not in _CHOICES[name] or isinstance(value, bool):
            choices = ", ".join(map(str, _CHOICES[name]))
            raise ValueError(f"{name}: expected one of {choices}, got {value!r}")
    elif kind.startswith("list"):
        if not isinstance(value, list) or not all(isinstance(e, str) and e for e in value):
            raise ValueError(f"{name}: expected a list of names, got {value!r}")
    elif type(value).__name__ != kind:
        raise ValueError(f"{name}: expected {kind}, got {value!r}")


def _check_pattern(pattern: str) -> None:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"identity_format: no regular expression: {error}") from None
