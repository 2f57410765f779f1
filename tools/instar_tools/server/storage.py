"""The object store: another host than the API, which knows no device and no token.

A URL is good for 24 hours, for one method (GET) and for the host it names: its signature covers
"GET", the Host header and the path with the query, byte for byte. Range gives 206 or 416; errors
are XML. The query parameters are those of S3; the signature is an HMAC-SHA256 of this server's.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit
from xml.sax.saxutils import escape

from aiohttp import web

from . import faults
from .pki import write_secret
from .releases import Artifacts

BUCKET = "mender-artifact-storage"
LIFETIME = 86400
_CHUNK = 64 << 10
_STAMP = "%Y%m%dT%H%M%SZ"
_SIGNATURE = "&X-Amz-Signature="
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_MESSAGES = {
    "SignatureDoesNotMatch": "The request signature we calculated does not match the signature"
    " you provided. Check your key and signing method.",
    "AccessDenied": "Request has expired",
    "InvalidRange": "The requested range is not satisfiable",
    "NoSuchKey": "The specified key does not exist.",
}


class Storage:
    """Signs URLs and serves what they name. ``scheme`` and ``port`` are set once it listens."""

    def __init__(self, folder: Path, artifacts: Artifacts, host: str | None = None) -> None:
        """host: the name in the URLs; None: the one by which the device reached the API."""
        path = folder / "storage-key"
        if not path.exists():
            write_secret(path, secrets.token_bytes(32))
        self._key = path.read_bytes()
        self.artifacts, self.host = artifacts, host
        self.scheme, self.port = "https", 0

    def sign(self, host: str, artifact: dict[str, Any]) -> tuple[str, str]:
        """A URL for a device that reached the API at ``host``, and when it ends (RFC 3339)."""
        host = self.host or host
        netloc = f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"
        start = dt.datetime.now(dt.timezone.utc)
        resource = f"/{BUCKET}/{artifact['id']}?{_query(start, artifact['name'])}"
        signature = self._signature(netloc, resource)
        expire = (start + dt.timedelta(seconds=LIFETIME)).isoformat().replace("+00:00", "Z")
        return f"{self.scheme}://{netloc}{resource}{_SIGNATURE}{signature}", expire

    def _signature(self, host: str, resource: str) -> str:
        signed = f"GET\n{host}\n{resource}".encode(errors="surrogateescape")
        return hmac.new(self._key, signed, hashlib.sha256).hexdigest()

    def routes(self) -> list[web.RouteDef]:
        return [web.route("*", "/{key:.*}", self.answer)]

    async def answer(self, request: web.Request) -> web.Response:
        resource, _, signature = request.raw_path.rpartition(_SIGNATURE)
        expected = self._signature(request.host, resource)
        given = signature.encode(errors="surrogateescape")
        if request.method != "GET" or not hmac.compare_digest(expected.encode(), given):
            return _error(request, 403, "SignatureDoesNotMatch")
        query = {name: found[0] for name, found in parse_qs(urlsplit(resource).query).items()}
        if _expired(query):
            return _error(request, 403, "AccessDenied")
        path = self.artifacts.path(_key(request))
        if not path.is_file():
            return _error(request, 404, "NoSuchKey")
        return _serve(request, path, query)


def _query(start: dt.datetime, name: str) -> str:
    values = {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"instar/{start:%Y%m%d}/us-east-1/s3/aws4_request",
        "X-Amz-Date": start.strftime(_STAMP),
        "X-Amz-Expires": str(LIFETIME),
        "X-Amz-SignedHeaders": "host",
        "response-content-disposition": f'attachment; filename="{name}.mender"',
        "response-content-type": "application/vnd.mender-artifact",
        "x-id": "GetObject",
    }
    return "&".join(f"{key}={quote(value, safe='')}" for key, value in values.items())


def _expired(query: dict[str, str]) -> bool:
    start = dt.datetime.strptime(query["X-Amz-Date"] + "+0000", _STAMP + "%z")
    age = dt.datetime.now(dt.timezone.utc) - start
    return age.total_seconds() > int(query["X-Amz-Expires"])


def _key(request: web.Request) -> str:
    return request.path.rpartition("/")[2]


def _serve(request: web.Request, path: Path, query: dict[str, str]) -> web.Response:
    total = path.stat().st_size
    wanted = None if faults.ignores_range() else _range(request, total)
    headers = {"Accept-Ranges": "bytes"}
    if wanted and wanted[0] >= total:
        return _error(request, 416, "InvalidRange", {"Content-Range": f"bytes */{total}"})
    start, end = wanted or (0, total)
    if wanted:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{total}"
    headers["Content-Length"] = str(end - start)
    headers["Content-Type"] = query["response-content-type"]
    headers["Content-Disposition"] = quote(query["response-content-disposition"], safe=' ;="')
    headers["ETag"] = f'"{path.name}"'
    body = faults.limited(request, file_slice(path, start, end - start))
    return web.Response(status=206 if wanted else 200, headers=headers, body=body)


def _range(request: web.Request, total: int) -> tuple[int, int] | None:
    """(first, one past the last) of a Range with one part; None where there is none to obey."""
    found = _RANGE.fullmatch(request.headers.get("Range", ""))
    if not found or found[0] == "bytes=-":
        return None
    if not found[1]:
        return max(total - int(found[2]), 0), total
    start, end = int(found[1]), int(found[2] or total - 1)
    return (start, min(end + 1, total)) if start <= end or not found[2] else None


def file_slice(path: Path, start: int, count: int) -> Iterator[bytes]:
    """``count`` bytes of the file as it is now, even if it is replaced or removed meanwhile."""
    source = open(path, "rb")

    def pieces() -> Iterator[bytes]:
        left = count
        with source:
            source.seek(start)
            while left and (chunk := source.read(min(_CHUNK, left))):
                left -= len(chunk)
                yield chunk

    return pieces()


def _error(
    request: web.Request, status: int, code: str, headers: dict[str, str] | None = None
) -> web.Response:
    fields = {
        "Code": code,
        "Message": _MESSAGES[code],
        "Resource": request.path,
        "RequestId": secrets.token_hex(12).upper(),
        "Key": _key(request),
        "BucketName": BUCKET,
    }
    inner = "".join(f"<{name}>{escape(text)}</{name}>" for name, text in fields.items())
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{inner}</Error>'
    headers = {"Accept-Ranges": "bytes", "Content-Type": "application/xml", **(headers or {})}
    return web.Response(status=status, body=text.encode(), headers=headers)
