# Builds tars, gzip streams and Artifacts for the device tests, right or wrong as they ask.
# MicroPython has no compressor here: gzip is made of stored blocks.
import binascii
import hashlib
import json
import struct

from instar.errors import Rejected

END = bytes(1024)
VECTORS = "tests/vectors/artifact/"


def vector(name):
    with open(VECTORS + name, "rb") as file:
        return file.read()


def tar_header(name, size, kind="0", magic=b"ustar\x0000", size_field=None, prefix=b""):
    block = bytearray(512)
    raw = name.encode() if isinstance(name, str) else name
    block[0 : len(raw)] = raw
    block[100:108] = b"0000600\0"
    block[124:136] = size_field or b"%011o\0" % size
    block[156] = ord(kind)
    block[257:265] = magic
    block[345 : 345 + len(prefix)] = prefix
    return with_checksum(block)


def with_checksum(block):
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def padded(data):
    return data + bytes(-len(data) % 512)


def member(name, data=b"", kind="0", **more):
    return tar_header(name, len(data), kind, **more) + padded(data)


def tar(*members):
    """A complete archive of (name, data) pairs."""
    return b"".join(member(name, data) for name, data in members) + END


def gzip(data, block=60000):
    """A gzip member of stored deflate blocks."""
    out = [b"\x1f\x8b\x08\0\0\0\0\0\0\xff"]
    for at in range(0, max(len(data), 1), block):
        part = data[at : at + block]
        last = at + block >= len(data)
        out.append(struct.pack("<BHH", last, len(part), len(part) ^ 0xFFFF) + part)
    out.append(struct.pack("<II", binascii.crc32(data), len(data)))
    return b"".join(out)


def digest(data):
    return hashlib.sha256(data).digest().hex()


VERSION = b'{"format":"mender","version":3}'
INFO = {
    "payloads": [{"type": "thing"}],
    "artifact_provides": {"artifact_name": "v2"},
    "artifact_depends": {"device_type": ["esp32"]},
}
TYPE_INFO = {"type": "thing", "artifact_provides": {"thing.version": "v2"}}


def encoded(value):
    return value if isinstance(value, bytes) else json.dumps(value).encode()


def header_tar(info=INFO, type_info=TYPE_INFO, meta=None, scripts=()):
    members = [("header-info", encoded(info))]
    members += [("scripts/" + name, b"#!/bin/sh\n") for name in scripts]
    members.append(("headers/0000/type-info", encoded(type_info)))
    if meta is not None:
        members.append(("headers/0000/meta-data", encoded(meta)))
    return tar(*members)


def manifest_of(files, header_name, header, version=VERSION):
    lines = [f"{digest(data)}  data/0000/{name}\n" for name, data in files]
    lines.append(f"{digest(header)}  {header_name}\n")
    lines.append(f"{digest(version)}  version\n")
    return "".join(lines).encode()


def members_of(
    files=(("a.txt", b"hello\n"),),
    packed=False,
    version=VERSION,
    manifest=None,
    header=None,
    data=None,
    signature=None,
    **header_parts,
):
    """The outer members of an Artifact, as a list of (name, data); anything can be replaced."""
    suffix = ".gz" if packed else ""
    pack = gzip if packed else bytes
    header = pack(header_tar(**header_parts)) if header is None else header
    data = pack(tar(*files)) if data is None else data
    manifest = manifest or manifest_of(files, "header.tar" + suffix, header, version)
    found = [("version", version), ("manifest", manifest)]
    if signature is not None:
        found.append(("manifest.sig", signature))
    return found + [("header.tar" + suffix, header), ("data/0000.tar" + suffix, data)]


def artifact(**parts):
    return tar(*members_of(**parts))


def chunks(data, size):
    """`data` in views of `size` bytes; 0: all at once; None: of odd lengths, always the same."""
    view = memoryview(data)
    at = 0
    state = 12345
    while at < len(data):
        state = (state * 1103515245 + 12345) & 0x7FFFFFFF
        step = (state >> 8) % 700 + 1 if size is None else size or len(data)
        yield view[at : at + step]
        at += step


CHUNKINGS = (1, 7, 512, 0, None)


def rejection(step, *args):
    """The message of the Rejected that step(*args) raises; None if it raises none."""
    try:
        step(*args)
    except Rejected as error:
        return str(error)
    return None
