# What a Bootstrap service says of one board, and what a hostile one may say.
import hashlib
import json
from binascii import b2a_base64, hexlify

from magistrala_board import MINIMAL, ask, refused, vectors
from scripted import answer

from instar.errors import Rejected, Transient
from instar.http.wire import Ended
from instar.servers.magistrala.answer import parse

PEM = "-----BEGIN EC PRIVATE KEY-----\nMHcC\n-----END EC PRIVATE KEY-----\n"


def parsed(**fields):
    fields.setdefault("client_id", "id1")
    return parse(json.dumps(fields).encode())


def rejected(words, data):
    data = data if isinstance(data, (bytes, str)) else json.dumps(data)
    data = data if isinstance(data, bytes) else data.encode()
    try:
        parse(data)
    except Rejected as error:
        assert type(error) is Rejected and words in str(error), str(error)
        assert len(str(error)) < 200, str(error)
        return str(error)
    raise AssertionError("expected Rejected: " + words)


# What services say


async def test_the_transcript_of_a_mainflux_service():
    for row in vectors("mainflux-bootstrap.jsonl"):
        if "/secure/" in row["path"]:
            continue
        headers = "".join(["%s: %s\r\n" % tuple(h) for h in row["res_headers"][:-1]])
        reply = answer(row["body"], "%d Status" % row["status"], headers)
        result, requests = await ask(
            reply, bootstrap_profile="things", external_id="minimal", external_key="key-002"
        )
        check = CASES.get(row["case"], refusal)
        check(result, row["status"])
        assert b"Authorization: Thing key-002\r\n" in requests[0]


def full(found, _):
    assert found.client_id == "c7d8f3a2-0000-4000-8000-000000000001"
    assert found.secret == "5384fb1c-d0ae-4cbe-be52-c54223150fe0"
    first, second = found.channels
    assert first == {"id": "ch-1", "name": "chan one", "type": "control"}
    assert second == {"id": "ch-2", "name": "chan two"}
    assert found.content == {"mender": {"server": "https://localhost:18443"}, "interval": 60}
    assert found.client_cert == "-----BEGIN CERTIFICATE-----\nAAA\n-----END CERTIFICATE-----"
    assert (found.client_key, found.ca_cert) == ("KEY", "CA")


def minimal(found, _):
    assert found.client_id == "c7d8f3a2-0000-4000-8000-000000000002"
    assert found.secret == "5384fb1c-d0ae-4cbe-be52-c54223150fe1"
    assert found.channels == [] and found.content is None
    assert (found.client_cert, found.client_key, found.ca_cert) == ("", "", "")


def no_object(error, _):
    assert type(error) is Rejected and "text that is no JSON" in str(error)


def refusal(error, status):
    assert isinstance(error, Transient) and "got %d" % status in str(error), repr(error)


CASES = {"plain ok": full, "plain minimal (no channels)": minimal, "unicode": no_object}


def test_every_family_has_its_names():
    for id, secret, channels in (
        ("client_id", "client_secret", "channels"),
        ("thing_id", "thing_key", "channels"),
        ("mainflux_id", "mainflux_key", "mainflux_channels"),
    ):
        found = parse(json.dumps({id: "i", secret: "s", channels: [{"id": "c"}]}).encode())
        assert (found.client_id, found.secret, found.channels) == ("i", "s", [{"id": "c"}])


def test_the_short_answer_of_the_newer_service():
    found = parse(b'{"id":"i","content":"{\\"device_id\\":\\"d\\"}"}')
    assert (found.client_id, found.secret, found.channels) == ("i", "", [])
    assert found.content == {"device_id": "d"}


def test_the_document_of_the_service_as_it_is_printed():
    text = """{
  "client_id": "3fa85f64-5717-4562-b3fc-2c963f66afa6",
  "client_key": "3fa85f64-5717-4562-b3fc-2c963f66afa6",
  "channels": [
    "string"
  ],
  "content": "{}",
  "client_cert": "string"
}"""
    found = parse(text.encode())
    assert found.secret == "3fa85f64-5717-4562-b3fc-2c963f66afa6" and found.client_key == ""
    assert found.channels == [{"id": "string"}]
    assert found.content == {} and found.client_cert == "string"


