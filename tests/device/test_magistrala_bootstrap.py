from magistrala_board import CRYPTO_KEY, ID, IV, KEY, MINIMAL, Settings, ask, lines, refused
from scripted import CLOSE, Server, answer, raises

from instar import servers
from instar.errors import Rejected, Transient, Unauthorised
from instar.http import Client
from instar.http.wire import Ended
from instar.servers.magistrala import BadRequest, scheme
from instar.servers.magistrala.bootstrap import bootstrap

GOOD = answer(MINIMAL + "\n")
NO = answer('{"message":"failed"}', "404 Not Found")

# Computed with another implementation: IV, then AES-CFB128 of KEY under CRYPTO_KEY.
AES_128 = b"000102030405060708090a0b0c0d0e0f" + (
    b"6fea05d701c6a9af8ad87f78d3b0142142b6781904faece19d8ac5035c92fd7d7b5943b5"
)
AES_256 = b"000102030405060708090a0b0c0d0e0f" + (
    b"e0b56c90f2baf0ac6caee3ca574ed3fc1492168e1d07df706ad2a450b16b5dce42eafd51"
)

# What each profile asks on the plain and on the secure route, and with which words.
REQUESTS = (
    ("clients", b"/clients/bootstrap/", [b"Client "], AES_256),
    ("things", b"/things/bootstrap/", [b"Thing "], AES_256),
    ("mainflux", b"/things/bootstrap/", [b"Thing ", b""], AES_128),
)


def request(port, path, authorization):
    return [
        b"GET " + path + ID.encode() + b" HTTP/1.1",
        b"Host: 127.0.0.1:%d" % port,
        b"Authorization: " + authorization,
        b"User-Agent: " + Client()._user_agent.encode(),
        b"",
        b"",
    ]


async def test_requests_of_every_profile():
    for name, path, words, sealed in REQUESTS:
        for key, route, credential in (
            ("", b"", KEY.encode()),
            (CRYPTO_KEY, b"secure/", sealed),
        ):
            async with Server(*[[NO] for _ in words]) as server:
                settings = Settings(server.url, bootstrap_profile=name, crypto_key=key)
                await raises(Unauthorised, "404", bootstrap(settings, ID, lambda n: IV[:n]))
            assert len(server.requests) == len(words)
            for i, word in enumerate(words):
                expected = request(server.port, path + route, word + credential)
                assert lines(server.requests[i]) == sorted(expected), server.requests[i]


async def test_the_word_for_messages():
    for name, word in (("clients", "Client"), ("things", "Thing"), ("mainflux", "Thing")):
        assert scheme(Settings(bootstrap_profile=name)) == word


async def test_a_good_answer_ends_the_asking():
    for name, _, _, _ in REQUESTS:
        found, requests = await ask(GOOD, bootstrap_profile=name)
        assert found.client_id == "id1" and len(requests) == 1


async def test_the_bare_key_is_tried_after_a_refusal_only():
    for status in ("401 Unauthorized", "403 Forbidden", "404 Not Found"):
        found, requests = await ask(answer("", status), GOOD, bootstrap_profile="mainflux")
        assert found.client_id == "id1"
        assert b"\r\nAuthorization: Thing " + KEY.encode() in requests[0]
        assert b"\r\nAuthorization: " + KEY.encode() in requests[1]
    for status in ("400 Bad Request", "500 Internal Server Error", "302 Found"):
        found, requests = await ask(answer("", status), GOOD, bootstrap_profile="mainflux")
        assert status[:3] in str(found) and len(requests) == 1


async def test_the_first_refusal_is_reported():
    first = answer('{"error":"first"}', "403 Forbidden")
    second = answer('{"error":"second"}', "401 Unauthorized")
    text = await refused(Unauthorised, "403", first, second, bootstrap_profile="mainflux")
    assert "first" in text and "second" not in text
    broken = answer("", "500 Internal Server Error")
    await refused(Transient, "500", first, broken, bootstrap_profile="mainflux")


