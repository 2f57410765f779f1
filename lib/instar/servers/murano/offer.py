# What an update's offer says: the JSON text of the resource `config_otau`, checked.
#
#   deployment = read(text, "esp32")            # Rejected: expected ..., got ...
#   await look_up(deployment, murano, key)      # at Murano: what is behind it
#
# The fields are those of ExoSense's OTA schema: version, name, description, type, payload. The
# payload is the id of a content, an https URL, or an object of this project's: "content" or "url";
# "format": "artifact" or "firmware"; "size" and "sha256", which a firmware needs; "device_type".
# Needed only while there is an offer: updates.py unloads this module after use.
# SPDX-License-Identifier: MIT

import json

from micropython import const

from ...errors import Rejected
from ...http.message import split_url
from ...http.response import modest
from .updates import TOO_LONG, Deployment, digest

_MAX_OFFER = const(4096)  # bytes
_MAX_TEXT = const(256)  # bytes: as in an Artifact's metadata
_MAX_URL = const(2048)
_MAX_SHOWN = const(60)
_PAYLOAD = ("content", "device_type", "format", "sha256", "size", "url")


def read(text, device_type):
    """The Deployment that `text` offers, without an id. Raises Rejected if it is none for a board
    of this device type: what was expected, and what came."""
    offer = _object(text)
    version = _string(offer, "version")
    _string(offer, "name")
    payload = _payload(offer)
    _check_device_type(payload.get("device_type", device_type), device_type)
    content, uri = _source(payload)
    size, sha256 = _size(payload), _sha256(payload)
    if not _is_firmware(payload):
        return Deployment(version, content, uri, size, None, sha256)
    if not size or not sha256:
        raise Rejected("offer: expected size and sha256 for format firmware, got not both")
    return Deployment(version, content, uri, size, (size, sha256, version), None)


async def look_up(deployment, murano, key):
    """Complete the deployment: total and info of its content, and the id. key: the offer's digest.

    The id stays the same for as long as the offer and the content do. Raises what murano.info()
    raises, Rejected if the content is of another size than offered."""
    told = ""
    if deployment.content:
        info = deployment.info = await murano.info(deployment.content)
        if deployment.total not in (None, info.size):
            raise _unexpected("size", f"that of the content, {info.size}", deployment.total)
        deployment.total = info.size
        told = f"{info.size},{info.updated}"
    deployment.id = f"{key}{digest(told)[:8]}:{deployment.artifact_name}"


def version(text):
    """The version for a status about an offer that was refused."""
    try:
        return _string(_object(text), "version")
    except Rejected:
        return "unknown"


def _object(text):
    size = len(text.encode())
    if size > _MAX_OFFER or text == TOO_LONG:
        got = "more than an answer has" if text == TOO_LONG else size
        raise Rejected(f"offer: expected at most {_MAX_OFFER} bytes, got {got}")
    try:
        offer = json.loads(text) if modest(text.encode()) else text
    except ValueError:
        offer = text
    if not isinstance(offer, dict):
        raise _unexpected("text", "a JSON object", offer)
    return offer


def _payload(offer):
    kind, payload = offer.get("type"), offer.get("payload")
    if kind not in ("FILE", "JSON"):
        raise _unexpected("type", "FILE or JSON", kind)
    if kind == "FILE" and isinstance(payload, str):
        return {"url" if "://" in payload else "content": payload}
    if not isinstance(payload, dict):
        expected = "an object" if kind == "JSON" else "a content's id, a URL or an object"
        raise _unexpected("payload", expected, payload)
    for name in payload:
        if name not in _PAYLOAD:  # it may be a condition
            raise _unexpected("names in payload", f"only {', '.join(_PAYLOAD)}", name)
    return payload


def _check_device_type(wanted, board):
    if wanted != board and not (isinstance(wanted, list) and board in wanted):
        raise _unexpected("device_type", f"this board's, {board}", wanted)


def _source(payload):
    if ("content" in payload) == ("url" in payload):
        got = "both" if "url" in payload else "neither"
        raise Rejected(f"offer: payload: expected content or url, got {got}")
    if "content" in payload:
        return _string(payload, "content"), None
    uri = payload["url"]
    if not isinstance(uri, str) or uri[:8].lower() != "https://" or len(uri) > _MAX_URL:
        # It may hold a signature: not shown.
        raise Rejected(f"offer: url: expected https:// and at most {_MAX_URL} characters")
    split_url(uri)
    return None, uri


def _is_firmware(payload):
    name = payload.get("format", "artifact")
    if name not in ("artifact", "firmware"):
        raise _unexpected("format", "artifact or firmware", name)
    return name == "firmware"


def _size(payload):
    size = payload.get("size")
    good = isinstance(size, int) and not isinstance(size, bool) and size > 0
    if not good and size is not None:
        raise _unexpected("size", "a number of bytes", size)
    return size


def _sha256(payload):
    sha256 = payload.get("sha256")
    if sha256 is None:
        return None
    if not isinstance(sha256, str) or len(sha256) != 64 or sha256.strip("0123456789abcdefABCDEF"):
        raise _unexpected("sha256", "64 hex digits", sha256)
    return sha256.lower()


def _string(found, name):
    value = found.get(name)
    good = isinstance(value, str) and 0 < len(value.encode()) <= _MAX_TEXT
    if not good or not _is_printable(value.encode()):
        raise _unexpected(name, f"a printable string of 1 to {_MAX_TEXT} bytes", value)
    return value


def _is_printable(raw):
    # As bytes: MicroPython keeps each new character that a loop takes out of a str.
    before = 0
    for byte in raw:
        if byte < 32 or byte == 127 or (before == 0xC2 and byte < 0xA0):
            return False
        before = byte
    return True


def _unexpected(what, expected, came):
    if came is None:
        shown = "nothing"
    elif isinstance(came, (str, int, float)) and what not in ("payload", "text"):
        shown = repr(came)[:_MAX_SHOWN]
    else:  # deep in each other, or with a URL's signature in it
        shown = f"a {type(came).__name__}"
    return Rejected(f"offer: {what}: expected {expected}, got {shown}")
