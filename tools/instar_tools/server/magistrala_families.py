"""The Bootstrap service's versions, as a table: paths, names, statuses, wordings.

A family is what a board can tell apart. What differs between them in a request's course is data
here, so that `magistrala` and `magistrala_manage` have one course each. Statuses and wordings are
those of the services at the tags named.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from dataclasses import dataclass, field

from aiohttp import web

from . import answers

JSON = "application/json"
BINARY = "application/octet-stream"
TEXT = "text/plain; charset=utf-8"
_INVALID = "something went wrong with the request"
_NO_CONFIG = "failed to read bootstrap configuration"
_NO_KEY = "failed to get bootstrap configuration for given external key"
_NO_SECURE_KEY = "failed to get bootstrap configuration for given encrypted external key"

# reason: (status, what went wrong, what could not be done)
_REFUSALS = {
    "no key": (401, "missing or invalid bearer entity key", _INVALID),
    "no token": (401, "missing or invalid bearer user token", _INVALID),
    "bad token": (401, "", "failed to perform authentication over the entity"),
    "no id": (400, "missing entity id", _INVALID),
    "unknown id": (404, "entity not found", _NO_CONFIG),
    "wrong key": (403, "", _NO_KEY),
    "not hex": (403, "", _NO_SECURE_KEY),
    "bad crypto key": (403, "", _NO_SECURE_KEY),
    "short": (403, "", _NO_KEY),
    "disabled": (500, "", ""),
    "malformed": (400, "malformed entity specification", _INVALID),
    "no channels": (400, "empty list provided", _INVALID),
    "bad query": (400, "invalid query parameters", _INVALID),
    "bad limit": (400, "invalid limit size", _INVALID),
    "bad state": (400, "invalid bootstrap state", _INVALID),
    "content type": (415, "unsupported content type", _INVALID),
    "exists": (409, "entity already exists", "failed to add bootstrap configuration"),
}


@dataclass(frozen=True)
class Family:
    """One version of the service, as far as a client can tell.

    word: what stands before the key in Authorization. names: of the id, the secret and the
    channels. errors: "message", "error" or "both": the fields of an error's body.
    routes_raw: its router (chi) matches the path undecoded, where that has escapes that Go
    would not have written; the other (bone) decodes each segment, and redirects where a path ends
    in a slash. statuses: where they are not those of `_REFUSALS`.
    """

    prefix: str
    word: str
    names: tuple[str, ...]
    errors: str
    error_type: str
    secure_type: str
    routes_raw: bool
    statuses: dict[str, int] = field(default_factory=dict)

    @property
    def has_profiles(self) -> bool:
        """Whether this is the service that knows an id and content only."""
        return len(self.names) == 1


class Refused(answers.Refusal):
    """Ends a request as the family's service refuses it, for a reason of `_REFUSALS`."""

    def __init__(self, family: Family, reason: str, detail: str = "") -> None:
        status, wrong, undone = _REFUSALS[reason]
        super().__init__(family.statuses.get(reason, status), detail or wrong)
        self.family, self.undone = family, undone

    def answer(self) -> web.Response:
        if not self.undone:
            return web.Response(status=self.status)
        if self.family.errors == "both":
            body = {"error": self.error, "message": self.undone}
        else:
            text = self.error if self.undone == _INVALID else self.undone
            body = {self.family.errors: text}
        headers = {"Content-Type": self.family.error_type}
        return web.Response(
            status=self.status, body=answers.go_json(body) + b"\n", headers=headers
        )


_MAINFLUX = ("mainflux_id", "mainflux_key", "mainflux_channels")

# v0.20.0 (the same paths since v0.16.0)
CLIENTS = Family(
    prefix="clients",
    word="Client ",
    names=("client_id", "client_secret", "channels"),
    errors="message",
    error_type=JSON,
    secure_type=BINARY,
    routes_raw=True,
    statuses={"exists": 422},
)
# v0.14.0
THINGS = Family(
    prefix="things",
    word="Thing ",
    names=("thing_id", "thing_key", "channels"),
    errors="both",
    error_type=TEXT,
    secure_type=JSON,
    routes_raw=False,
)
# 0.13.0
MAINFLUX = Family(
    prefix="things",
    word="Thing ",
    names=_MAINFLUX,
    errors="error",
    error_type=TEXT,
    secure_type=JSON,
    routes_raw=False,
)
# 0.10.0 to 0.12.1
MAINFLUX_0_12 = Family(
    prefix="things",
    word="",
    names=_MAINFLUX,
    errors="error",
    error_type=JSON,
    secure_type=JSON,
    routes_raw=False,
    statuses={
        "no key": 403,
        "no token": 403,
        "bad token": 403,
        "wrong key": 404,
        "not hex": 404,
        "short": 400,
    },
)
# v0.30.0
PROFILES = Family(
    prefix="clients",
    word="Client ",
    names=("id",),
    errors="message",
    error_type=JSON,
    secure_type=BINARY,
    routes_raw=True,
    statuses={"exists": 409},
)

# --bootstrap-profile: the families served, each under its prefix
SERVED = {
    "clients": (CLIENTS, THINGS),
    "mainflux": (MAINFLUX,),
    "mainflux-0.12": (MAINFLUX_0_12,),
    "profiles": (PROFILES,),
}


def not_found() -> web.Response:
    """404 of the services' router."""
    return web.Response(status=404, body=b"404 page not found\n", headers={"Content-Type": TEXT})


def go_hex(text: str) -> bytes:
    """Hexadecimal digits, read as Go's decoder reads them.

    Raises:
        ValueError: with Go's wording.
    """
    for byte in text.encode(errors="surrogateescape"):
        char = chr(byte)
        if char not in "0123456789abcdefABCDEF":
            shown = f" '{char}'" if char.isprintable() else ""
            raise ValueError(f"encoding/hex: invalid byte: U+{byte:04X}{shown}")
    if len(text) % 2:
        raise ValueError("encoding/hex: odd length hex string")
    return bytes.fromhex(text)