async def test_the_url_may_have_a_path_and_a_slash():
    for path, start in (("/", b""), ("/lab/", b"/lab"), ("/a/b", b"/a/b")):
        _, requests = await ask(GOOD, path=path)
        expected = b"GET " + start + b"/clients/bootstrap/" + ID.encode() + b" HTTP/1.1\r\n"
        assert requests[0].startswith(expected), requests[0]


async def test_ids_are_one_segment_of_the_path():
    for name, written in (
        ("02:00:00:AA:bb:01", b"02:00:00:AA:bb:01"),
        ("secure", b"secure"),
        ("a b", b"a%20b"),
        ("ünï dev", b"%C3%BCn%C3%AF%20dev"),
        ("100%?#[]", b"100%25%3F%23%5B%5D"),
        ("-_.~$&+,:;=@", b"-_.~$&+,:;=@"),
        ("...", b"..."),
        ("☃'\"<\\", b"%E2%98%83%27%22%3C%5C"),
    ):
        _, requests = await ask(GOOD, external_id=name)
        target = requests[0].split(b" ")[1]
        assert target == b"/clients/bootstrap/" + written, target


async def test_ids_that_cannot_work_are_not_sent():
    for name in ("", ".", "..", "a/b", "/", "a\r\nb", "a\0", "\x7f"):
        for key in ("", CRYPTO_KEY):
            result, requests = await ask(external_id=name, crypto_key=key)
            assert type(result) is BadRequest and "external_id" in str(result), name
            assert requests == []


async def test_external_keys_that_cannot_work_are_not_sent():
    for key in ("", "a\nb", "a\r\nX: y", "\0", "tab\t"):
        for crypto_key in ("", CRYPTO_KEY):
            result, requests = await ask(external_key=key, crypto_key=crypto_key)
            assert type(result) is BadRequest and "external_key" in str(result), key
            assert requests == []
    for key in ("schlüssel", " a", "a "):  # fine where they are encrypted
        result, requests = await ask(external_key=key)
        assert type(result) is BadRequest and "secure route" in str(result), key
        result, requests = await ask(NO, external_key=key, crypto_key=CRYPTO_KEY)
        assert type(result) is Unauthorised and len(requests) == 1


async def test_urls_that_cannot_work_are_not_sent():
    for url in ("", "http://127.0.0.1:1/?a=b", "http://127.0.0.1:1#a"):
        await raises(BadRequest, "bootstrap_url", bootstrap(Settings(url), ID))
    settings = Settings("http://127.0.0.1:1", bootstrap_plain_http=False)
    await raises(Rejected, "expected https", bootstrap(settings, ID))


# The statuses that a device sees, by what they mean in one version or another.
STATUSES = (
    ("400 Bad Request", BadRequest, "external_key and bootstrap_profile"),
    ("401 Unauthorized", Unauthorised, "check bootstrap_profile: another version"),
    ("403 Forbidden", Unauthorised, "check external_key"),
    ("404 Not Found", Unauthorised, "whether the configuration is on the server"),
    ("405 Method Not Allowed", BadRequest, "check bootstrap_url"),
    ("409 Conflict", Transient, ""),
    ("415 Unsupported Media Type", Transient, ""),
    ("422 Unprocessable Entity", Transient, ""),
    ("429 Too Many Requests", Transient, ""),
    ("500 Internal Server Error", Transient, ""),
    ("502 Bad Gateway", Transient, ""),
    ("503 Service Unavailable", Transient, ""),
    ("204 No Content", Transient, ""),
    ("201 Created", Transient, ""),
)
BODIES = (
    ('{"error":"","message":"failed to get"}\n', "text/plain; charset=utf-8"),
    ('{"message":"failed to get"}', "application/json"),
    ("", "text/plain"),
)


