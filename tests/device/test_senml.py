import json

from instar.errors import Rejected
from instar.senml import pack, record

NOW = 1795305600123456


def refusal(*args):
    try:
        made = record(*args)
    except Rejected as error:
        return str(error)
    raise AssertionError("accepted: " + made)


def test_records_are_these_texts():
    rows = (
        (
            ("temperature", 21.5, "Cel", NOW),
            '"n":"temperature","u":"Cel","v":21.5,"t":1795305600.123456',
        ),
        (("a", 7), '"n":"a","v":7'),
        (("0:-./_Z", -1, "%RH"), '"n":"0:-./_Z","u":"%RH","v":-1'),
        (("on", True), '"n":"on","vb":true'),
        (("on", False), '"n":"on","vb":false'),
        (("s", 'a"b\\\n\x01é'), '"n":"s","vs":"a\\"b\\\\\\n\\u0001é"'),
        (("s", ""), '"n":"s","vs":""'),
        (("d", b"\xfb\xff\xfe\x00"), '"n":"d","vd":"-__-AA"'),
        (("d", bytearray(b"fo")), '"n":"d","vd":"Zm8"'),
        (("d", b""), '"n":"d","vd":""'),
        (("u", 1, 'a"'), '"n":"u","u":"a\\"","v":1'),
    )
    for args, text in rows:
        assert record(*args) == "{" + text + "}", record(*args)
        json.loads(record(*args))


def test_a_time_keeps_its_microseconds():
    rows = (
        (NOW, "1795305600.123456"),
        (1795305600000000, "1795305600"),
        (1795305600000001, "1795305600.000001"),
        (1795305600100000, "1795305600.1"),
        (1795305610000000, "1795305610"),
        (4102444800999999, "4102444800.999999"),
        ((1 << 28) * 1000000, "268435456"),
    )
    for time_us, text in rows:
        assert record("a", 1, "", time_us) == '{"n":"a","v":1,"t":%s}' % text


def test_a_time_that_would_be_taken_as_relative_is_refused():
    for time_us in (0, 1, -NOW, (1 << 28) * 1000000 - 1, True, 1.5e15, "1795305600"):
        assert "microseconds since 1970, after July 1978" in refusal("a", 1, "", time_us)


def test_every_number_is_json():
    values = [0, -0.0, 1 << 63, (1 << 64) - 1, -1 << 63, 0.1, 23.1, 1e16, 1.5e300, 5e-324, 1e-7]
    values += [sign * 1.7 * 10**power for sign in (1, -1) for power in range(-30, 31)]
    for value in values:
        text = record("a", value)
        assert json.loads(text)["v"] == value, text
        digits = text[len('{"n":"a","v":') : -1]
        assert not digits.strip("0123456789.e+-") and digits.lstrip("-")[0].isdigit(), digits


def test_values_that_senml_does_not_have_are_refused():
    huge = 1 << 64
    for value in (float("inf"), -float("inf"), float("nan"), None, [1], {}, huge, -1 - (1 << 63)):
        assert "expected an int of 64 bits, a finite float" in refusal("a", value)
    for value in ("x" * 514, "é" * 257, b"x" * 514, bytearray(514)):
        assert "SenML: a: expected at most 512 bytes, got 514" == refusal("a", value)
    assert len(record("a", "x" * 512)) > 512
    assert "secret" not in refusal("a", "secret" * 100)


def test_names_and_units_of_rfc_8428():
    for name in ("", "-a", ":a", "/a", "_a", ".a", "a b", "aé", "é", 'a"', "a\n", "a,b", "a\x00"):
        assert "in a name, got" in refusal(name, 1) or "1 to 128" in refusal(name, 1), name
    for name in ("a" * 129, None, 7, b"a"):
        assert "expected a name of 1 to 128 characters" in refusal(name, 1)
    record("a" * 128, 1)
    for unit in ("x" * 33, None, 7):
        assert "expected a unit of at most 32 characters" in refusal("a", 1, unit)


def test_a_pack_is_an_array_of_the_texts():
    assert pack([]) == b"[]"
    assert pack([record("a", 1), record("b", "é").encode()]) == (
        '[{"n":"a","v":1},{"n":"b","vs":"é"}]'.encode()
    )
