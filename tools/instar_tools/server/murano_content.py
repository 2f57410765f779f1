"""Files for and from Murano devices.

GET /provision/download                  the ids, one a line
GET /provision/download?id=X&info=true   type,size,updated,description
GET /provision/download?id=X             the bytes, all or those of Range: bytes=a-b, a-, -n
PUT /onep:v1/content/<id>?tags=<JSON>    an upload; other devices do not see it
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

from aiohttp import web

from . import faults
from .murano_form import Refused
from .storage import file_slice

if TYPE_CHECKING:
    from .murano import Service

CSV = "text/csv; charset=utf-8"
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


class Download(web.Response):
    """A body in chunks; ``also_length``: what Content-Length says of it nevertheless."""

    def __init__(self, also_length: int | None, **fields: Any) -> None:
        super().__init__(**fields)
        self.also_length = also_length


class Content:
    """Of one product."""

    def __init__(self, service: Service) -> None:
        self.service, self.files = service, service.files

    async def download(self, request: web.Request) -> web.Response:
        identity = self.service.access.identify(request)
        if not request.query:
            return _csv("\r\n".join(self.files.ids(identity)))
        id = request.query.get("id", "")
        if not id:
            raise Refused(400, "expected id=<content id>")
        row = self.files.find(identity, id)
        if row is None:
            raise Refused(404, "no such content")  # assumed
        if request.query.get("info") == "true":
            fields = ("type", "size", "updated", "description")
            return _csv(",".join(str(row[field]) for field in fields))
        return self._send(request, row)

    def _send(self, request: web.Request, row: Any) -> web.Response:
        product, total = self.service.product, row["size"]
        headers = {"Content-Type": row["type"]}
        start, end, status = 0, total, 200
        if "Range" in request.headers and not (product.ignore_range or faults.ignores_range()):
            start, end = _part(request.headers["Range"], total)
            status = product.range_status
            headers["Accept-Ranges"] = "bytes"
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{total}"
        if product.lengths == "length":
            headers["Content-Length"] = str(end - start)
        body = faults.limited(request, file_slice(self.files.path(row), start, end - start))
        both = end - start if product.lengths == "both" else None
        return Download(both, status=status, headers=headers, body=body)

    async def upload(self, request: web.Request) -> web.Response:
        identity = self.service.access.identify(request)
        if request.content_length is None:  # assumed
            raise Refused(400, "expected Content-Length")
        body, sum_given = await request.read(), request.headers.get("Content-MD5")
        if sum_given is not None:
            _check_sum(body, sum_given)
        tags = _tags(request.query.get("tags", "{}"))
        id, kind = request.match_info["id"], request.headers.get("Content-Type", "")
        self.files.add(identity, id, body, kind or "application/octet-stream", tags=tags)
        event = {"type": "content_in", "id": id, "size": len(body), "tags": tags}
        self.service.identities.note(identity, event)
        return web.Response(status=204)


def _csv(text: str) -> web.Response:
    return web.Response(body=text.encode(), headers={"Content-Type": CSV})


def _part(given: str, total: int) -> tuple[int, int]:
    """(first, one past the last) of a Range.

    Raises:
        Refused: 416 (assumed), there is no such part, or the Range is not understood.
    """
    found = _RANGE.fullmatch(given)
    if found and found[1]:
        start, end = int(found[1]), min(int(found[2] or total) + 1, total)
    elif found and found[2]:
        start, end = max(total - int(found[2]), 0), total
    else:
        start = end = 0
    if start >= end:
        raise Refused(416, f"no such part of {total} bytes")
    return start, end


def _check_sum(body: bytes, given: str) -> None:
    actual = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
    if given != actual:  # assumed
        raise Refused(400, "Content-MD5 is not that of the body")


def _tags(text: str) -> dict[str, Any]:
    """
    Raises:
        Refused: 400 (assumed), they are no JSON object.
    """
    try:
        tags = json.loads(text)
    except ValueError:
        tags = None
    if not isinstance(tags, dict):
        raise Refused(400, "tags: expected a JSON object")
    return tags
