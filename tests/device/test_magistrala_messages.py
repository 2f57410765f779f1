import sys

from scripted import CLOSE, Server, answer, raises

from instar import __version__
from instar.errors import Rejected, Transient, Unauthorised
from instar.senml import record
from instar.servers import connect
from instar.servers.magistrala.messages import Messages

SECRET = "c02ff576-ccd5-40f6-ba5f-c85377aad529"
CHANNELS = [
    {"id": "c1", "name": "control"},
    {"id": "c2", "name": "readings", "type": "data"},
    {"id": "c3", "name": "c1", "type": "control"},
]
TAKEN = answer(b"", status="202 Accepted")
RECORDS = [record("a", 1), record("b", "é")]


class Settings:
    magistrala_domain = ""
    magistrala_secret = SECRET
    magistrala_channels = CHANNELS
    bootstrap_profile = "clients"
    allow_plain_http = True
    http_timeout = 5
    max_connections = 1

    def __init__(self, server=None, **values):
        self.magistrala_url = server.url + "/http/" if server else "http://127.0.0.1:1"
        for name, value in values.items():
            setattr(self, name, value)

    def ca_certificates(self):
        return []

    def client_certificate(self):
        return None, None


def messages(server=None, **values):
    settings = Settings(server, **values)
    return Messages(settings, connect(settings, None, settings.allow_plain_http))


def refusal(function, *args):
    try:
        function(*args)
    except Rejected as error:
        return str(error)
    raise AssertionError("expected Rejected")


# Channels


def test_a_channel_is_found_by_id_then_name_then_type():
    channel = messages().channel
    assert channel("c1") == "c1"  # the third has it as its name
    assert channel("readings") == "c2"
    assert channel("control") == "c1"  # the third has it as its type
    assert channel("data") == "c2"
    assert channel() == "c2"
    assert messages(magistrala_channels=CHANNELS[::2]).channel() == "c1"
    assert (
        messages(magistrala_channels=[{"id": "x", "name": "data"}, {"id": "y"}]).channel() == "x"
    )


def test_a_channel_that_is_not_there_names_those_that_are():
    text = refusal(messages().channel, "other")
    assert "'control', 'readings', 'c1'" in text and "got 'other'" in text
    assert "['x']" in refusal(messages(magistrala_channels=[{"id": "x"}]).channel, "y")
    assert "[]" in refusal(messages(magistrala_channels=[]).channel)


# What is sent


async def sent(topic, records=RECORDS, **values):
    """The bytes that Messages sends, and the port it sends them to."""
    async with Server([TAKEN]) as server:
        sender = messages(server, **values)
        await sender.send(topic, records)
        await sender._client.close()
    return server.requests[0], server.port


def lines(request):
    return request.partition(b"\r\n\r\n")[0].split(b"\r\n")


async def test_a_message_is_these_bytes():
    request, port = await sent("c2/room/1")
    head, _, body = request.partition(b"\r\n\r\n")
    assert body == '[{"n":"a","v":1},{"n":"b","vs":"é"}]'.encode()
    first, *rest = head.decode().split("\r\n")
    assert first == "POST /http/channels/c2/messages/room/1 HTTP/1.1"
    assert sorted(rest) == [
        "Authorization: Client " + SECRET,
        "Content-Length: %d" % len(body),
        "Content-Type: application/senml+json",
        "Host: 127.0.0.1:%d" % port,
        "User-Agent: instar/%s (MicroPython; %s)" % (__version__, sys.platform),
    ]


async def test_with_a_domain_the_path_is_the_new_one():
    for topic, path in (("c2", b"/m/d1/c/c2"), ("c2/a-b/C_d.~:9", b"/m/d1/c/c2/a-b/C_d.~:9")):
        request, _ = await sent(topic, magistrala_domain="d1")
        assert lines(request)[0] == b"POST /http" + path + b" HTTP/1.1"


async def test_older_servers_want_another_word():
    for profile in ("things", "mainflux"):
        request, _ = await sent("c1", bootstrap_profile=profile)
        assert lines(request)[0] == b"POST /http/channels/c1/messages HTTP/1.1"
        assert b"Authorization: Thing " + SECRET.encode() in lines(request)


