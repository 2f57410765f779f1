# Text from strangers, in tars and in JSON, is UTF-8 or it is refused. MicroPython's own decoders
# take more, and leave surrogates as JSON escapes them.
# SPDX-License-Identifier: MIT
import json

from artifact_build import END, INFO, artifact, member, rejection

from instar.artifact.reader import Reader
from instar.artifact.strictjson import parse
from instar.artifact.tar import Tar
from instar.artifact.utf8 import decode

GOOD = ("", "plain", "é", "€", "\U0001f600", "\x00\x7f\x80\u07ff\u0800\uffff\U0010ffff")
BAD = (
    b"\x80",
    b"a\xc3",
    b"\xff",
    b"\xc0\x80",  # longer than need be, from here on
    b"\xc1\xbf",
    b"\xe0\x80\xaf",
    b"\xf0\x80\x80\xaf",
    b"\xed\xa0\x80",  # surrogates
    b"\xed\xbf\xbf",
    b"ok \xed\xa0\xbd\xed\xb8\x80 ok",
    b"\xf4\x90\x80\x80",  # above U+10FFFF
    b"\xf5\x80\x80\x80",
)


def test_decode():
    for text in GOOD:
        assert decode(text.encode()) == text
    for raw in BAD:
        try:
            decode(raw)
        except UnicodeError:
            continue
        raise AssertionError(raw)


def test_json_is_utf8():
    for raw in BAD:
        assert (
            rejection(parse, b'"' + raw + b'"', "x")
            == "x: expected JSON in UTF-8, got other bytes"
        )


def test_pairs_of_surrogates_are_one_character():
    rows = (
        (b'"\\ud83d\\ude00"', "\U0001f600"),
        (b'"a\\uD83D\\uDE00b\\u00e9"', "a\U0001f600b\u00e9"),
        (b'"\\ud800\\udc00\\udbff\\udfff"', "\U00010000\U0010ffff"),
        ('"\U0001dc00\\u0041"'.encode(), "\U0001dc00A"),
        (b'"\\\\ud83d"', "\\ud83d"),
        (b'{"\\ud83d\\ude00":"\\ud83d\\ude00"}', {"\U0001f600": "\U0001f600"}),
    )
    for raw, value in rows:
        assert parse(raw, "x") == value, raw
        if isinstance(value, str):
            assert decode(value.encode()) == value, raw


def test_a_surrogate_alone_is_refused():
    for raw in (
        b'"\\ud83d"',
        b'"\\ude00"',
        b'"\\ud83dx"',
        b'"\\ud83d\\ud83d\\ude00"',
        b'"\\ude00\\ud83d"',
        b'"\\ud83d\\u0041"',
    ):
        assert rejection(parse, raw, "x") == "x: expected surrogates in pairs, got one alone", raw


def test_an_artifacts_name_comes_as_it_was_meant():
    headers = []
    info = json.dumps(dict(INFO, artifact_provides={"artifact_name": "NAME"})).encode()
    raw = artifact(info=info.replace(b"NAME", b"\\ud83d\\ude00 v2"))
    reader = Reader(headers.append, None)
    reader.feed(memoryview(raw[:-3072]))
    reader.close()
    assert headers[0].artifact_name.encode() == b"\xf0\x9f\x98\x80 v2"


def test_names_in_a_tar_are_utf8():
    class Names(list):
        def begin(self, name, size, kind):
            self.append(name)

        def end(self):
            pass

    def read(data):
        names = Names()
        Tar(names).feed(memoryview(data + END))
        return names

    assert list(read(member("é€\U0001f600".encode()))) == ["é€\U0001f600"]
    for raw in BAD:
        assert "in UTF-8" in rejection(read, member(raw)), raw
        record = b" path=" + raw + b"\n"
        record = b"%d" % (len(record) + 2) + record
        assert "in UTF-8" in rejection(read, member("x", record, "x") + member("y")), raw
        assert "in UTF-8" in rejection(read, member("x", raw + b"\0", "L") + member("y")), raw
