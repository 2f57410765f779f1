# Resources, records and the time: every example of Murano's document, byte for byte, and what its
# answers mean.
import json

from murano_board import (
    CONFLICT,
    DENIED,
    FORM,
    NO_CONTENT,
    OTHER,
    STAMP,
    TOKEN,
    Board,
    asked,
    data,
    expected,
    failed,
    given,
    parts,
    talk,
)
from scripted import CLOSE, Server, answer
from simchip import raises

from instar.errors import Rejected, Transient, Unauthorised
from instar.servers.murano.form import entry

CIK = TOKEN.encode()
HEAD = "Date: Fri, 05 May 2017 00:11:22 GMT\r\nServer: Murano\r\nConnection: Keep-Alive\r\n"
READ = answer(
    "thermostat=65",
    headers=HEAD + "Content-Type: application/x-www-form-urlencoded; charset=utf-8\r\n",
)


def status(code, body=b"", headers=""):
    return answer(body, status="%d Whatever" % code, headers=headers)


# The document's examples


async def test_write():
    result, requests, _ = await data(lambda m: m.write({"temperature": 63}), NO_CONTENT)
    assert result is None
    assert parts(requests[0]) == expected(
        b"POST /onep:v1/stack/alias",
        b"temperature=63",
        X_Exosite_CIK=CIK,
        Content_Type=FORM,
    )


async def test_several_writes_leave_over_one_connection():
    async def writes(murano):
        for value in (1, 2, 3):
            await murano.write([("temperature", value), ("state", "on")])

    # One connection is all that the server accepts.
    result, requests, _ = await data(writes, NO_CONTENT, NO_CONTENT, NO_CONTENT)
    assert result is None
    assert [parts(request)[1] for request in requests] == [
        b"temperature=%d&state=on" % value for value in (1, 2, 3)
    ]


async def test_read():
    result, requests, _ = await data(lambda m: m.read("thermostat"), READ)
    assert result == {"thermostat": "65"}
    assert parts(requests[0]) == expected(
        b"GET /onep:v1/stack/alias?thermostat", X_Exosite_CIK=CIK, Accept=FORM
    )


async def test_read_write():
    def both(murano):
        return murano.read_write({"temperature": 63}, "thermostat")

    result, requests, _ = await data(both, READ)
    assert result == {"thermostat": "65"}
    assert parts(requests[0]) == expected(
        b"POST /onep:v1/stack/alias?thermostat",
        b"temperature=63",
        X_Exosite_CIK=CIK,
        Accept=FORM,
        Content_Type=FORM,
    )


ENTRIES = [
    entry("temperature", 23, 1506708552123000),
    entry("temperature", 22, 1506708551000000),
    entry("state", "on", 1506708552000000),
    entry("state", "off", 1506708551000000),
    entry("state", "on", 1506708550123456),
]


async def test_record():
    closing = b"HTTP/1.1 204 No Content\r\nConnection: Close\r\nContent-Length: 0\r\n\r\n"
    result, requests, _ = await data(lambda m: m.record(ENTRIES), closing)
    assert result == []
    assert parts(requests[0]) == expected(
        b"POST /onep:v1/stack/record",
        b"alias=temperature&1506708552.123=23&1506708551=22"
        b"&alias=state&1506708552=on&1506708551=off&1506708550.123456=on",
        X_Exosite_CIK=CIK,
        Content_Type=FORM,
    )


async def test_record_with_conflicts():
    for body in (
        b"temperature=1506708551&state=1506708552&state=1506708550.123456",
        b"temperature=1506708551&state=1506708552,1506708550.123456",
    ):
        result, _, _ = await data(lambda m: m.record(ENTRIES), status(409, body))
        assert result == [
            ("temperature", "1506708551"),
            ("state", "1506708552"),
            ("state", "1506708550.123456"),
        ]
    result, _, _ = await data(lambda m: m.record(ENTRIES), CONFLICT)
    assert len(result) == len(ENTRIES)


async def test_timestamp():
    printed = answer("1408088308", headers=HEAD + "Content-Type: text/plain; charset=utf-8\r\n")
    result, requests, _ = await data(lambda m: m.timestamp(), printed)
    assert result == 1408088308
    assert parts(requests[0]) == expected(b"GET /timestamp")


