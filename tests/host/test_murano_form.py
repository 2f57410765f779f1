"""The board's form encoding, against the standard library's as an independent judge."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import importlib
import json
import sys
from decimal import Decimal
from types import ModuleType
from urllib.parse import parse_qsl, unquote_to_bytes, urlencode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from instar_tools.paths import LIB

FOLDERS = {
    "instar": LIB / "instar",
    "instar.servers": LIB / "instar" / "servers",
    "instar.servers.murano": LIB / "instar" / "servers" / "murano",
}
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
PAIRS = st.lists(st.tuples(TEXT.filter(bool), TEXT), min_size=1)


@pytest.fixture(scope="module")
def form():
    """The module alone: the packages that it lies in need MicroPython."""
    before = dict(sys.modules)
    micropython = ModuleType("micropython")
    micropython.const = lambda value: value
    sys.modules["micropython"] = micropython
    for name, folder in FOLDERS.items():
        package = ModuleType(name)
        package.__path__ = [str(folder)]
        sys.modules[name] = package
    try:
        yield importlib.import_module("instar.servers.murano.form")
    finally:
        for name in set(sys.modules) - set(before):
            if name == "micropython" or name.partition(".")[0] == "instar":
                del sys.modules[name]


@given(pairs=PAIRS)
def test_what_is_written_is_read_by_both(form, pairs):
    body = form.encode(pairs)
    assert body.isascii() and not set(body) & set(" +\"'<>#?\r\n\0")
    assert parse_qsl(body, keep_blank_values=True, strict_parsing=True) == pairs
    assert form.decode(body.encode()) == pairs


@given(pairs=PAIRS)
def test_what_others_write_is_read(form, pairs):
    assert form.decode(urlencode(pairs).encode()) == pairs


@given(body=st.one_of(st.binary(), st.text("ab&=+%2Cfz\u00e4\x00").map(str.encode)))
def test_any_body_is_read_as_by_the_judge(form, body):
    # Latin-1 on both sides for what is not UTF-8 as a whole, which the judge reads part by part.
    def same(part):
        return part.decode("latin-1")

    expected = []
    for key, value in parse_qsl(same(body), keep_blank_values=True, encoding="latin-1"):
        expected.append(tuple(read(part.encode("latin-1")) for part in (key, value)))
    assert form.decode(body) == expected


def read(raw):
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


@given(data=st.binary())
def test_bytes_come_through(form, data):
    assert unquote_to_bytes(form.quote(data)) == data
    (pair,) = form.decode(form.encode([("k", data)]).encode())
    assert pair == ("k", read(data))


@given(value=st.floats(allow_nan=False, allow_infinity=False))
@example(5.960464477539063e-08)
def test_floats_read_back_and_hardly_any_text_is_shorter(form, value):
    text = form.text(value)
    assert float(text) == value
    # What is rounded to so many digits may need one more than what is chosen among all of them.
    assert len(significant(text)) <= len(significant(repr(value))) + 1


def significant(text):
    digits = text.partition("e")[0].lstrip("-").replace(".", "")
    return digits.strip("0")


@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | TEXT,
        lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
        max_leaves=8,
    ).filter(lambda value: isinstance(value, (dict, list)))
)
def test_json_reads_back(form, value):
    assert json.loads(form.text(value)) == value


@given(time_us=st.integers(0, 1 << 60))
def test_stamps_are_exact(form, time_us):
    stamp = form.stamp(time_us)
    assert Decimal(stamp) * 1000000 == time_us
    assert "." not in stamp or stamp[-1] not in ".0"


@given(
    values=st.lists(st.tuples(st.sampled_from(["a", "b & c", "ä"]), st.integers(0, 1 << 52), TEXT))
)
def test_records_keep_the_order_of_each_alias(form, values):
    body = form.joined([form.entry(name, value, time) for name, time, value in values])
    found: dict[str, list] = {}
    alias = ""
    for key, value in parse_qsl(body, keep_blank_values=True):
        if key == "alias":
            assert value not in found
            alias = value
            found[alias] = []
        else:
            found[alias].append((int(Decimal(key) * 1000000), value))
    assert found == {
        name: [(time, value) for other, time, value in values if other == name]
        for name, _, _ in values
    }
