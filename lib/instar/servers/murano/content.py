# Files of a Murano product: list them, look one up, ask for one; stream.py is what then comes,
# uploading.py the other way. In the heap only while used: Murano has a method for each function
# here, which unloads this module again.
#
#   ids = await contents(murano)
#   found = await info(murano, "fw.bin")                     # .type .size .updated .description
#   stream = await download(murano, "fw.bin", offset, found)
#   async for view in stream: ...                            # stream.offset counts along
#
# Murano has no checksum for what it sends: size and time of the last change, before and after, are
# all that tells whether the content was replaced meanwhile. Whether the bytes are good is for
# their own checksum to say.
# Limits: a list as long as the client's max_body (16 KiB on a board).
# SPDX-License-Identifier: MIT

from micropython import const

from ... import memory
from ...errors import Rejected, Transient
from .form import quote
from .stream import Download, Info, check_same

_DOWNLOAD = "/provision/download"
_MAX_DIGITS = const(10)


async def contents(murano):
    """The ids of all content that this board may download, a list."""
    response = await murano.call("GET", _DOWNLOAD)
    murano.check(response, "contents", 200, 204)
    return [line for line in response.text.replace("\r", "\n").split("\n") if line]


async def info(murano, id):
    """The Info of a content. Raises Rejected if there is none."""
    response = await murano.call("GET", _path(id) + "&info=true")
    murano.check(response, "info of %s" % id[:60], 200)
    fields = response.text.rstrip("\r\n").split(",", 3)  # a description may have commas
    if len(fields) < 4 or not fields[1].isdigit() or len(fields[1]) > _MAX_DIGITS:
        text = "info: expected type,size,updated,description, got '%s'"
        raise Transient(text % murano.shown(response.content))
    return Info(fields[0], int(fields[1]), fields[2], fields[3])


async def download(murano, id, first=0, before=None, last=None, suffix=None):
    """The Download of a content from byte `first` on; to byte `last`, if given; or, if given, of
    the last `suffix` bytes. before: the Info that is known already, as of a first try: of another
    content nothing is taken, neither now, where something is there already, nor at the end.

    Raises Rejected for a content that is not there, that was replaced, or that has not these
    bytes; and for an answer with other bytes than those asked for.
    """
    found = await info(murano, id) if first or not before else before
    check_same(before or found, found)
    span = _span(found.size, first, last, suffix)
    # Nothing is left where only the last look at the content failed: the last byte comes again.
    asked = max(0, min(span[0], found.size - 1)), span[1]
    headers = {"Range": _range(asked[0], last, suffix)} if asked != (0, found.size) else None
    response = await murano.call("GET", _path(id), headers, stream=True)
    try:
        murano.check(response, "download of %s" % id[:60], 200, 206)
        return Download(murano, id, found, response, span, _body(response, asked, found.size))
    except BaseException:
        await response.close()
        raise


def _path(id):
    if not id:
        raise Rejected("content: expected an id, got none")
    return _DOWNLOAD + "?id=" + quote(id)


def _span(size, first, last, suffix):
    """(start, end) of the bytes that are meant. Raises Rejected."""
    if suffix is not None:
        start, end = max(0, size - suffix), size
        good = suffix > 0
    else:
        start, end = first, size if last is None else min(last + 1, size)
        good = 0 <= start < end or start == end == size
    if not good:
        raise Rejected("download: expected a range within %d bytes" % size)
    return start, end


def _range(start, last, suffix):
    if suffix is not None:
        return "bytes=-%d" % suffix
    return "bytes=%d-" % start if last is None else "bytes=%d-%d" % (start, last)


def _body(response, asked, size):
    """(start, end) of the bytes that the answer has. Murano answers a range with 200 or with 206;
    only a 200 that names no range is the whole content."""
    absent = "none" if response.status_code == 206 else ""
    came = response.headers.get("content-range", absent).strip()[:80]
    start, end = asked if came else (0, size)
    span = "bytes %d-%d/" % (start, end - 1)
    if came and came.lower() not in (span + str(size), span + "*"):
        raise Rejected("download: expected Content-Range: %s%d, got %s" % (span, size, came))
    # Chunks decide how long a body is where both are there; still this has to be its length.
    length = response.headers.get("content-length", "").partition(",")[0].strip()
    if length.isdigit() and length != str(end - start):
        text = "download: expected %d bytes, got Content-Length %s"
        raise Rejected(text % (end - start, length))
    return start, end


async def upload(murano, *args, **options):
    """See uploading.py."""
    try:
        from .uploading import upload

        await upload(murano, *args, **options)
    finally:
        memory.forget("instar.servers.murano.uploading")