async def test_what_is_no_timestamp():
    for body in (b"", b"1408088308.5", b"-1", b"<html>", b"9" * 13):
        result, _, _ = await data(lambda m: m.timestamp(), answer(body))
        failed(Transient, "timestamp: expected seconds", result)


# What real clients sent, and what their server answered


def exchanges():
    with open("tests/vectors/murano/clients.jsonl") as file:
        return [json.loads(line) for line in file]


def as_said(response):
    # The lengths are not among what was recorded.
    head = ["%s: %s\r\n" % tuple(header) for header in response["headers"]]
    body = response["body"].encode()
    if response["status"] in (204, 304):
        return ("HTTP/1.1 %d OK\r\n%s\r\n" % (response["status"], "".join(head))).encode()
    return answer(body, status="%d OK" % response["status"], headers="".join(head))


def call(murano, line, body):
    # The same call as that client's.
    method, path, _ = line.split(" ")
    if path == "/timestamp":
        return murano.timestamp()
    if path == "/provision/activate":
        return murano.activate()
    if method == "GET":
        return murano.read(*path.partition("?")[2].split("&"))
    return murano.write([pair.split("=") for pair in body.split("&")])


async def test_the_exchanges_of_real_clients():
    seen = 0
    for exchange in exchanges():
        sent, said = exchange["request"], exchange["response"]
        if "Request-Timeout" in [name for name, _ in sent["headers"]]:
            continue  # a long poll: see test_murano_polling.py
        before = [STAMP] if "activate" in sent["line"] else []
        result, requests, _ = await talk(
            lambda m, sent=sent: call(m, sent["line"], sent["body"]),
            *(before + [as_said(said)]),
            CONFLICT,
            record={"token": "a" * 40},
            identity="000001",
        )
        head, body = parts(requests[len(before)])
        assert sent["line"].encode() in head and body == sent["body"].encode()
        for name, value in sent["headers"]:
            if (name == "Content-Type" and body) or (name == "Accept" and value != "*/*"):
                assert ("%s: %s" % (name, value)).encode() in head, name
        if said["status"] == 401:
            failed(Unauthorised, "whose own met a 401", result)
        elif "read" not in sent["line"] and said["body"].isdigit():
            assert result == int(said["body"])
        elif sent["line"].startswith("GET"):
            assert result == dict(pair.split("=") for pair in said["body"].split("&"))
        else:
            assert result is None, result
        seen += 1
    assert seen == 10, seen


# Values and aliases


async def test_values_and_aliases_are_encoded():
    values = [("a b", "1&2=3"), ("ä", {"on": True}), ("f", 0.25), ("raw", b"\x00\xff")]
    _, requests, _ = await data(lambda m: m.write(values), NO_CONTENT)
    assert parts(requests[0])[1] == (
        b"a%20b=1%262%3D3&%C3%A4=%7B%22on%22%3Atrue%7D&f=0.25&raw=%00%FF"
    )
    said = answer(b"x%26y=a+b%3D&%C3%A4=%7B%22u%22%3A%22https%3A%2F%2Fh%2F%3Fa%3Db%26c%22%7D")
    result, requests, _ = await data(lambda m: m.read("x&y", "ä", "gone"), said)
    assert result == {"x&y": "a b=", "ä": '{"u":"https://h/?a=b&c"}'}
    assert asked(requests) == [b"GET /onep:v1/stack/alias?x%26y&%C3%A4&gone"]


async def test_64_KiB_are_sent_and_one_more_is_not():
    most = b"x" * 65536
    for action in (
        lambda m: m.write({"blob": most}),
        lambda m: m.read_write({"blob": most}, "blob"),
    ):
        result, requests, _ = await data(action, NO_CONTENT)
        assert result in (None, {}) and parts(requests[0])[1] == b"blob=" + most
    for action in (
        lambda m: m.write({"blob": most + b"x"}),
        lambda m: m.write({"blob": "ä" * 32768 + "x"}),
        lambda m: m.read_write({"blob": most + b"x"}, "blob"),
    ):
        result, requests, _ = await data(action)
        failed(Rejected, "at most 65536 bytes, got 65537", result)
        assert requests == []


