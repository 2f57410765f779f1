"""The stand-ins for MicroPython's own modules behave as those do where the reader relies on it."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import ast
import gzip
import random
import subprocess

import board

# isort: split
import deflate_trace

from instar_tools.paths import micropython

TEXT = (board.VECTORS / "artifact" / "text.gz").read_bytes()
SMALL = gzip.compress(b"hello hello hello hello", mtime=0)
STORED = gzip.compress(bytes(range(256)) * 3, 0, mtime=0)
HEADER = 10  # bytes of a gzip header without options


def with_flags(flags: int, extra: bytes = b"") -> bytes:
    return SMALL[:3] + bytes([flags]) + SMALL[4:HEADER] + extra + SMALL[HEADER:]


def streams() -> dict[str, bytes]:
    found = {
        "text": TEXT,
        "text and more": TEXT + b"more",
        "empty": gzip.compress(b""),
        "two members": SMALL + SMALL,
        "no gzip": b"no gzip at all",
        "nothing": b"",
        "other method": SMALL[:2] + b"\x07" + SMALL[3:],
        "length": SMALL[:-1] + b"x",
        "extra": with_flags(4, b"\2\0ab"),
        "name": with_flags(8, b"name\0"),
        "comment": with_flags(16, b"comment\0"),
        "header sum": with_flags(2, b"zz"),
        "text flag": with_flags(1),
        "block type": SMALL[:HEADER] + b"\x07" + SMALL[HEADER + 1 :],
        "far back": gzip.compress(random.Random(1).randbytes(9000) * 2),
    }
    for flag in (32, 64, 128):
        found[f"reserved flag {flag}"] = with_flags(flag)
    for length in (1, 511, 512, 513, 1024):
        found[f"{length} bytes"] = gzip.compress(bytes(length))
        found[f"{length} bytes, bad sum"] = damaged(gzip.compress(bytes(length)), -8)
    for name, data in (("small", SMALL), ("stored", STORED), ("text", TEXT[:80])):
        found.update({f"{name} to {end}": data[:end] for end in range(min(len(data), 80))})
    return found


def damaged(data: bytes, at: int) -> bytes:
    changed = bytearray(data)
    changed[at] ^= 1
    return bytes(changed)


def test_stand_ins_do_what_micropython_does(tmp_path):
    found = streams()
    path = tmp_path / "streams"
    path.write_text("".join(data.hex() + "\n" for data in found.values()))
    script = board.ROOT / "tests" / "fuzz" / "deflate_trace.py"
    done = subprocess.run(
        [micropython(), "-X", "heapsize=16M", script, path],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    ring, *lines = map(ast.literal_eval, done.stdout.splitlines())
    assert ring == deflate_trace.ring_trace()
    assert len(lines) == len(found)
    for (name, data), expected in zip(found.items(), lines, strict=True):
        assert deflate_trace.traces(data) == expected, name
