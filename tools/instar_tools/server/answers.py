"""Errors as Mender's services word them, and JSON read the way their Go decoder reads it.

Every error is {"error", "request_id"}; the wordings were taken from the services' own answers.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
import uuid
from typing import Any

from aiohttp import web

JSON_TYPE = "application/json; charset=utf-8"
_BAD_TYPE = "Bad Content-Type or charset, expected 'application/json'"
_GO_NAMES = {dict: "object", list: "array", str: "string", bool: "bool", int: "number"}


class Refusal(Exception):
    """Ends a request with this status and error."""

    def __init__(self, status: int, error: str) -> None:
        super().__init__(error)
        self.status, self.error = status, error

    def answer(self) -> web.Response:
        return error(self.status, self.error)


def error(status: int, text: str, content_type: str = JSON_TYPE) -> web.Response:
    """An error with a request id of its own, in the header too."""
    request_id = str(uuid.uuid4())
    return web.Response(
        status=status,
        body=go_json({"error": text, "request_id": request_id}),
        headers={"Content-Type": content_type, "X-Men-Requestid": request_id},
    )


def bare_error(status: int, text: str) -> web.Response:
    """An error of the router itself, which knows no request id."""
    return web.Response(
        status=status, body=go_json({"error": text}), headers={"Content-Type": JSON_TYPE}
    )


def wrong_content_type() -> web.Response:
    """415, as for a request with a body and no (or another) Content-Type."""
    return bare_error(415, _BAD_TYPE)


def empty(status: int) -> web.Response:
    """A success without a body; the services name a content type all the same."""
    return web.Response(status=status, headers={"Content-Type": JSON_TYPE})


def go_json(value: Any) -> bytes:
    """JSON as Go's encoder writes it: compact; ``<``, ``>``, ``&`` and the two line separators
    of Unicode as \\u003c and so on."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text.encode(errors="replace")


def answer_json(value: Any, status: int = 200) -> web.Response:
    return web.Response(status=status, body=go_json(value), headers={"Content-Type": JSON_TYPE})


def decode(raw: bytes | str, prefix: str) -> Any:
    """The JSON value in ``raw``.

    Raises:
        Refusal: 400 with ``prefix`` and the reason.
    """
    try:
        value = json.loads(raw, parse_constant=_no_constant)
    except json.JSONDecodeError as problem:
        raise Refusal(400, prefix + _go_reason(problem)) from None
    except UnicodeDecodeError:
        raise Refusal(400, prefix + "invalid UTF-8") from None
    except (ValueError, RecursionError) as problem:
        raise Refusal(400, f"{prefix}{problem}") from None
    if b"\\ud" in (raw if isinstance(raw, bytes) else raw.encode(errors="replace")).lower():
        # Half a surrogate pair is no text that could be stored: Go replaces it as well.
        whole = json.dumps(value, ensure_ascii=False).encode(errors="replace")
        value = json.loads(whole)
    return value


def _no_constant(name: str) -> None:
    raise ValueError(f"invalid character '{name[0]}' looking for beginning of value")


def _go_reason(problem: json.JSONDecodeError) -> str:
    if problem.pos >= len(problem.doc.rstrip()):
        return "unexpected end of JSON input"
    looking_for = "value"
    if problem.msg.startswith("Expecting property name"):
        looking_for = "object key string"
    return f"invalid character '{problem.doc[problem.pos]}' looking for beginning of {looking_for}"


def go_type(value: Any) -> str:
    """What Go's decoder calls the JSON type of ``value``."""
    return _GO_NAMES.get(type(value), "number")


def mismatch(value: Any, wanted: str, prefix: str = "") -> Refusal:
    """400: ``value`` is not of the Go type ``wanted``."""
    return Refusal(400, f"{prefix}json: cannot unmarshal {go_type(value)} into Go {wanted}")
