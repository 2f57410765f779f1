"""hypothesis strategies: Artifacts that are right, whoever wrote them, and changes."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from dataclasses import dataclass, field

import sealing
from hypothesis import strategies as st

VERSION = b'{"format":"mender","version":3}'
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,_-"
_PRINTABLE = st.characters(exclude_categories=("Cc", "Cs"))
_short = st.text(_PRINTABLE, min_size=1, max_size=20) | st.text(LETTERS, min_size=1, max_size=256)
_values = st.text(_PRINTABLE, max_size=20)
_keys = st.text(LETTERS, min_size=1, max_size=30).filter(
    lambda key: key not in ("artifact_name", "artifact_group", "device_type")
)
_lists = st.lists(_short, min_size=1, max_size=3)
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | _values | st.floats(0, 1e6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_values, inner, max_size=3),
    max_leaves=8,
)
_contents = (
    st.binary(max_size=1500)
    | st.integers(0, 5000).map(bytes)
    | st.sampled_from((511, 512, 513, 1024)).map(lambda size: b"x" * size)
)


@dataclass
class Packing:
    """How an Artifact is put into bytes, with no say in what it means."""

    header_level: int | None  # of gzip; None: as it is
    data_level: int | None
    stored: int  # tarfile's format
    ascii: bool  # JSON with escapes for all but ASCII
    owner: str
    id: int
    zeros: int  # after the end

    def text(self, value) -> bytes:
        return json.dumps(value, ensure_ascii=self.ascii).encode()

    def tar(self, members: list[tuple[str, bytes]]) -> bytes:
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=self.stored) as tar:
            for name, data in members:
                member = tarfile.TarInfo(name)
                member.size = len(data)
                member.uname = self.owner
                member.uid = self.id
                tar.addfile(member, io.BytesIO(data))
        return out.getvalue()


@dataclass
class Written:
    data: bytes = field(repr=False)
    meaning: dict  # as reading.read() returns it


_packings = st.builds(
    Packing,
    header_level=st.none() | st.integers(0, 9),
    data_level=st.none() | st.integers(0, 9),
    stored=st.sampled_from((tarfile.PAX_FORMAT, tarfile.GNU_FORMAT)),
    ascii=st.booleans(),
    owner=st.sampled_from(("", "root", "jürgen", "x" * 40)),
    # The last does not fit its field: pax writes a record for it, GNU its base-256 form.
    id=st.sampled_from((0, 1000, 3_000_000)),
    zeros=st.sampled_from((0, 512, 10240)),
)
_names = st.text(LETTERS, min_size=1, max_size=130).filter(lambda name: name not in (".", ".."))


@st.composite
def artifacts(draw) -> Written:
    """A valid Artifact with at most four files, and what it means."""
    packing = draw(_packings)
    kind = draw(st.none() | _short)
    files = draw(st.dictionaries(_names, _contents, max_size=4)) if kind else {}
    info = {
        "payloads": [{"type": kind}],
        "artifact_provides": draw(
            st.fixed_dictionaries({"artifact_name": _short}, optional={"artifact_group": _short})
        ),
        "artifact_depends": draw(
            st.fixed_dictionaries(
                {"device_type": _lists},
                optional={"artifact_name": _lists, "artifact_group": _lists},
            )
        ),
    }
    detail = {
        "type": kind,
        **draw(
            st.fixed_dictionaries(
                {},
                optional={
                    "artifact_provides": st.dictionaries(_keys, _values, max_size=3),
                    "artifact_depends": st.dictionaries(_keys, _values | _lists, max_size=3),
                    "clears_artifact_provides": _lists,
                },
            )
        ),
    }
    meta = draw(st.none() | st.dictionaries(_values, _json, max_size=3)) if kind else None
    signature = draw(st.none() | st.binary(max_size=100))
    texts = [("header-info", packing.text(info)), ("headers/0000/type-info", packing.text(detail))]
    if meta is not None:
        texts.append(("headers/0000/meta-data", packing.text(meta)))
    meaning = {
        "type": kind,
        "provides": {**info["artifact_provides"], **detail.get("artifact_provides", {})},
        "depends": {
            **info["artifact_depends"],
            **{
                key: [value] if isinstance(value, str) else value
                for key, value in detail.get("artifact_depends", {}).items()
            },
        },
        "clears": detail.get("clears_artifact_provides"),
        "meta": meta or {},
        "signed": signature is not None,
        "files": files,
    }
    return Written(_pack(packing, texts, list(files.items()), signature), meaning)


def _pack(packing, texts, files, signature) -> bytes:
    header_name, header = _packed("header.tar", packing.tar(texts), packing.header_level)
    data_name, data = _packed("data/0000.tar", packing.tar(files), packing.data_level)
    sums = [(f"data/0000/{name}", content) for name, content in files]
    sums += [(header_name, header), ("version", VERSION)]
    manifest = "".join(f"{hashlib.sha256(raw).hexdigest()}  {name}\n" for name, raw in sums)
    members = [("version", VERSION), ("manifest", manifest.encode())]
    if signature is not None:
        members.append(("manifest.sig", signature))
    members += [(header_name, header), (data_name, data)]
    return sealing.pack(members, format=packing.stored) + bytes(packing.zeros)


def _packed(name: str, raw: bytes, level: int | None) -> tuple[str, bytes]:
    return (name, raw) if level is None else (name + ".gz", gzip.compress(raw, level, mtime=0))


_PIECES = (
    b"\0",
    b" ",
    b"\n",
    b"/",
    b"..",
    b"\xff",
    b"\xc0\xaf",
    b"\xed\xa0\xbd",
    b"\\ud83d",
    b'"',
    b"null",
    b"[]",
    b"{}",
    b"1e999",
    b'"type":"",',
    b"\x1f\x8b\x08\0",
    bytes(512),
    b"x",
    b"g",
    b"L",
    b"2",
    b"5",
)


@dataclass
class Change:
    """bytes -> bytes that differ little."""

    kind: str
    first: float  # places, as parts of the whole
    second: float
    piece: bytes

    def __call__(self, raw: bytes) -> bytes:
        at, to = sorted((int(self.first * len(raw)), int(self.second * len(raw))))
        piece = self.piece
        return {
            "set": raw[:at] + piece + raw[at + len(piece) :],
            "cut": raw[:at] + raw[to:],
            "insert": raw[:at] + piece + raw[at:],
            "double": raw[:to] + raw[at:],
            "swap": raw[:at] + raw[to:] + raw[at:to],
        }[self.kind]


_places = st.floats(0, 1, exclude_max=True)
changes = st.builds(
    Change,
    kind=st.sampled_from(("set", "cut", "insert", "double", "swap")),
    first=_places,
    second=_places,
    piece=st.binary(min_size=1, max_size=4) | st.sampled_from(_PIECES),
)
