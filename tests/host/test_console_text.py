"""What a simulated board's process writes, turned into what a serial port carries."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from instar_tools.simulated.console_text import ConsoleText
from instar_tools.simulated.safe_point import loop_in_file

BANNER = b'MicroPython v1 on 2026; board\r\nType "help()" for more information.\r\n>>> '
RAW = b"raw REPL; CTRL-B to exit\r\n>"


def binary(data: bytes) -> bytes:
    return b"\x00\xf5b" + len(data).to_bytes(4, "little") + data


def fed(data: bytes, cuts=(), raw=False) -> tuple[bytes, bytes]:
    console = ConsoleText(raw)
    edges = [0, *sorted(cuts), len(data)]
    parts = [console.feed(data[a:b]) for a, b in itertools.pairwise(edges)]
    return b"".join(text for text, _ in parts), b"".join(sent for _, sent in parts)


def test_lines_end_as_on_a_board_and_bytes_stay_bytes():
    stream = b"one\ntwo\r\n" + binary(b"\n\x00\xf5p\r\n\x04") + b"three\n"
    text, sent = fed(stream)
    assert text == b"one\ntwo\r\nthree\n"
    assert sent == b"one\r\ntwo\r\n\n\x00\xf5p\r\n\x04three\r\n"


@given(st.lists(st.integers(0, 60)), st.booleans())
def test_it_does_not_matter_where_the_stream_is_cut(cuts, raw):
    stream = (
        b"a\r\nb\n" + binary(b"\x00\xf5\n") + b"\x00c\n" + b"\x00\xf5p" + BANNER + b"\r\n" + RAW
    )
    cuts = [min(cut, len(stream)) for cut in cuts]
    assert fed(stream, cuts, raw) == fed(stream, (), raw)


def test_a_soft_reset_out_of_the_raw_repl_shows_no_friendly_banner():
    stream = b"boot.py\n\x00\xf5p" + BANNER + b"\r\n" + RAW
    assert fed(stream, raw=True)[1] == b"boot.py\r\n" + RAW
    assert fed(stream, raw=False)[1] == b"boot.py\r\n" + BANNER + b"\r\n" + RAW


def test_the_mode_of_the_repl_is_seen_in_what_it_says():
    console = ConsoleText()
    modes = []
    for part in (BANNER, b"\r\n" + RAW[:9], RAW[9:], b"OK\x04\x04>", b"\r\n" + BANNER):
        console.feed(part)
        modes.append(console.in_raw)
    assert modes == [False, False, True, True, False]


def test_a_file_that_is_no_program_has_no_bytecode_loop(tmp_path):
    for number, data in enumerate((b"", b"\x7fELF" + bytes(70), b"#!/bin/sh\n" * 20)):
        path = tmp_path / str(number)
        path.write_bytes(data)
        assert not loop_in_file(str(path))
