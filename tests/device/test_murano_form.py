# The form encoding under MicroPython; tests/host/test_murano_form.py has the many cases.
from simchip import raises

from instar.errors import Rejected
from instar.servers.murano.conflicts import conflicts
from instar.servers.murano.form import decode, encode, entry, joined, quote, stamp, text

EVERY_BYTE = bytes(range(256))
PLAIN = b"-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def test_every_byte_is_quoted_and_comes_back():
    quoted = quote(EVERY_BYTE)
    for byte in EVERY_BYTE:
        assert quote(bytes([byte])) == (chr(byte) if byte in PLAIN else "%%%02X" % byte)
    assert quoted == "".join(quote(bytes([byte])) for byte in EVERY_BYTE)
    ((key, value),) = decode(("k=" + quoted).encode())
    assert key == "k" and bytes([ord(char) for char in value]) == EVERY_BYTE


def test_keys_and_values_come_back():
    pairs = [("a&b", "1=2&3"), ("ä ö", "+%41 ☃"), ("a&b", "\r\n\0"), ("url", "https://x/?a=b#c")]
    body = encode(pairs)
    assert body.startswith("a%26b=1%3D2%263&%C3%A4%20%C3%B6=%2B%2541%20%E2%98%83&a%26b=")
    assert decode(body.encode()) == pairs


def test_what_other_encoders_write():
    assert decode(b"a=b+c%20d&&e&f=&=g&h=i=j&k=%2b") == [
        ("a", "b c d"),
        ("e", ""),
        ("f", ""),
        ("", "g"),
        ("h", "i=j"),
        ("k", "+"),
    ]
    assert decode(b"a=%&b=%4&c=%zz&d=%+1&e=100%%41") == [
        ("a", "%"),
        ("b", "%4"),
        ("c", "%zz"),
        ("d", "% 1"),
        ("e", "100%A"),
    ]
    assert decode(b"") == []


def test_values():
    assert encode([("v", True), ("w", False), ("x", -7), ("y", 1 << 70)]) == (
        "v=true&w=false&x=-7&y=1180591620717411303424"
    )
    assert [text(one) for one in (0.1, 23.0, 69.9, 1e22, -2.5e-10)] == (
        ["0.1", "23", "69.9", "1e+22", "-2.5e-10"]
    )
    for value in (1 / 3, 1e300, 5e-324, 123456789.123456789):
        assert float(text(value)) == value
    assert text([1, {"a": None}]) == '[1,{"a":null}]'
    assert text({}) == "{}" and text(b"\xff") == b"\xff" and text("") == ""


def test_what_is_no_value():
    for value, got in (
        (None, "got NoneType"),
        (float("nan"), "got nan"),
        (float("-inf"), "got -inf"),
        ((1, 2), "got tuple"),
        ([float("nan")], "what JSON can hold"),
        ({"a": object()}, "what JSON can hold"),
    ):
        assert got in raises(Rejected, text, value)[0], value


def test_a_value_has_at_most_64_KiB_before_it_is_encoded():
    for good in (b"&" * 65536, "ä" * 32768, [1] * 30000):
        text(good)
    for bad, size in ((b"x" * 65537, 65537), ("ä" * 32768 + "x", 65537), ("☃" * 21846, 65538)):
        told = raises(Rejected, text, bad)[0]
        assert told == "value: expected at most 65536 bytes, got %d" % size


def test_aliases():
    for pairs in ([("", 1)], {"": 1}, [(b"a", 1)]):
        assert "expected a name" in raises(Rejected, encode, pairs)[0]
    assert "at least one value" in raises(Rejected, encode, {})[0]
    assert "expected a name" in raises(Rejected, entry, "", 1, 0)[0]


def test_stamps():
    for time_us, seconds in (
        (1551674686339000, "1551674686.339"),  # the document's
        (1551674686339876, "1551674686.339876"),
        (1506708552123456, "1506708552.123456"),
        (1506708550000000, "1506708550"),
        (1506708550000001, "1506708550.000001"),
        (1506708550100000, "1506708550.1"),
        (0, "0"),
        (4102444800999999, "4102444800.999999"),
    ):
        assert stamp(time_us) == seconds
    for bad in (-1, 1.5, None, "1506708550"):
        raises(Rejected, stamp, bad)


def test_the_documents_record():
    entries = [
        entry("temperature", 23, 1506708552123000),
        entry("state", "on", 1506708552000000),
        entry("temperature", 22, 1506708551000000).encode(),
        entry("state", "off", 1506708551000000),
        entry("state", "on", 1506708550123456),
    ]
    assert entries[0] == "alias=temperature&1506708552.123=23"
    assert joined(entries) == (
        "alias=temperature&1506708552.123=23&1506708551=22"
        "&alias=state&1506708552=on&1506708551=off&1506708550.123456=on"
    )
    assert entry("a&b", "c=d", 1) == "alias=a%26b&0.000001=c%3Dd"
    assert joined([]) == ""


ENTRIES = [entry("a", n, 1506708550000000 + n * 100000) for n in range(4)] + [
    entry("b ä", 0, 1506708550000000)
]


def test_conflicts_of_both_forms():
    expected = [("a", "1506708550.1"), ("a", "1506708550.3"), ("b ä", "1506708550")]
    for body in (
        b"a=1506708550.1&a=1506708550.3&b+%C3%A4=1506708550",
        b"a=1506708550.1,1506708550.3&b%20%c3%a4=1506708550",
        b"a=1506708550.3%2C1506708550.100000&b%20%C3%A4=1506708550.000\r\n",
        b"other=1506708550&b+%C3%A4=1506708550&a=1506708550.1,1506708550.3,7",
    ):
        assert conflicts(ENTRIES, body) == expected, body


def test_a_conflict_that_names_nothing_is_one_of_all():
    everything = [("a", "1506708550")] + [("a", "1506708550.%d" % n) for n in (1, 2, 3)]
    everything.append(("b ä", "1506708550"))
    for body in (b"", b"Conflict", b"<html>", b"c=1506708550", b"a=1506708551", b"\xff=\xff"):
        assert conflicts(ENTRIES, body) == everything, body
