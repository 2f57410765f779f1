from instar.crypto import der, encode, pem
from instar.errors import Rejected


def refusal(data, read):
    """The message with which `read(Reader(data))` refuses."""
    try:
        value = read(der.Reader(data, "thing"))
    except Rejected as error:
        return str(error)
    raise AssertionError(f"{bytes(data)} was read as {value}")


def integer(reader):
    return reader.integer()


def test_what_is_written_is_read_back():
    for value in (0, 1, 127, 128, 255, 256, 0x7FFF, 0x8000, 1 << 255, (1 << 256) - 1, 1 << 4095):
        reader = der.Reader(encode.integer(value))
        assert reader.integer() == value
        reader.end()
    for size in (0, 1, 127, 128, 255, 256, 5000):
        data = bytes(i & 0xFF for i in range(size))
        assert bytes(der.Reader(encode.octet_string(data)).octet_string()) == data
        assert bytes(der.Reader(encode.bit_string(data)).bit_string()) == data


def test_writer_gives_the_known_bytes():
    assert encode.integer(0) == b"\x02\x01\x00"
    assert encode.integer(128) == b"\x02\x02\x00\x80"
    assert (
        encode.sequence(encode.null(), encode.oid(b"\x2a\x03"))
        == b"\x30\x06\x05\x00\x06\x02\x2a\x03"
    )
    assert encode.bit_string(b"\xff") == b"\x03\x02\x00\xff"
    assert encode.context(1, encode.null()) == b"\xa1\x02\x05\x00"
    assert encode.octet_string(b"a" * 128)[:3] == b"\x04\x81\x80"
    assert encode.octet_string(b"a" * 256)[:4] == b"\x04\x82\x01\x00"


def test_elements_are_read_in_order_and_nested():
    reader = der.Reader(b"\x30\x08\x02\x01\x05\xa0\x03\x02\x01\x07\x05\x00")
    inner = reader.sequence()
    assert (inner.peek(), inner.integer(), inner.context(0).integer()) == (2, 5, 7)
    assert inner.peek() is None
    inner.end()
    reader.null()
    reader.end()


def test_integers_that_der_does_not_allow():
    assert "expected an INTEGER of 0 or more" in refusal(b"\x02\x01\x80", integer)
    assert "expected an INTEGER of 0 or more" in refusal(b"\x02\x00", integer)
    assert "leading zeros" in refusal(b"\x02\x02\x00\x7f", integer)


def test_lengths_that_der_does_not_allow():
    for data in (
        b"\x02\x80\x01\x00\x00",  # indefinite
        b"\x02\x83\x00\x00\x01\x01",  # three bytes of length
        b"\x02\x84\xff\xff\xff\xff\x01",
        b"\x02\xff" + b"\x01" * 200,
    ):
        assert "expected a definite length below 64 KiB" in refusal(data, integer)
    for data in (b"\x02\x81\x01\x01", b"\x02\x82\x00\x80" + b"\x01" * 128):
        assert "expected the shortest form of a length" in refusal(data, integer)
    assert "expected 65535 bytes of INTEGER" in refusal(b"\x02\x82\xff\xff\x01", integer)
    for data in (b"\x02", b"\x02\x81", b"\x02\x82\x01"):
        assert "expected a definite length" in refusal(data, integer)


def test_other_elements_and_trailing_bytes():
    assert refusal(b"\x04\x01\x00", integer) == (
        "thing: expected INTEGER at byte 0, got OCTET STRING"
    )
    assert refusal(b"", integer) == "thing: expected INTEGER at byte 0, got the end"
    assert refusal(b"\x1f\x01\x00", integer).endswith("got tag 0x1f")
    assert (
        refusal(b"\x00", lambda r: r.end()) == "thing: expected the end at byte 0, got 1 byte(s)"
    )
    assert "unused bits" in refusal(b"\x03\x02\x01\x80", lambda r: r.bit_string())
    assert "unused bits" in refusal(b"\x03\x00", lambda r: r.bit_string())
    assert "empty NULL" in refusal(b"\x05\x01\x00", lambda r: r.null())


def test_dotted_names():
    assert der.dotted(b"\x2a\x86\x48\xce\x3d\x03\x01\x07") == "1.2.840.10045.3.1.7"
    assert der.dotted(b"\x2b\x65\x70") == "1.3.101.112"
    assert der.dotted(b"\x88\x37\x03") == "2.999.3"
    assert der.dotted(b"") == ""
    assert der.dotted(b"\x86") == ""  # cut in a number


def test_bit_length():
    for bits in (0, 1, 2, 7, 8, 9, 31, 32, 33, 255, 256, 2048, 4096, 5000):
        assert der.bit_length((1 << bits) - 1) == bits
        assert der.bit_length(1 << bits) == bits + 1


def test_pem_has_lines_of_64_and_is_read_back():
    for size in (1, 47, 48, 49, 96, 1190):
        data = bytes(i * 7 & 0xFF for i in range(size))
        text = pem.to_pem("PUBLIC KEY", data)
        lines = text.split("\n")
        assert lines[0] == "-----BEGIN PUBLIC KEY-----"
        assert lines[-2:] == ["-----END PUBLIC KEY-----", ""]
        assert all(len(line) == 64 for line in lines[1:-3])
        assert 1 <= len(lines[-3]) <= 64
        assert pem.from_pem(text.encode()) == [("PUBLIC KEY", data)]


def test_pem_blocks_among_other_text():
    text = b"Bag Attributes\r\n-----BEGIN A-----\r\nAAEC\r\n-----END A-----\r\nx\r\n"
    text += b"-----BEGIN B B-----\nAw\n==\n-----END B B-----"
    assert pem.from_pem(text) == [("A", b"\0\1\2"), ("B B", b"\3")]


def test_damaged_pem():
    for text, expected in (
        (b"", "expected '-----BEGIN'"),
        (b"hello", "expected '-----BEGIN'"),
        (b"-----BEGIN ", "expected a label"),
        (b"-----BEGIN ----------END -----", "expected a label"),
        (b"-----BEGIN A\nAAEC\n-----END A-----", "expected a label"),
        (b"-----BEGIN " + b"A" * 5000, "expected a label"),
        (b"-----BEGIN \xff-----\nAAEC\n-----END \xff-----", "expected a label"),
        (b"-----BEGIN A-----\nAAEC\n", "expected '-----END A-----'"),
        (b"-----BEGIN A-----\nAAEC\n-----END B-----\n", "expected '-----END A-----'"),
        (b"-----BEGIN A-----\nDEK-Info: x\n\nAAEC\n-----END A-----", "got headers"),
        (b"-----BEGIN A-----\n-----END A-----", "expected base64"),
        (b"-----BEGIN A-----\nAA*EC\n-----END A-----", "expected base64"),
        (b"-----BEGIN A-----\nAAE\n-----END A-----", "expected base64"),
        (b"-----BEGIN A-----\nAB==\n-----END A-----", "expected base64"),
        (b"-----BEGIN A-----\nAA==AAEC\n-----END A-----", "expected base64"),
    ):
        try:
            got = pem.from_pem(text)
        except Rejected as error:
            assert expected in str(error), (text, error)
        else:
            raise AssertionError(f"{text} was read as {got}")