def test_a_client_key_is_a_key_where_it_looks_like_one():
    with open("tests/vectors/keys/p256-sec1.der", "rb") as file:
        der = b2a_base64(file.read()).decode()
    for key in (PEM, der, der.strip(), "text before\n" + PEM):
        found = parsed(client_key=key)
        assert (found.secret, found.client_key) == ("", key)
    for key in ("3fa85f64-5717", "MAABBB", "MHcC", "a secret", der[:-20], "M" * 36):
        found = parsed(client_key=key)
        assert (found.secret, found.client_key) == (key, ""), key
        found = parsed(client_key=key, client_secret="s")
        assert (found.secret, found.client_key) == ("s", key)


def test_the_digest_is_of_the_json_alone():
    expected = hexlify(hashlib.sha256(MINIMAL.encode()).digest()).decode()
    for tail in ("", "\n", " \r\n\t"):
        assert parse(MINIMAL.encode() + tail.encode()).digest == expected
    assert parse(b" " + MINIMAL.encode()).digest != expected
    assert parse(memoryview(MINIMAL.encode())).digest == expected


def test_content():
    for content, value in (
        (None, None),
        ("", None),
        (" \n", None),
        ("{}", {}),
        (' {"a": [1, null]}\n', {"a": [1, None]}),
        ({"a": "é"}, {"a": "é"}),
        ('{"a":"\\u003c\\u0026é☃"}', {"a": "<&é☃"}),
        ('{"a":1,"a":2}', {"a": 2}),
    ):
        assert parsed(content=content).content == value, content


def test_content_for_another_agent_is_refused():
    for content, came in (
        ("[agent]\nport = 1\n", "text that is no JSON"),
        ("string", "text that is no JSON"),
        ('{"a":', "text that is no JSON"),
        ('{"a":1}}', "text that is no JSON"),
        ("[]", "another type"),
        ("null", "another type"),
        ('"{}"', "another type"),
        ("1", "another type"),
        (1, "int"),
        ([], "list"),
        (False, "bool"),
    ):
        text = rejected("content: expected a JSON object", {"id": "i", "content": content})
        assert came in text, (content, text)


def test_channels():
    for channels, found in (
        (None, []),
        ([], []),
        (["a", "b"], [{"id": "a"}, {"id": "b"}]),
        ([{"id": "a", "name": "", "metadata": None}], [{"id": "a"}]),
        ([{"id": "a", "metadata": {"type": 1}}], [{"id": "a"}]),
        ([{"id": "a", "metadata": ["type"]}], [{"id": "a"}]),
        ([{"id": "a", "metadata": {"type": "x\n"}}], [{"id": "a"}]),
        ([{"id": "a", "type": "x", "other": [1]}], [{"id": "a"}]),
    ):
        assert parsed(channels=channels).channels == found, channels


# What no service says, or a hostile one


def test_wrong_types_of_every_field():
    names = ("client_id", "thing_id", "mainflux_id", "client_secret", "thing_key", "mainflux_key")
    for name in names + ("client_cert", "client_key", "ca_cert"):
        for value in (1, 1.5, True, [], ["a"], {}, {"a": "b"}):
            rejected("expected %s as a string" % name, {"id": "i", name: value})
    for value in (1, True, "a", {}, {"a": "b"}):
        rejected("channels as a list or null", {"id": "i", "channels": value})
    for item in (1, None, True, [], [1], {}, {"id": ""}, {"id": None}, {"name": "a"}, ""):
        rejected("ids, or objects with an id", {"id": "i", "channels": [item]})
    rejected("id as a string", {"id": "i", "channels": [{"id": 7}]})
    rejected("name as a string", {"id": "i", "channels": [{"id": "c", "name": ["a"]}]})


def test_lengths_are_bounded():
    for name in ("client_id", "client_secret", "client_key"):
        rejected("%s of at most 1024 characters" % name, {"id": "i", name: "a" * 1025})
    for name in ("client_cert", "client_key", "ca_cert"):
        assert getattr(parsed(**{name: PEM + "a" * 5000}), name) == PEM + "a" * 5000
        rejected("%s of at most 8192 characters, got 8193" % name, {"id": "i", name: "a" * 8193})


