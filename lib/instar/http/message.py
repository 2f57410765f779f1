# HTTP/1.1 as text: URLs, the head of a request, the head of an answer, dates. No socket here.
#
#   origin, target = split_url("https://updates.example/a?b")   # (True, "updates.example", 443)
#   head = request_head("GET", origin, target, {"Accept": "*/*"})
#   status, reason, headers, keep = await read_head(connection)
#
# Nonsense from a server is Transient: it may be a captive portal, and another network will do.
# Nonsense from the caller is Rejected. No message shows a path or a query: they can hold secrets.
# SPDX-License-Identifier: MIT

import time

from micropython import const

from ..errors import Rejected, Transient

_MAX_STATUS_LINE = const(256)
_MAX_HEADER_LINE = const(4000)
_MAX_HEADERS = const(64)
_MAX_HEAD = const(8192)
_MAX_INTERIM = const(8)  # 1xx answers before the real one
_UNIX_2000 = const(946684800)


def printable(data, count=60):
    """The first `count` characters of bytes from outside, fit for a message."""
    # No list of characters: of a large page that took eight times its size.
    shown = bytearray(data[:count])
    for at in range(len(shown)):
        if not 32 <= shown[at] < 127:
            shown[at] = 46
    return str(shown, "utf-8")


def split_url(url):
    """((secure, host, port), target) of an http or https URL. Raises Rejected."""
    scheme, mark, rest = url.partition("://")
    scheme = scheme.lower()
    if not mark or scheme not in ("http", "https"):
        raise Rejected("URL: expected https://host[:port]/path, got another scheme")
    if not _plain(url) or " " in url:
        raise Rejected("URL: expected printable ASCII without spaces")
    rest = rest.partition("#")[0]
    cut = min([at for at in (rest.find("/"), rest.find("?"), len(rest)) if at >= 0])
    target = rest[cut:]
    secure = scheme == "https"
    host, port = _split_authority(rest[:cut], 443 if secure else 80)
    return (secure, host, port), target if target.startswith("/") else "/" + target


def _split_authority(authority, port):
    if authority.startswith("["):
        host, mark, rest = authority[1:].partition("]")
        good = mark and ":" in host and not host.strip("0123456789abcdefABCDEF:.")
    else:
        host, mark, _ = authority.partition(":")
        rest = authority[len(host) :]
        good = host and all(c.isalpha() or c.isdigit() or c in "-._" for c in host)
    if good and rest and rest != ":":
        good = rest[0] == ":" and rest[1:].isdigit() and len(rest) <= 6
        port = int(rest[1:]) if good else 0
    if not good or not 0 < port < 65536:
        raise Rejected("URL: expected host[:port] after the scheme, without a user name")
    return host, port


def _plain(text):
    return all(" " <= c <= "~" for c in text)


def request_head(method, origin, target, headers):
    """The bytes of a request's head, its empty line included. Raises Rejected.

    Line breaks in a name or a value would let their author add headers, or whole requests.
    """
    secure, host, port = origin
    host = "[%s]" % host if ":" in host else host
    if port != (443 if secure else 80):
        host = "%s:%d" % (host, port)
    lines = ["%s %s HTTP/1.1" % (method, target), "Host: " + host]
    for name in headers:
        value = str(headers[name])
        if not _plain(name) or not _plain(value) or not name or " " in name or ":" in name:
            raise Rejected("header: expected a name and a value in printable ASCII")
        lines.append("%s: %s" % (name, value))
    lines.append("\r\n")
    return "\r\n".join(lines).encode()


async def read_head(connection):
    """(status, reason, headers, whether HTTP/1.1), 1xx answers skipped. Raises Transient."""
    for _ in range(_MAX_INTERIM):
        line = await connection.readline(_MAX_STATUS_LINE)
        status, reason = _status(connection, line)
        headers = await _read_headers(connection)
        if status >= 200:
            return status, reason, headers, line.startswith(b"HTTP/1.1")
    raise Transient("%s: expected an answer after %d of 1xx" % (connection.name, _MAX_INTERIM))


def _status(connection, line):
    parts = line.split(b" ", 2)
    good = len(parts) > 1 and parts[0] in (b"HTTP/1.1", b"HTTP/1.0")
    good = good and len(parts[1]) == 3 and parts[1].isdigit()
    status = int(parts[1]) if good else 0
    # 101 would be another protocol, and nobody asked for it.
    if not 100 <= status < 600 or status == 101:
        text = "%s: expected an HTTP/1.1 answer, got '%s'"
        raise Transient(text % (connection.name, printable(line)))
    return status, printable(parts[2]) if len(parts) > 2 else ""


async def _read_headers(connection):
    headers = {}
    total = 0
    for _ in range(_MAX_HEADERS + 1):
        line = await connection.readline(_MAX_HEADER_LINE)
        if not line:
            return headers
        total += len(line)
        if total > _MAX_HEAD:
            break
        name, value = _header(connection, line)
        headers[name] = headers[name] + ", " + value if name in headers else value
    text = "%s: expected at most %d headers in %d bytes"
    raise Transient(text % (connection.name, _MAX_HEADERS, _MAX_HEAD))


def _header(connection, line):
    name, colon, value = line.partition(b":")
    # A blank in or before the name is a folded line or smuggling (RFC 9112 §5): refuse both.
    if not colon or not name or b" " in name or b"\t" in name or b"\0" in line or b"\r" in line:
        text = "%s: expected 'name: value' in the head, got '%s'"
        raise Transient(text % (connection.name, printable(name)))
    return printable(name, 256).lower(), _text(value.strip())


def _text(value):
    try:
        return value.decode()
    except UnicodeError:
        return printable(value, 256)
