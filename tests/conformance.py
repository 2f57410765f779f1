"""The rules of Artifacts as data: which file breaks which, and what is said of it.

    for row in ROWS:
        row.build()          # the file, bytes
        row.reason           # what the board says, word for word; None: it takes the Artifact
        row.real             # {"read": "R", "validate": "-"}: what mender-artifact 3.9.0 does

Here is how each file is built; the verdicts are in vectors/artifact/conformance.txt, which says
what the numbers mean.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from conformance_build import (
    EMPTY,
    END,
    FILES,
    INFO,
    SUM,
    TYPE_INFO,
    VERSION,
    augmented,
    bad_checksum,
    cut,
    depends,
    detail,
    edited,
    extra,
    header_members,
    in_header,
    info,
    key_pair,
    listing,
    made,
    member,
    outer,
    pax,
    provides,
    replaced,
    signed,
    tar,
    with_size_field,
)


@dataclass(frozen=True)
class Row:
    """One rule. board: fields of check_cmd.Conditions beside the device type."""

    number: str
    what: str
    build: Callable[[], bytes]
    reason: str | None
    real: dict[str, str]
    board: Mapping

    def __str__(self) -> str:
        return f"{self.number} {self.what}"


VERDICTS = Path(__file__).parent / "vectors" / "artifact" / "conformance.txt"
KEYS = {"keys": [key_pair("ours")[1]]}
SCRIPT = "ArtifactInstall_Enter_00"
INFO_PAIR, TYPE_PAIR = header_members()
IMAGE = b"\xe9" + bytes(22) + b"\1" + bytes(1000)  # as far as a check looks at an ESP32 image
META_PAIR = ("headers/0000/meta-data", b"{}")
A = member("a.txt", b"hello\n")

BUILD: dict[str, Callable[[], bytes]] = {
    # the outer tar and its version
    "1": lambda: b"garbage" * 200,
    "2a": edited(lambda m: m[:2]),
    "2b": edited(lambda m: m[:3]),
    "2c": cut(5000),
    "2d": cut(-1024),
    "3a": edited(lambda m: [m[1], m[0], *m[2:]]),
    "3b": edited(lambda m: [("versionX", m[0][1]), *m[1:]]),
    "4": made(version=b'{"format":"mender"'),
    "5": made(version=VERSION | {"format": "other"}),
    "6a": made(version=VERSION | {"version": 1}),
    "6b": made(version=VERSION | {"version": 2}),
    "6c": made(version=VERSION | {"version": 4}),
    "7": made(version=VERSION | {"more": 1}),
    "8": edited(lambda m: [m[0], m[2], m[1], m[3]]),
    # the manifest
    "9a": listing(lambda m: [m[0][1:], *m[1:]]),
    "9b": replaced(0, "data/0000/a.txt", ""),
    "9c": replaced(0, "  ", " "),
    "9d": replaced(0, "  ", "   "),
    "9e": listing(lambda m: ["".join(m).replace("\n", " ") + "\n"]),
    "9f": replaced(2, "\n", ""),
    "9g": listing(lambda m: ["\n", *m]),
    "9h": listing(lambda m: [m[0].replace(SUM, SUM.upper()), *m[1:]]),
    "10a": made(files={"n" * 101: b"x"}),
    "10b": made(files={"n" * 256: b"x"}),
    "10c": made(files={"n" * 257: b"x"}),
    "11": listing(lambda m: [m[0], *m]),
    "12a": listing(lambda m: m[:2]),
    "12b": listing(lambda m: [*m[:2], f"{SUM}  version\n"]),
    "13": listing(lambda m: [m[0], m[2]]),
    "14": listing(lambda m: [m[0], f"{SUM}  header.tar\n", m[2]]),
    "44a": replaced(0, "data/0000/a.txt", "data/a.txt"),
    "44b": replaced(0, "data/0000/a.txt", "data/0000/b/a.txt"),
    "44c": replaced(0, "data/0000/", "data/000/"),
    "44d": replaced(0, "data/0000/", "data/0001/"),
    "manifest-1": listing(lambda m: [*m, f"{SUM}  other\n"]),
    "manifest-2": listing(lambda m: [*m, f"{SUM}  data/0000/..\n"]),
    "manifest-3": listing(lambda m: [*m, *(f"{SUM}  data/0000/{i}\n" for i in range(210))]),
    # the signature
    "15": made(),
    "16a": signed(lambda s: b"!" + s[1:]),
    "16b": signed(lambda s: base64.b64encode(base64.b64decode(s)[1:])),
    "16c": signed(lambda s: b""),
    "16d": signed(key="theirs"),
    "16e": signed(lambda s: outer(files={}, key=key_pair("ours")[0])["manifest.sig"]),
    "16f": signed(),
    "16g": signed(key="theirs"),
    # the outer members
    "17a": augmented,
    "17b": edited(lambda m: [*m[:2], ("manifest-augment", b""), *m[2:]]),
    "17c": edited(lambda m: [*m[:3], ("header-augment.tar", tar()), m[3]]),
    "18a": edited(lambda m: [*m[:2], m[3], m[2]]),
    "18b": edited(lambda m: [*m[:2], ("other", b""), *m[2:]]),
    "18c": extra("other"),
    "18d": edited(lambda m: [*m[:3], *m[2:]]),
    "18e": edited(lambda m: [*m[:3], *m[2:]], key=key_pair("ours")[0]),
    "18f": edited(lambda m: [("./" + name, data) for name, data in m]),
    "18g": edited(lambda m: [("/" + name, data) for name, data in m]),
    "38a": edited(lambda m: [*m[:3], ("data/0000.bin", m[3][1])]),
    "38b": edited(lambda m: [*m[:3], ("data/000.tar", m[3][1])]),
    "42a": extra("data/0001.tar", tar()),
    "42b": edited(lambda m: [*m, m[3]]),
    "45a": lambda: made()() + b"x" * 512,
    "45b": lambda: made()() + bytes(9216),
    "48a": made(suffix=".gz"),
    "48b": made(suffix=".gz", data_suffix=""),
    "48c": made(suffix="", data_suffix=".gz"),
    "48d": made(suffix=".xz"),
    "48e": made(data_suffix=".xz"),
    "48f": made(suffix=".zst"),
    "48g": made(data_suffix=".zst"),
    "48h": edited(lambda m: [*m[:3], ("data/0000.tar.bz2", m[3][1])]),
    "48i": edited(lambda m: [*m[:3], ("data/0000.tar.gz", m[3][1])]),
    # the header
    "19": in_header(TYPE_PAIR, INFO_PAIR),
    "20a": made(info=b'{"payloads":'),
    "20b": info(more=1),
    "20c": made(info=b"[]"),
    "20d": made(info=b'{"payloads":[],' + INFO_PAIR[1][1:]),
    "21a": info(payloads=None),
    "21b": info(payloads=[]),
    "21c": info(payloads=[{"type": "thing"}, {"type": "thing"}]),
    "22": made(info=INFO | {"payloads": [{"type": ""}]}, type_info=TYPE_INFO | {"type": ""}),
    "23": info(payloads=[{"type": 1}]),
    "24a": info(artifact_provides=None),
    "24b": provides(artifact_group="g"),
    "24c": provides(artifact_name=""),
    "25a": info(artifact_depends=None),
    "25b": depends(artifact_name=["v1"]),
    "25c": depends(device_type=[]),
    "26a": provides(artifact_name="v2", artifact_group=["g"]),
    "26b": depends(device_type=["esp32"], artifact_group="g"),
    "26c": depends(device_type="esp32"),
    "26d": depends(device_type=["esp32"], artifact_name=[1]),
    "27a": provides(artifact_name="n" * 256),
    "27b": provides(artifact_name="n" * 257),
    "27c": provides(artifact_name="a\nb"),
    "27d": depends(device_type=["esp32", "n" * 257]),
    "28a": in_header(INFO_PAIR),
    "28b": in_header(INFO_PAIR, TYPE_PAIR, TYPE_PAIR),
    "28c": in_header(INFO_PAIR, TYPE_PAIR, ("headers/0001/type-info", TYPE_PAIR[1])),
    "28d": in_header(INFO_PAIR, META_PAIR, TYPE_PAIR),
    "28e": in_header(INFO_PAIR, TYPE_PAIR, META_PAIR, META_PAIR),
    "29a": made(type_info=b"{"),
    "29b": made(type_info={"artifact_provides": {}}),
    "29c": detail(more=1),
    "30a": detail(type="other"),
    "30b": detail(type=""),
    "30c": made(
        info=INFO | {"payloads": [{"type": "rootfs-image"}]},
        type_info={"type": ""},
        files={"fw": IMAGE},
    ),
    "30d": detail(type=None),
    "30e": made(**EMPTY | {"type_info": {"type": "thing"}}),
    "31": detail(artifact_provides={"a": 1}),
    "32": detail(artifact_depends={"a": ["x", "y"]}),
    "33a": detail(clears_artifact_provides=["a", 1]),
    "33b": detail(clears_artifact_provides="a"),
    "34a": made(meta=b"text"),
    "34b": made(meta=b"[1]"),
    "34c": made(meta=b""),
    "36a": made(scripts=["ArtifactSleep_Enter_00"]),
    "36b": made(scripts=["ArtifactInstall_Enter_0"]),
    "36c": made(scripts=["../ArtifactInstall_Enter_00"]),
    "36d": made(scripts=[SCRIPT]),
    "36e": made(scripts=[SCRIPT, SCRIPT + "_why"]),
    "36f": in_header(INFO_PAIR, TYPE_PAIR, (f"scripts/{SCRIPT}", b"")),
    "37": in_header(INFO_PAIR, TYPE_PAIR, ("other", b"")),
    # the payload, and whom it is for
    "35a": made(**EMPTY, meta={"a": 1}),
    "35b": made(**EMPTY | {"files": FILES}),
    "35c": made(**EMPTY),
    "35d": edited(lambda m: m[:3], **EMPTY),
    "35e": made(files={}),
    "39": made(data=[("a.txt", b"hello\n"), ("b.txt", b"")]),
    "40": made(data=[("a.txt", b"hellO\n")]),
    "41": made(files=FILES | {"b.txt": b"x"}, data=FILES.items()),
    "43a": made(files={"a b": b"x"}),
    "43b": made(files={"a:b": b"x"}),
    "43c": made(files={"ä": b"x"}),
    "46a": depends(device_type=["esp8266"]),
    "46b": depends(device_type=["ESP32"]),
    "46c": depends(device_type=["esp32"], artifact_name=["v0", "v1"]),
    "46d": depends(device_type=["esp32"], artifact_name=["v0", "v1"]),
    "46e": depends(device_type=["esp32"], artifact_group=["beta"]),
    "46f": detail(artifact_depends={"rootfs-image.checksum": "0"}),
    "46g": detail(artifact_depends={"a": "1", "b": "2"}),
    "46h": detail(artifact_depends={"a": "1", "b": ["2", "3"]}),
    "47": made(info=INFO | {"payloads": [{"type": "other"}]}, type_info={"type": "other"}),
    "49": made(
        files={"a.bin": bytes(100_000)}, data=[("a.bin", bytes(99_999) + b"x")], suffix=".gz"
    ),
    "provides-1": made(
        info=INFO | {"artifact_provides": {"artifact_name": "v2", "artifact_group": "g"}},
        type_info=TYPE_INFO | {"clears_artifact_provides": ["rootfs-image.*", "*"]},
    ),
    # tar itself
    "tar-1": made(data=[pax({"path": "a.txt", "uid": "9999999"}), member("cut", b"hello\n")]),
    "tar-2": made(data=[pax({"comment": "x"}, b"g"), A]),
    "tar-3": made(data=[pax({"path": "a.txt"}, b"g"), A]),
    "tar-4": made(data=[A, pax({"path": "b.txt"})]),
    "tar-5": made(data=[member("x", b"99 path=a.txt\n", b"x"), A]),
    "tar-6": made(data=[member("././@LongLink", b"a.txt\0", b"L"), member("cut", b"hello\n")]),
    "tar-7": with_size_field(b"\x80" + bytes(10) + b"\x06"),
    "tar-8": with_size_field(b"0000000000x\0"),
    "tar-9": bad_checksum,
    "tar-10": made(data=[("/a.txt", b"hello\n")]),
    "tar-11": made(data=[("../a.txt", b"hello\n")]),
    "tar-12": made(data=[A, member("b.txt", b"", b"2")]),
    "tar-13": made(data=[member("data", b"", b"5"), A]),
    "tar-14": made(data=[A, A]),
    "tar-15": made(data=[bytes(512), A]),
    "tar-16": made(data=[A, END, A]),
}
# What else such a board says of itself: fields of check_cmd.Conditions.
BOARDS: dict[str, Mapping] = {
    "15": KEYS,
    "16a": KEYS,
    "16b": KEYS,
    "16c": KEYS,
    "16d": KEYS,
    "16e": KEYS,
    "16f": {"keys": [key_pair("theirs")[1], key_pair("ours")[1]]},
    "32": {"provides": {"a": "y"}},
    "36a": {"ignore_scripts": True},
    "36b": {"ignore_scripts": True},
    "36c": {"ignore_scripts": True},
    "36e": {"ignore_scripts": True},
    "36f": {"ignore_scripts": True},
    "46c": {"provides": {"artifact_name": "v9"}},
    "46d": {"provides": {"artifact_name": "v1"}},
    "46g": {"provides": {"a": "1", "b": "3"}},
    "46h": {"provides": {"a": "1", "b": "3"}},
}


def _rows() -> list[Row]:
    lines = [line for line in VERDICTS.read_text("utf-8").splitlines() if line and line[0] != "#"]
    found = []
    for head, reason in zip(lines[::2], lines[1::2], strict=True):
        number, real, what = head.split(maxsplit=2)
        verdicts = {"read": real[0], "validate": real[-1]}
        said = None if reason.strip() == "-" else reason.strip()
        board = BOARDS.get(number, {})
        found.append(Row(number, what, BUILD[number], said, verdicts, board))
    assert sorted(row.number for row in found) == sorted(BUILD)
    return found


ROWS = _rows()