async def test_what_is_not_sent():
    for action in (
        lambda m: m.write({"": 1}),
        lambda m: m.write({}),
        lambda m: m.write({"a": None}),
        lambda m: m.read(),
        lambda m: m.read(""),
        lambda m: m.read_write({"a": 1}),
    ):
        result, requests, _ = await data(action)
        failed(Rejected, "expected", result)
        assert requests == []


# Answers


async def test_nothing_to_read():
    for said in (NO_CONTENT, b"HTTP/1.1 204 OK\r\nContent-Length: 99\r\n\r\n"):
        result, _, _ = await data(lambda m: m.read("a"), said)
        assert result == {}
        result, _, _ = await data(lambda m: m.read_write({"b": 1}, "a"), said)
        assert result == {}


async def test_a_page_is_no_value():
    page = answer(b"<html><a href='?x=1'>", headers="Content-Type: text/html\r\n")
    for action in (
        lambda m: m.read("a"),
        lambda m: m.read_write({"b": 1}, "a"),
        lambda m: m.write({"b": 1}),
        lambda m: m.record(ENTRIES),
    ):
        result, _, _ = await data(action, page)
        failed(Transient, "expected", result)


async def test_what_each_status_means():
    for code, kind in (
        (400, Rejected),
        (403, Unauthorised),
        (404, Rejected),
        (405, Rejected),
        (408, Transient),
        (409, Rejected),
        (413, Rejected),
        (415, Rejected),
        (416, Rejected),
        (418, Transient),
        (425, Transient),
        (429, Transient),
        (302, Transient),
        (304, Transient),
        (200, Transient),
        (500, Transient),
        (503, Transient),
    ):
        result, _, board = await data(
            lambda m: m.write({"a": 1}), status(code, b"why\x07", "Retry-After: 7\r\n")
        )
        text = "write: expected 204, got %d" % code + ("" if code == 304 else " why.")
        failed(kind, text, result)
        if kind is not Rejected:
            assert result.retry_after == 7
        assert board.record == {"token": TOKEN}


async def test_an_error_shows_no_secret_and_little_else():
    # talk() looks for the secrets.
    for body in (TOKEN, "x" * 50 + TOKEN, '{"t":"\\u0032%s"}' % TOKEN[1:], "%32" + TOKEN[1:]):
        result, _, _ = await data(lambda m: m.write({"a": 1}), status(400, body))
        assert failed(Rejected, "(not shown)", result).endswith("got 400 (not shown)")
    result, _, _ = await data(lambda m: m.write({"a": 1}), status(400, b"y" * 500))
    assert failed(Rejected, "", result) == "write: expected 204, got 400 " + "y" * 60


async def test_a_domain_that_closes_is_perhaps_the_wrong_one():
    result, _, _ = await data(lambda m: m.write({"a": 1}), CLOSE)
    failed(Transient, "is murano_url right?", result)

    async def twice(murano):
        await murano.write({"a": 1})
        async with Server([CLOSE]) as other:  # as one that lost its link
            murano.url = other.url
            await murano.write({"a": 2})

    result, _, _ = await data(twice, NO_CONTENT)
    assert "closed while" in str(result) and "murano_url" not in str(result)


async def test_the_network_is_joined_before_every_request():
    joined = []  # once more before provisioning

    async def online():
        joined.append(1)
        if len(joined) == 4:
            raise Transient("no network")

    async def use(murano):
        murano.online = online
        await murano.read("a")
        await murano.timestamp()
        await murano.write({"a": 1})

    result, requests, _ = await data(use, NO_CONTENT, answer("1408088308"))
    failed(Transient, "no network", result)
    assert asked(requests) == [b"GET /onep:v1/stack/alias?a", b"GET /timestamp"]


def test_an_identity_is_needed():
    assert "murano_identity" in raises(Rejected, Board, "http://127.0.0.1:1", identity="")[0]


async def test_a_stream_that_meets_a_401():
    # What is not read of an answer costs its connection: so there are two.
    async with Server([DENIED], [given(OTHER), answer("MANIFEST\n")]) as server:
        murano = Board(server.url, {"token": TOKEN}).murano
        response = await murano.call("GET", "/provision/download", stream=True)
        assert response.content == b""
        await response.load(100)
    assert response.content == b"MANIFEST\n"
    assert b"X-Exosite-CIK: " + OTHER.encode() in server.requests[2]
