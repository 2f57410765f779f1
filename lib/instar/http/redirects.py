# Where a redirect leads, and what may go there. Rare: in the heap only while one is followed.
#
#   request = following(request, response, headers)
# SPDX-License-Identifier: MIT

from ..errors import Rejected, Transient
from .request import Request

# What goes along. Everything else may be a secret that is not for the next host.
_HARMLESS = ("accept", "if-range", "range", "user-agent")


def following(request, response, headers):
    """The Request to send instead of `request`, whose headers these were. Raises Transient for a
    redirect that is not followed: only GET and HEAD are, and only to https."""
    location = response.headers.get("location", "")
    url = join_url(request.url, location)
    kept = {name: headers[name] for name in headers if name.lower() in _HARMLESS}
    try:
        found = Request(request.method, url, kept, None, None)
    except Rejected as error:
        raise Transient("%s: redirect to a bad URL: %s" % (request.origin[1], error))
    if not location or not found.origin[0] or request.method not in ("GET", "HEAD"):
        raise Transient("%s: expected redirects of GET to https only" % request.origin[1])
    return found


def join_url(base, location):
    """The absolute URL of a Location header (RFC 3986 §5, without dot segments)."""
    if "://" in location.partition("?")[0]:
        return location
    scheme, _, rest = base.partition("#")[0].partition("://")
    if location.startswith("//"):
        return scheme + ":" + location
    rest = rest.partition("?")[0]
    host, _, path = rest.partition("/")
    if location.startswith("?"):
        return scheme + "://" + rest + location
    if not location.startswith("/"):
        location = "/" + path[: path.rfind("/") + 1] + location
    return scheme + "://" + host + location
