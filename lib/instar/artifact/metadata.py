# What an Artifact's metadata means: version, header-info, type-info and meta-data, checked and
# joined to a Header.
#
#   check_version(raw)
#   header = read_header(files.texts)
#
# Needed for a moment only: reader.py unloads this module after use. Rules: Artifact format v3; an
# unknown key is refused, since it may be a condition that this reader does not know.
# SPDX-License-Identifier: MIT

from micropython import const

from .header import Header
from .refusal import brief, refused
from .strictjson import parse, parse_object
from .utf8 import is_printable

_MAX_STRING = const(256)  # bytes; mender-artifact's own limit for names
_RESERVED = ("artifact_name", "artifact_group", "device_type")
_FORMAT = {"format": "mender", "version": 3}


def check_version(raw):
    """Raises Rejected unless the member `version` says format mender, version 3."""
    version = parse(raw, "version")
    if version != _FORMAT:
        raise refused("version", _FORMAT, brief(version))


def read_header(texts):
    """The Header that the texts of header.tar make. Raises Rejected if they break a rule."""
    info = parse_object(texts["header-info"], "header-info")
    detail = parse_object(texts["headers/0000/type-info"], "type-info")
    meta_data = texts.get("headers/0000/meta-data")
    clears = None
    if "clears_artifact_provides" in detail:
        clears = _strings(detail, "clears_artifact_provides", "type-info")
    header = Header(
        _payload_type(info, detail),
        _provides(info, detail),
        _depends(info, detail),
        clears,
        parse_object(meta_data, "meta-data") if meta_data else {},
    )
    if header.payload_type is None and meta_data is not None:
        raise refused("header", "no files and no meta-data in an empty payload", "some")
    return header


def _payload_type(info, detail):
    _only(info, ("payloads", "artifact_provides", "artifact_depends"), "header-info")
    _only(
        detail,
        ("type", "artifact_provides", "artifact_depends", "clears_artifact_provides"),
        "type-info",
    )
    payloads = _typed(info, "payloads", list, "header-info")
    if len(payloads) != 1 or not isinstance(payloads[0], dict):
        raise refused("header-info", "one payload", brief(payloads))
    _only(payloads[0], ("type",), "header-info payload")
    stated = payloads[0].get("type", "")
    if stated is not None:
        _string(stated, "payload type")
    if "type" not in detail:
        raise refused("type-info", f"type {stated!r}", "none")
    repeated = detail["type"]
    # mender-artifact before 4.3.1 writes "" for a rootfs-image: that means "as in header-info".
    if repeated != stated and not (repeated == "" and stated == "rootfs-image"):
        raise refused("type-info", f"type {stated!r}", brief(repeated))
    return stated


def _provides(info, detail):
    stated = _typed(info, "artifact_provides", dict, "header-info")
    _only(stated, ("artifact_name", "artifact_group"), "artifact_provides")
    if "artifact_name" not in stated:
        raise refused("header-info", "an artifact_name in artifact_provides", "none")
    found = {key: _string(value, key) for key, value in stated.items()}
    for key, value in _optional(detail, "artifact_provides").items():
        _string(key, "key in artifact_provides")
        if found.get(key, value) != value:
            raise refused("type-info", f"{brief(key)} {found[key]!r}", brief(value))
        found[key] = _string(value, key, 0)
    return found


def _depends(info, detail):
    stated = _typed(info, "artifact_depends", dict, "header-info")
    _only(stated, _RESERVED, "artifact_depends")
    if not stated.get("device_type"):
        raise refused("header-info", "a device_type in artifact_depends", "none")
    found = {key: _strings(stated, key, "header-info") for key in stated}
    for key, value in _optional(detail, "artifact_depends").items():
        _string(key, "key in artifact_depends")
        wanted = [_string(value, key, 0)] if isinstance(value, str) else None
        wanted = wanted or _strings({key: value}, key, "type-info")
        # A key in both has to satisfy both.
        found[key] = [one for one in found.get(key, wanted) if one in wanted]
        if not found[key]:
            raise refused("type-info", f"a value for {brief(key)} that can be met", brief(value))
    return found


def _only(found, known, what):
    unknown = [key for key in found if key not in known]
    if unknown:
        raise refused(what, f"only {list(known)}", brief(unknown))


def _typed(found, key, kind, what):
    value = found.get(key)
    if not isinstance(value, kind):
        raise refused(what, f"a {kind.__name__} as {brief(key)}", brief(value))
    return value


def _optional(detail, key):
    return _typed(detail, key, dict, "type-info") if key in detail else {}


def _strings(found, key, what):
    values = _typed(found, key, list, what)
    return [_string(value, key) for value in values]


def _string(value, what, least=1):
    """`value`, if it is a string as mender-artifact takes it: at most 256 bytes, printable."""
    if not isinstance(value, str) or not least <= len(value.encode()) <= _MAX_STRING:
        raise refused(what, f"a string of {least} to {_MAX_STRING} bytes", brief(value))
    if not is_printable(value):
        raise refused(what, "a printable string", brief(value))
    return value
