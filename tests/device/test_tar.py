from artifact_build import (
    CHUNKINGS,
    END,
    chunks,
    member,
    padded,
    rejection,
    tar_header,
    with_checksum,
)
from artifact_build import tar as archive

from instar.artifact.tar import DIRECTORY, SYMBOLIC_LINK, Tar


class Log:
    """What a handler is told, with the data of each member put together."""

    def __init__(self):
        self.members = []

    def begin(self, name, size, kind):
        self.members.append([name, size, kind, b"", False])

    def data(self, view):
        assert len(view)
        self.members[-1][3] += bytes(view)

    def end(self):
        self.members[-1][4] = True


def parse(data, size=0):
    log = Log()
    tar = Tar(log)
    for view in chunks(data, size):
        tar.feed(view)
    tar.finish()
    return log.members


def refused(data):
    return rejection(parse, data)


def pax(**records):
    body = b""
    for key, value in records.items():
        rest = f" {key}={value}\n".encode()
        length = len(rest) + 1
        while length != len(str(length)) + len(rest):
            length += 1
        body += str(length).encode() + rest
    return body


def test_every_chunking_gives_the_same_members():
    data = archive(("a", b"x" * 513), ("b", b""), ("c/d", b"y" * 512), ("e", b"z"))
    expected = parse(data)
    assert [row[:3] for row in expected] == [
        ["a", 513, "0"],
        ["b", 0, "0"],
        ["c/d", 512, "0"],
        ["e", 1, "0"],
    ]
    assert expected[0][3] == b"x" * 513 and all(row[4] for row in expected)
    for size in CHUNKINGS:
        assert parse(data, size) == expected, size


def test_an_empty_archive_is_two_zero_blocks():
    assert parse(END) == []
    assert parse(END + bytes(512 * 18)) == []
    assert "mid-archive" in refused(END[:-1])
    assert "mid-archive" in refused(b"")


def test_every_truncation_is_refused():
    data = archive(("a", b"hello"), ("b", b""))
    for length in range(len(data)):
        assert refused(data[:length]), length
    assert refused(data) is None


def test_only_zeros_may_follow_the_end_and_not_for_ever():
    assert "nothing but zeros" in refused(END + b"\0\0x")
    assert "nothing but zeros" in refused(END + END + member("late"))
    assert "two zero blocks" in refused(bytes(512) + member("late") + END)
    assert parse(END + bytes(65536)) == []
    assert "at most 65536 bytes after" in refused(END + bytes(65537))


def test_a_damaged_header_is_refused():
    good = bytearray(archive(("name", b"data")))
    for at in range(512):
        bad = bytearray(good)
        bad[at] ^= 0x41
        # A flip inside the checksum's own blanks is the only one that changes nothing.
        assert refused(bad) or parse(bad) == parse(good), at
    bad = bytearray(good)
    bad[0] ^= 1
    assert "header checksum" in refused(bad)


def test_numbers_are_octal():
    def size(field):
        return refused(tar_header("a", 0, size_field=field) + END)

    assert "a base-256 one" in size(b"\x80" + bytes(10) + b"\x05")
    assert "an octal size" in size(b"0000000008\0\0")
    assert "an octal size" in size(b"-0000000001\0")
    assert "an octal size" in size(b"\0" * 12)
    assert "an octal size" in size(b"00 00000000\0")
    assert parse(tar_header("a", 0, size_field=b"         5 \0") + padded(b"12345") + END)


def test_the_magic_is_ustar():
    assert "a ustar header" in refused(member("a", magic=bytes(8)) + END)
    assert "a ustar header" in refused(member("a", magic=b"ustar\x0001") + END)
    assert parse(member("a", magic=b"ustar  \0") + END)


def test_the_prefix_belongs_to_the_name_but_not_in_gnu_headers():
    assert parse(member("n", prefix=b"p/q") + END)[0][0] == "p/q/n"
    assert parse(member("n", magic=b"ustar  \0", prefix=b"p") + END)[0][0] == "n"
    assert parse(member("n" * 100) + END)[0][0] == "n" * 100
    assert "1 to 256 bytes" in refused(member("") + END)
    assert "in UTF-8" in refused(member(b"\xff") + END)


