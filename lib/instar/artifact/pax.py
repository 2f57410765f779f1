# The records of a pax extended header, of which two change what a reader sees: path and size.
# Records are `LENGTH key=value\n`, LENGTH in decimal and counting itself (POSIX, pax interchange
# format). Unknown keys are skipped, as POSIX asks; GNU's sparse files are refused, since their
# content is not what lies in the archive.
# SPDX-License-Identifier: MIT

from .refusal import brief, refused
from .utf8 import decode


def read_pax(body, what):
    """(path, size) that the records in `body` (bytes) set for the next member, or None for each.

    Raises Rejected if a record is malformed.
    """
    path = size = None
    at = 0
    while at < len(body):
        end = _record_end(body, at, what)
        key, found, value = body[body.find(b" ", at) + 1 : end - 1].partition(b"=")
        if not found:
            raise refused(what, "key=value in a pax record", brief(key))
        if key == b"path":
            path = _text(value, what)
        elif key == b"size":
            size = _decimal(value, what)
        elif key.startswith(b"GNU.sparse"):
            raise refused(what, "plain files", "a sparse one")
        at = end
    return path, size


def _record_end(body, at, what):
    space = body.find(b" ", at)
    if space < 0:
        raise refused(what, "a length before each pax record", "none")
    end = at + _decimal(body[at:space], what)
    if not space < end - 1 < len(body) or body[end - 1] != 10:
        raise refused(
            what, f"a pax record of {end - at} bytes, newline included", "something else"
        )
    return end


def _decimal(raw, what):
    if not raw or len(raw) > 15 or any(not 48 <= byte <= 57 for byte in raw):
        raise refused(what, "a decimal number in a pax record", brief(raw))
    return int(raw)


def _text(raw, what):
    try:
        text = decode(raw)
    except UnicodeError:
        text = ""
    if not text or "\0" in text:
        raise refused(what, "a pax path in UTF-8", brief(raw))
    return text