def test_control_characters_in_names_are_refused():
    for text in ("a\nb", "a\r\nX: y", "\x01", "\x7f"):
        for name in ("client_id", "client_secret", "client_key"):
            rejected("%s without control characters" % name, {"id": "i", name: text})
        rejected("id without control", {"id": "i", "channels": [text]})
        rejected("name without control", {"id": "i", "channels": [{"id": "c", "name": text}]})


def test_deep_json_is_refused():
    for opened, closed in (("[", "]"), ('{"a":', "}")):
        for text in (
            '{"id":"i","x":' + opened * 10000 + "1" + closed * 10000 + "}",
            '{"id":"i","content":' + opened * 10000,
            '{"id":"i","x":' + opened * 16 + "1" + closed * 16 + "}",
        ):
            rejected("answer: expected JSON of at most 16 levels", text)
        inner = opened * 17 + "1" + closed * 17
        rejected("content: expected JSON of at most 16 levels", {"id": "i", "content": inner})
        found = parse(('{"id":"i","x":' + opened * 15 + "1" + closed * 15 + "}").encode())
        assert found.client_id == "i"
    text = '{"id":"i","x":"' + "[{" * 2000 + '\\"[[["}'
    assert parse(text.encode()).client_id == "i"


def test_many_values_are_refused():
    for many in ("[]," * 2000, "{}," * 2000, '""' * 2000, "1," * 2000):
        rejected("1024 parts", '{"id":"i","x":[' + many + "1]}")
    found = parsed(channels=[{"id": "c%d" % i, "name": "n"} for i in range(80)])
    assert len(found.channels) == 80


def test_json_of_another_service_is_transient():
    for text in ("{}", '{"error":"x"}', '{"client_id":""}', '{"id":null,"x":1}', '{"a" 1}'):
        try:
            parse(text.encode())
            raise AssertionError(text)
        except Transient as error:
            assert type(error) is Transient and "client_id or content" in str(error)


async def test_a_captive_portal_is_transient():
    page = "<html>" + "log in " * 5000
    for reply in (answer(page), answer(page, headers="Content-Type: text/html\r\n")):
        await refused(Transient, "expected a JSON object", reply)
    for text in ("", "ok", "[]", '"a"', "null", "{"):
        await refused(Transient, "expected a JSON object", answer(text))


async def test_a_plain_answer_cut_at_any_byte_is_refused():
    whole = MINIMAL.encode()
    for size in range(len(whole)):
        result, _ = await ask(answer(whole[:size]))
        assert type(result) is Transient, (size, result)
        result, _ = await ask(b"HTTP/1.0 200 OK\r\n\r\n" + whole[:size])
        assert type(result) is Transient, (size, result)
        result, _ = await ask(answer(whole)[: size - len(whole)])
        assert type(result) is Ended, (size, result)


async def test_ten_megabytes_are_not_read():
    start = '{"client_id":"i","content":"' + "x" * 30000
    head = "HTTP/1.1 200 OK\r\n%s\r\n\r\n"
    announced = (head % "Content-Length: 10485760" + start).encode()
    await refused(Rejected, "at most 16384 bytes, got 10485760", announced)
    chunk = (head % "Transfer-Encoding: chunked" + "a00000\r\n" + start).encode()
    await refused(Rejected, "at most 16384 bytes, got more", chunk)
    endless = (head % "Connection: close" + start).encode()
    await refused(Rejected, "at most 16384 bytes, got more", endless)


async def test_the_largest_answer_is_taken():
    room = 16384 - len('{"client_id":"i","x":""}')
    found, _ = await ask(answer('{"client_id":"i","x":"' + "x" * room + '"}'))
    assert found.client_id == "i"
    await refused(Rejected, "got 16385", answer('{"client_id":"i","x":"' + "x" * room + '"} '))


def test_no_message_shows_a_value():
    secret = "c02ff576-ccd5"
    for fields in (
        {"client_secret": secret + "\n"},
        {"client_secret": secret * 200},
        {"thing_key": [secret]},
        {"content": secret},
        {"content": '{"wifi_password":"' + secret},
        {"client_key": secret + "\0"},
        {"channels": [[secret]]},
    ):
        fields["id"] = "i"
        assert secret not in rejected("expected", fields)
    for cut in range(2, len(MINIMAL)):
        try:
            parse(MINIMAL[:cut].encode())
            raise AssertionError(cut)
        except Transient as error:
            assert "id1" not in str(error) and "s1" not in str(error)