async def test_records_may_be_bytes():
    request, _ = await sent("c1", [b'{"n":"a","v":1}'])
    assert request.endswith(b'\r\n\r\n[{"n":"a","v":1}]')


async def test_a_bad_subtopic_is_refused_before_anything_is_sent():
    bad = (
        "",
        "a//b",
        "/a",
        "a/",
        ".",
        "../x",
        "a/..",
        "a*",
        "a/>",
        "+",
        "a#b",
        "a b",
        "a?b",
        "a%2Fb",
    )
    for subtopic in bad + ("é", "a\r\nX: y", "a\x00", "a" * 513):
        await raises(Rejected, "subtopic: expected", messages().send("c1/" + subtopic, RECORDS))


async def test_a_channel_of_another_configuration_is_refused():
    for topic in ("c9", "c9/a", "", "/a", "control"):
        await raises(Rejected, "topic: expected the id of one", messages().send(topic, RECORDS))


# What comes back


async def test_three_messages_take_one_connection():
    async with Server(
        [TAKEN, answer(b"", status="200 OK"), b"HTTP/1.1 204 No Content\r\n\r\n"]
    ) as server:
        sender = messages(server)
        for topic in ("c1", "c2", "c3/x"):
            await sender.send(topic, RECORDS)
        await sender._client.close()
    assert server.accepted == 1 and len(server.requests) == 3


async def test_after_the_end_of_a_connection_comes_another():
    last = answer(b"", status="202 Accepted", headers="Connection: close\r\n")
    async with Server([last], [TAKEN], [TAKEN]) as server:
        sender = messages(server)
        await sender.send("c1", RECORDS)
        await sender.send("c1", RECORDS)
        await sender._client.close()
        await sender.send("c1", RECORDS)
        await sender._client.close()
    assert server.accepted == 3


async def test_a_message_whose_fate_is_unknown_is_not_sent_again_by_itself():
    async with Server([TAKEN, CLOSE], [TAKEN]) as server:
        sender = messages(server)
        await sender.send("c1", RECORDS)
        try:
            await sender.send("c2", RECORDS)
            raise AssertionError("expected Transient")
        except Transient:
            pass
        assert len(server.requests) == 2 and server.accepted == 1
        await sender.send("c2", RECORDS)
        await sender._client.close()
    assert server.accepted == 2


async def refused(status, kind, words, body=b"", headers=""):
    async with Server([answer(body, status=status, headers=headers)]) as server:
        sender = messages(server)
        error = await raises(kind, words, sender.send("c1", RECORDS))
        await sender._client.close()
    assert SECRET not in str(error)
    return error


async def test_statuses_and_what_becomes_of_the_message():
    body = b'{"message":"failed to publish"}'
    for status in ("401 Unauthorized", "403 Forbidden"):
        await refused(status, Unauthorised, "connected to the channel (state 1)", body)
    for status in (400, 413, 415):
        text = 'messages: expected 202, got %d {"message":"failed to publish"}' % status
        await refused("%d No" % status, Rejected, text, body)
    for status in (201, 301, 404, 405, 409, 418, 500, 502):
        await refused("%d No" % status, Transient, "expected 202, got %d" % status, body)
    for status in (429, 503, 401):
        kind = Unauthorised if status == 401 else Transient
        error = await refused("%d No" % status, kind, str(status), headers="Retry-After: 7\r\n")
        assert error.retry_after == 7


async def test_a_captive_portal_takes_nothing():
    await refused("200 OK", Transient, "got 200 .<html>", b"\n<html>log in</html>")


async def test_a_server_that_repeats_the_secret_is_not_quoted():
    escaped = SECRET.replace("-", "\\u002d").encode()
    for body in (b"bad " + SECRET.encode(), b'{"key":"%s"}' % escaped):
        error = await refused("400 Bad Request", Rejected, "(not shown)", body)
        assert "c02ff576" not in str(error)


async def test_settings_that_allow_no_request_cost_no_message():
    for values in (
        {"magistrala_url": ""},
        {"magistrala_url": "http://user@host"},
        {"magistrala_secret": "line\nbreak"},
        {"allow_plain_http": False},
    ):
        text = "messages: the settings allow no request: "
        error = await raises(Transient, text, messages(**values).send("c1", RECORDS))
        assert "line" not in str(error)
