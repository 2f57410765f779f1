from artifact_build import rejection

from instar.artifact.strictjson import parse, parse_object


def refused(text):
    return rejection(parse, text if isinstance(text, bytes) else text.encode(), "text")


def test_values():
    for text, value in (
        ("{}", {}),
        ("[]", []),
        (' \t\r\n{ "a" : [ 1 , -2.5e3 , "b" ] , "" : { } } \n', {"a": [1, -2500.0, "b"], "": {}}),
        ("null", None),
        ("[true,false,null]", [True, False, None]),
        ('"\\u00e9\\n\\"\\\\\\/"', 'é\n"\\/'),
        ('"é"', "é"),
        ("[0,-0,10,1e2,0.5]", [0, 0, 10, 100.0, 0.5]),
    ):
        assert parse(text.encode(), "text") == value, text


def test_what_is_not_json_is_refused():
    for text in (
        "",
        " ",
        "{",
        "[",
        '"',
        '"\\',
        '"\\u12',
        "[1",
        "[1,",
        '{"a"',
        '{"a":',
        "[1 2]",
        '{"a" 1}',
        '{"a":1,}',
        "[1,]",
        "[,1]",
        "[1,,2]",
        "{1:2}",
        "{a:1}",
        '{"a":1} x',
        "01",
        "-",
        "+1",
        ".5",
        "1.",
        "1e",
        "nul",
        "nulll",
        "True",
        "'a'",
        '"a\nb"',
        '"\\x"',
        '"\\u00g0"',
        "[]]",
        "}",
        "\0",
        "{}\0",
        '{"a":1}\0{"a":2}',
        b"\xff",
        b'"\xff"',
    ):
        assert refused(text), text


def test_equal_keys_are_refused():
    assert refused('{"a":1,"b":2,"a":1}') == "text: expected each key once, got 'a' twice"
    assert refused('{"a":1,"\\u0061":1}') == "text: expected each key once, got 'a' twice"


def test_depth_and_number_of_values_are_bounded():
    assert refused("[" * 8 + "]" * 8) is None
    assert "8 deep" in refused("[" * 9 + "1" + "]" * 9)
    assert refused("[" + "1," * 510 + "1]") is None
    assert "at most 512 values" in refused("[" + "1," * 511 + "1]")
    assert "8 deep" in refused("[" * 5000)


def test_an_object_is_told_from_the_rest():
    assert parse_object(b'{"a":1}', "text") == {"a": 1}
    assert rejection(parse_object, b"[]", "text") == "text: expected a JSON object, got list"
    assert rejection(parse_object, b"null", "text") == "text: expected a JSON object, got NoneType"