def test_pax_path_and_size_hold_for_the_next_member():
    long = "l" * 255
    data = member("PaxHeaders/x", pax(path=long, size=3, mtime="1.5"), "x")
    data += tar_header("cut", 0) + padded(b"abc") + member("next") + END
    for size in CHUNKINGS:
        assert parse(data, size) == [
            [long, 3, "0", b"abc", True],
            ["next", 0, "0", b"", True],
        ]


def test_pax_globals_are_skipped_unless_they_rename_everything():
    assert parse(member("g", pax(comment="hi"), "g") + member("a") + END)[0][0] == "a"
    for records in ({"path": "b"}, {"size": "1"}):
        assert "for all members" in refused(member("g", pax(**records), "g") + member("a") + END)


def test_malformed_pax_records_are_refused():
    for body in (b"x", b"9 path=a", b"12 path=ab\n", b"11 path=abcd\n", b"6 abc\n", b"3 \n"):
        assert refused(member("x", body, "x") + member("a") + END), body
    assert "a decimal number" in refused(member("x", b"-1 a=b\n", "x") + member("a") + END)
    assert "a decimal number" in refused(member("x", pax(size="1e3"), "x") + member("a") + END)
    assert "a pax path" in refused(member("x", pax(path=""), "x") + member("a") + END)
    assert "1 to 256 bytes" in refused(member("x", pax(path="p" * 257), "x") + member("a") + END)
    sparse = member("x", pax(**{"GNU.sparse.major": 1}), "x")
    assert "sparse" in refused(sparse + member("a") + END)


def test_an_extended_header_needs_a_member_and_has_a_limit():
    assert "after its extended header" in refused(member("x", pax(path="a"), "x") + END)
    assert "at most 4096 bytes" in refused(tar_header("x", 4097, "x") + END)
    for kind in "xgL":
        four = member("x", pax(comment="a") if kind != "L" else b"a", kind) * 4
        parse((four + member("a")) * 2 + END)
        text = refused(four + member("x", pax(comment="a"), kind) + member("a") + END)
        assert "at most 4 extended headers in a row" in text, text


def test_gnu_long_names():
    long = "dir/" + "n" * 200
    data = member("././@LongLink", long.encode() + b"\0", "L", magic=b"ustar  \0")
    data += member("dir/nnn", b"abc", magic=b"ustar  \0") + member("b") + END
    for size in CHUNKINGS:
        assert [row[0] for row in parse(data, size)] == [long, "b"]


def test_kinds_are_reported_and_those_without_data_have_none():
    found = parse(member("d/", kind="5") + member("l", kind="2") + member("f", kind="\0") + END)
    assert [row[2] for row in found] == [DIRECTORY, SYMBOLIC_LINK, "0"]
    for kind in "123456":
        assert "no data in 'm'" in refused(member("m", b"x", kind) + END), kind


def test_signed_checksums_of_old_tars_are_refused():
    block = bytearray(tar_header("n\xe9", 0))
    total = sum(block) - sum(block[148:156]) + 256
    block[148:156] = b"%06o\0 " % (total - 512)
    assert "header checksum" in refused(bytes(block) + END)
    assert refused(with_checksum(block) + END) is None


class Holding(Log):
    """Holds the tar at the end of each member, and so knows who was told what when."""

    def __init__(self):
        super().__init__()
        self.tar = Tar(self)

    def end(self):
        super().end()
        self.tar.hold()


def test_feed_says_how_much_it_took_and_stops_where_the_handler_holds():
    data = archive(("a", b"x" * 513), ("b", b""), ("c", b"z"))
    for size in CHUNKINGS:
        log = Holding()
        for view in chunks(data, size):
            while len(view):
                before = sum(row[4] for row in log.members)
                taken = log.tar.feed(view)
                held = sum(row[4] for row in log.members) - before
                assert held in (0, 1) and (held or taken == len(view)), size
                view = view[taken:]
        log.tar.finish()
        assert log.members == parse(data), size