async def test_every_status_has_its_error():
    for status, kind, advice in STATUSES:
        for body, content_type in BODIES:
            reply = answer(body, status, "Content-Type: %s\r\n" % content_type)
            for key in ("", CRYPTO_KEY):
                text = await refused(kind, advice, reply, crypto_key=key)
                assert "expected 200, got " + status[:3] in text, text
                assert "/clients/bootstrap/" in text and ID in text, text
                if status[:3] != "204":
                    assert ("failed to get" in text) == bool(body), text


async def test_what_to_check_names_the_keys_of_the_route():
    reply = answer("", "403 Forbidden")
    text = await refused(Unauthorised, "check external_key", reply)
    assert "crypto_key" not in text
    text = await refused(Unauthorised, "external_key and crypto_key", reply, crypto_key=CRYPTO_KEY)
    assert "clients takes it as the key's own characters" in text
    values = {"crypto_key": CRYPTO_KEY, "bootstrap_profile": "mainflux"}
    await refused(Unauthorised, "mainflux takes it as hexadecimal", reply, reply, **values)


async def test_retry_after_is_kept():
    for status in ("429 Too Many Requests", "503 Service Unavailable", "404 Not Found"):
        result, _ = await ask(answer("", status, "Retry-After: 120\r\n"))
        assert result.retry_after == 120


async def test_redirects_are_not_followed_but_told():
    location = "Location: /things/bootstrap/minimal?token=abc\r\n"
    text = await refused(Transient, "302 to /things", answer("", "302 Found", location))
    assert "abc" not in text
    await refused(Transient, "301 to nowhere", answer("", "301 Moved Permanently"))


async def test_an_answer_that_repeats_a_key_is_not_shown():
    escaped = '{"message":"bad key \\u003cx\\u003e"}'
    for body in ("bad key: " + KEY, "Client " + KEY, "." * 110 + KEY, escaped):
        text = await refused(Unauthorised, "(not shown)", answer(body, "401 Unauthorized"))
        assert KEY[:8] not in text and "003c" not in text, text
    body = "bad key: " + AES_256.decode()
    reply = answer(body, "403 Forbidden")
    text = await refused(Unauthorised, "(not shown)", reply, crypto_key=CRYPTO_KEY)
    assert AES_256[:40].decode() not in text


async def test_a_long_error_is_shown_in_part():
    body = "x" * 10000
    text = await refused(Unauthorised, "x" * 100, answer(body, "404 Not Found"))
    assert "x" * 130 not in text


async def test_a_service_that_is_away():
    await refused(Ended, "closed while waiting", CLOSE)
    await refused(Ended, "closed while", answer(MINIMAL)[:-5])
    await refused(Transient, "expected an HTTP/1.1 answer", b"SSH-2.0-x\r\n\r\n")
    await raises(Ended, "127.0.0.1:1", bootstrap(Settings("http://127.0.0.1:1"), ID))


class Recorder:
    """In the place of http.Client: keeps what it was made with, and whether it was closed."""

    def __init__(self, **options):
        Recorder.made, Recorder.options, Recorder.closed = self, options, False

    def prepare(self):
        pass

    async def get(self, url, **_):
        raise Transient("away")

    async def close(self):
        Recorder.closed = True


async def test_the_connection_is_as_the_settings_say():
    settings = Settings("https://Boot.example/x", http_timeout=7, bootstrap_plain_http=False)
    settings.mender_url = "https://updates.example:8443"
    settings.ca_certificates = lambda: [b"ca"]
    settings.client_certificate = lambda: (b"cert", b"key")
    original, servers.Client = servers.Client, Recorder
    await raises(Transient, "away", bootstrap(settings, ID, feed=len))
    servers.Client = original
    own = [(True, "updates.example", 8443), (True, "Boot.example", 443)]
    assert Recorder.made.own == own
    options = Recorder.options
    assert (options["ca"](), options["cert"], options["key"]) == ([b"ca"], b"cert", b"key")
    assert options["allow_plain"] is False and options["timeout"] == 7
    assert options["feed"] is len and options["max_connections"] == 1
    assert Recorder.closed
