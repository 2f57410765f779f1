"""Murano's form encoding and its times, as a server reads and writes them.

Values are bytes here: what a device sends percent-encoded need not be text. Times are whole
microseconds since 1970: a time with a fraction never becomes a float.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import datetime as dt
import email.utils
import re
from collections.abc import Iterable
from decimal import Decimal
from urllib.parse import quote_plus, unquote_to_bytes

from aiohttp import web

FORM = "application/x-www-form-urlencoded; charset=utf-8"
SECOND = 1_000_000
_TIME = re.compile(r"-?\d{1,12}(\.\d{1,20})?")
_ENCODED = re.compile(rb"(?:[A-Za-z0-9._~*+-]|%[0-9A-Fa-f]{2})*")


class Refused(Exception):
    """Ends a request with this status; the text is for people, no client may depend on it."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status, self.text = status, text


def query(request: web.Request) -> bytes:
    """What follows the ``?``, as it was sent."""
    return request.raw_path.partition("?")[2].encode(errors="surrogateescape")


def split(form: bytes) -> list[tuple[bytes, bytes]]:
    """The (key, value) pairs of ``key=value&...``, decoded; the order and doubles are kept.

    Raises:
        Refused: 400, where a pair has no key or no ``=``.
    """
    found = []
    for pair in form.split(b"&"):
        key, equals, value = pair.partition(b"=")
        if not key or not equals:
            raise Refused(400, "expected key=value, joined by &")
        found.append((decoded(key), decoded(value)))
    return found


def decoded(text: bytes) -> bytes:
    """``+`` and ``%20`` are both a space; an escape that is none stays as it is."""
    return unquote_to_bytes(text.replace(b"+", b" "))


def name(raw: bytes) -> str:
    """An alias, a content id, an identity: text that is not empty.

    Raises:
        Refused: 400 (assumed).
    """
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise Refused(400, "expected UTF-8") from None
    if not text:
        raise Refused(400, "expected a name, got none")
    return text


def is_encoded(text: bytes) -> bool:
    """Whether nothing is left in it that a form would have encoded."""
    return _ENCODED.fullmatch(text) is not None


def joined(pairs: Iterable[tuple[str, bytes | str]]) -> str:
    """``key=value&...``, encoded as HTML 4.01 says for forms: a space is a ``+``."""
    return "&".join(f"{quote_plus(key)}={quote_plus(value)}" for key, value in pairs)


def microseconds(text: str, now: int) -> int:
    """A record's timestamp, in seconds with a fraction or without; digits beyond the sixth are
    dropped. One below zero counts back from ``now`` (assumed: as in the older RPC interface).

    Raises:
        Refused: 400, it is no number.
    """
    if not _TIME.fullmatch(text):
        raise Refused(400, f"expected seconds as a timestamp, got {text[:40]!r}")
    value = int(Decimal(text) * SECOND)
    return now + value if text.startswith("-") else value


def since(text: str) -> int:
    """The seconds of an If-Modified-Since, a Unix time or an HTTP date.

    Raises:
        Refused: 400 (assumed), it is neither.
    """
    if text.isascii() and text.isdecimal() and len(text) <= 12:
        return int(text)
    try:
        return int(email.utils.parsedate_to_datetime(text).timestamp())
    except (ValueError, TypeError, OverflowError):
        raise Refused(400, "If-Modified-Since: expected seconds or an HTTP date") from None


def http_date(seconds: int) -> str:
    return email.utils.format_datetime(dt.datetime.fromtimestamp(seconds, dt.timezone.utc), True)
