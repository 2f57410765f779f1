"""What the configuration routes read: bodies, their fields, paging and filters."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import re
from typing import Any

from aiohttp import web

from . import answers
from .magistrala_families import JSON, Family, Refused

LIMIT, MAX_LIMIT = 10, 100


async def read_object(request: web.Request, family: Family) -> dict[str, Any]:
    """The JSON object in the body.

    Raises:
        Refused: 415 where the body is not declared as JSON, 400 where it is none.
    """
    if JSON not in request.headers.get("Content-Type", ""):
        raise Refused(family, "content type")
    try:
        body = answers.decode(await request.read(), "")
    except answers.Refusal as refusal:
        raise Refused(family, "malformed", refusal.error) from None
    if not isinstance(body, dict):
        raise Refused(family, "malformed")
    return body


def texts(body: dict[str, Any], names: tuple[str, ...], family: Family) -> dict[str, str]:
    """The fields ``names``, "" where one is not given.

    Raises:
        Refused: 400, a field is no string.
    """
    fields = {name: "" if body.get(name) is None else body[name] for name in names}
    for name, text in fields.items():
        if not isinstance(text, str):
            raise Refused(family, "malformed", answers.mismatch(text, f"field {name}").error)
    return fields


def names_in(channels: Any, family: Family) -> list[str]:
    """A list of channel ids; none for null.

    Raises:
        Refused: 400, it is something else, or an id is empty.
    """
    channels = [] if channels is None else channels
    if not isinstance(channels, list) or not all(isinstance(c, str) and c for c in channels):
        raise Refused(family, "malformed", "channels: expected a list of ids")
    return channels


def page(
    request: web.Request, shown: list[dict[str, Any]], exact: tuple[str, ...], family: Family
) -> dict[str, Any]:
    """The configurations that a query asks for.

    ``exact``: fields that a filter must equal; ``name`` may be a part, in any case.

    Raises:
        Refused: 400, offset or limit is no 64-bit number, or the limit not in 1 to `MAX_LIMIT`.
    """
    offset, limit = (_number(request, *word, family) for word in (("offset", 0), ("limit", LIMIT)))
    if not 1 <= limit <= MAX_LIMIT:
        raise Refused(family, "bad limit")
    wanted = {name: text for name, text in request.query.items() if name in exact}
    part = request.query.get("name", "").lower()
    found = [
        config
        for config in shown
        if all(str(config.get(name)) == text for name, text in wanted.items())
        and part in config.get("name", "").lower()
    ]
    cut = found[offset : offset + limit]
    return {"total": len(found), "offset": offset, "limit": limit, "configs": cut}


def _number(request: web.Request, name: str, default: int, family: Family) -> int:
    text = request.query.get(name, str(default))
    # Twenty digits: what is longer is no number of 64 bits, and int() refuses thousands.
    if not re.fullmatch("[0-9]{1,20}", text) or int(text) >> 64:
        raise Refused(family, "bad query")
    return int(text)
