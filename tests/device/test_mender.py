import json

from scripted import CLOSE, Server, answer, raises

from instar.crypto import keys
from instar.errors import Aborted, Broken, Expired, Rejected, Transient, Unauthorised
from instar.servers import connect
from instar.servers.mender import Deployment, Mender
from instar.servers.mender.shapes import Log, inventory, to_deployment

# 0123... is a valid private number; a fixed key makes fixed signatures (RFC 6979).
KEY = keys.P256Key(int("0123456789abcdef" * 4, 16))
TOKEN = answer(b"eyJ.eyJ.c2ln\n", headers="Content-Type: application/jwt\r\n")
DENIED = answer(b"", status="401 Unauthorized")
NONE = b"HTTP/1.1 204 No Content\r\n\r\n"
ID = "w81s4fae-7dec-11d0-a765-00a0c91e6bf6"
BASE = b"/api/devices/v1/deployments/device/deployments/"
OFFER = {
    "id": ID,
    "artifact": {
        "artifact_name": "v2",
        "device_types_compatible": ["esp32"],
        "source": {"uri": "https://s3.example/x?a=b\u0026c", "expire": "2030-01-01T00:00:00Z"},
    },
}


class Store:
    def __init__(self, **records):
        self.records = {name.replace("_", "-"): records[name] for name in records}
        self.puts = []

    def get(self, name):
        value = self.records.get(name)
        if isinstance(value, Exception):
            raise value
        return value

    def put(self, name, data):
        self.puts.append(name)
        self.records[name] = data


class Settings:
    tenant_token = ""
    device_type = "esp32"
    allow_plain_http = True
    http_timeout = 5
    max_connections = 2

    def __init__(self, url="http://127.0.0.1:1/", **values):
        self.mender_url = url
        self.store = Store(identity_key=KEY.to_der())
        for name, value in values.items():
            setattr(self, name, value)

    def ca_certificates(self):
        return []

    def client_certificate(self):
        return None, None


def mender(server, identity=None, **settings):
    return make(Settings(server.url + "/", **settings), identity or {"mac": "aa:bb"})


def make(settings, identity, feed=None):
    return Mender(
        settings, identity, connect(settings, feed, settings.allow_plain_http), feed=feed
    )


def deployment(server, **options):
    return Deployment(ID, "v2", server.url + "/artifact?sig=%2F", **options)


def parts(request):
    """(request line, {header: value}, body) of a request's bytes."""
    head, _, body = request.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    pairs = [line.split(b": ", 1) for line in lines[1:]]
    return lines[0], {name.lower(): value for name, value in pairs}, body


def methods(server):
    return [b" ".join(parts(request)[0].split(b" ")[:2]) for request in server.requests]


AUTH = b"POST /api/devices/v1/authentication/auth_requests"


# Authentication


async def test_the_auth_request_is_these_bytes_and_signed_as_sent():
    from binascii import a2b_base64

    async with Server([TOKEN]) as server:
        identity = {"serial": 'a"\\ä', "mac": "aa:bb"}
        await mender(server, identity, tenant_token="tenant").authorise()
    line, headers, body = parts(server.requests[0])
    assert line == AUTH + b" HTTP/1.1"
    assert headers[b"content-type"] == b"application/json"
    assert b"authorization" not in headers
    request = json.loads(body)
    assert sorted(request) == ["id_data", "pubkey", "tenant_token"]
    assert request["id_data"] == '{"mac": "aa:bb", "serial": "a\\"\\\\ä"}'
    assert json.loads(request["id_data"]) == identity
    assert request["tenant_token"] == "tenant"
    assert request["pubkey"] == keys.run(KEY.public_pem())
    assert request["pubkey"].startswith("-----BEGIN PUBLIC KEY-----\n")
    assert a2b_base64(headers[b"x-men-signature"]) == keys.run(KEY.sign(body))


async def test_without_a_tenant_token_none_is_sent():
    async with Server([TOKEN]) as server:
        await mender(server).authorise()
    assert sorted(json.loads(parts(server.requests[0])[2])) == ["id_data", "pubkey"]


async def test_the_token_is_kept_until_a_fresh_one_is_wanted():
    async with Server([TOKEN, TOKEN]) as server:
        client = mender(server)
        await client.authorise()
        await client.authorise()
        assert len(server.requests) == 1
        await client.authorise(fresh=True)
    assert len(server.requests) == 2


async def test_what_the_auth_statuses_mean():
    for status, kind, words in (
        ("401 Unauthorized", Unauthorised, "pending or rejected"),
        ("400 Bad Request", Rejected, "auth: expected 200, got 400 {}"),
        ("413 Too Large", Rejected, "413"),
        ("415 Unsupported", Rejected, "415"),
        ("404 Not Found", Transient, "404"),
        ("302 Found", Transient, "302"),
        ("500 Internal", Transient, "500"),
    ):
        async with Server([answer("{}", status=status)]) as server:
            await raises(kind, words, mender(server).authorise())
    for status in ("429 Too Many", "503 Unavailable"):
        busy = answer(status=status, headers="Retry-After: 17\r\n")
        async with Server([busy]) as server:
            error = await raises(Transient, status[:3], mender(server).authorise())
            assert error.retry_after == 17


async def test_a_page_is_no_token_and_no_token_is_shown():
    for body in (
        b"<html>",
        b"<html><body>Log in</body></html>",
        b'"eyJ.eyJ.c2ln"',
        b"",
        b" \n",
        b"eyJ.e yJ.c2ln",
        b"eyJ.\xc3\xa4",
        b"x" * 4097,
    ):
        async with Server([answer(body, headers="Content-Type: text/html\r\n")]) as server:
            words = "expected a token, got %d bytes of text/html" % len(body)
            error = await raises(Transient, words, mender(server).authorise())
            assert "eyJ" not in str(error)
    async with Server([answer(b"x" * 4096), NONE]) as server:
        assert await mender(server).next_deployment({}) is None


async def test_a_new_key_is_stored_and_read_back_before_the_first_request():
    store = Store()
    async with Server([TOKEN], [TOKEN]) as server:
        await mender(server, store=store).authorise()
        assert store.puts == ["identity-key"]
        first = json.loads(parts(server.requests[0])[2])["pubkey"]
        await mender(server, store=store).authorise()
        assert store.puts == ["identity-key"]
        assert json.loads(parts(server.requests[1])[2])["pubkey"] == first
    assert first == keys.run(keys.load(store.get("identity-key")).public_pem())


async def test_a_damaged_key_is_never_replaced():
    for damaged in (b"", b"garbage", KEY.to_der()[:-1], Broken("record damaged")):
        store = Store(identity_key=damaged)
        async with Server([TOKEN]) as server:
            await raises(Broken, "", mender(server, store=store).authorise())
        assert not store.puts and not server.requests


async def test_a_key_that_cannot_be_read_back_is_not_used():
    class Forgetful(Store):
        def put(self, name, data):
            self.records[name] = data[:-1]

    async with Server([TOKEN]) as server:
        await raises(Broken, "read back", mender(server, store=Forgetful()).authorise())
    assert not server.requests


def test_an_identity_of_anything_but_strings_is_rejected():
    for identity in ({}, {"mac": 5}, {"mac": None}):
        try:
            make(Settings(), identity)
        except Rejected as error:
            assert "identity: expected" in str(error)
        else:
            raise AssertionError(identity)


async def test_other_tasks_and_the_watchdog_go_on_while_a_key_is_made():
    import asyncio

    turns, fed = [], []

    async def other():
        while True:
            turns.append(1)
            await asyncio.sleep_ms(0)

    async with Server([TOKEN]) as server:
        task = asyncio.create_task(other())
        settings = Settings(server.url, store=Store())
        await make(settings, {"mac": "a"}, lambda: fed.append(1)).authorise()
        task.cancel()
    assert len(turns) > 3 and len(fed) > 3


# Calls with a token


async def test_a_refused_token_is_renewed_and_the_same_request_sent_again():
    for status in ("401 Unauthorized", "403 Forbidden"):
        refusal = answer(status=status)
        async with Server([TOKEN, refusal, answer(b"new.to.ken"), NONE]) as server:
            await mender(server).report(ID, "success")
        path = b"PUT " + BASE + ID.encode() + b"/status"
        assert methods(server) == [AUTH, path, AUTH, path]
        first, second = parts(server.requests[1]), parts(server.requests[3])
        assert first[1].pop(b"authorization") == b"Bearer eyJ.eyJ.c2ln"
        assert second[1].pop(b"authorization") == b"Bearer new.to.ken"
        assert first == second


async def test_a_token_refused_twice_is_unauthorised_and_dropped():
    async with Server([TOKEN, DENIED, TOKEN, DENIED, TOKEN, NONE]) as server:
        client = mender(server)
        error = await raises(Unauthorised, "got 401", client.report(ID, "success"))
        assert "eyJ" not in str(error)
        await client.report(ID, "success")
    assert methods(server)[4] == AUTH


async def test_a_device_rejected_meanwhile_is_unauthorised():
    async with Server([TOKEN, DENIED, DENIED]) as server:
        await raises(Unauthorised, "pending or rejected", mender(server).report(ID, "success"))


async def test_a_log_is_sent_whole_again_with_a_new_token():
    async with Server([TOKEN, DENIED, TOKEN, NONE]) as server:
        await mender(server).send_log(ID, [("2026-01-01T00:00:00Z", "INFO", "a")])
    first, second = server.requests[1], server.requests[3]
    assert first.partition(b"\r\n\r\n")[2] == second.partition(b"\r\n\r\n")[2]


async def test_a_kept_connection_found_dead_does_not_lose_an_answer():
    async with Server([TOKEN, CLOSE], [NONE]) as server:
        assert await mender(server).next_deployment({}) is None
    assert server.requests[1] == server.requests[2]


# Inventory


async def test_the_inventory_is_patched_sorted_and_typed():
    async with Server([TOKEN, answer()]) as server:
        attributes = {
            "version": "v1",
            "free": 91232,
            "load": 0.5,
            "ok": True,
            "bad": False,
            "gone": None,
            "list": ("b", "a"),
            "none": [],
        }
        await mender(server).report_inventory(attributes)
    line, headers, body = parts(server.requests[1])
    assert line == b"PATCH /api/devices/v1/inventory/device/attributes HTTP/1.1"
    assert headers[b"content-type"] == b"application/json"
    assert headers[b"authorization"] == b"Bearer eyJ.eyJ.c2ln"
    assert [(a["name"], a["value"]) for a in json.loads(body)] == [
        ("bad", "false"),
        ("free", 91232),
        ("list", ["b", "a"]),
        ("load", 0.5),
        ("none", []),
        ("ok", "true"),
        ("version", "v1"),
    ]


def test_an_inventory_that_the_server_would_refuse_is_rejected_here():
    for value in (
        {},
        b"x",
        [1, "a"],
        [True],
        [None],
        [[1]],
        float("nan"),
        float("inf"),
        [1.0, b""],
    ):
        try:
            inventory({"name": value})
        except Rejected as error:
            assert "as name, got " + type(value).__name__ in str(error), str(error)
        else:
            raise AssertionError(value)
    for attributes in ({"": 1}, {"x" * 1025: 1}, {"a%d" % i: i for i in range(101)}):
        try:
            inventory(attributes)
        except Rejected:
            continue
        raise AssertionError(len(attributes))
    hundred = {"a%d" % i: i for i in range(100)}
    hundred["none"] = None
    assert len(inventory(hundred)) == 100


async def test_what_the_inventory_statuses_mean():
    for status, kind in (("400 Bad", Rejected), ("500 Oops", Transient), ("409 No", Transient)):
        async with Server([TOKEN, answer(status=status)]) as server:
            await raises(kind, "inventory: expected 200", mender(server).report_inventory({}))


# Deployments


async def test_next_asks_v2_and_understands_the_offer():
    offer = json.dumps(OFFER).replace("&", "\\u0026")
    async with Server([TOKEN, answer(offer)]) as server:
        provides = {"artifact_name": "v1", "rootfs-image.version": "v1"}
        found = await mender(server).next_deployment(provides)
    line, headers, body = parts(server.requests[1])
    assert line == b"POST /api/devices/v2/deployments/device/deployments/next HTTP/1.1"
    assert headers[b"content-type"] == b"application/json"
    provides["device_type"] = "esp32"
    assert json.loads(body) == {"device_provides": provides}
    assert (found.id, found.artifact_name) == (ID, "v2")
    assert (found.uri, found.device_types) == ("https://s3.example/x?a=b&c", ["esp32"])
    assert found.total is None


async def test_next_falls_back_to_v1_and_remembers():
    missing = answer("{}", status="404 Not Found")
    async with Server([TOKEN, missing, NONE, answer(json.dumps(OFFER))]) as server:
        client = mender(server)
        assert await client.next_deployment({"device_type": "ä/b"}) is None
        assert (await client.next_deployment({"artifact_name": "a b&c~"})).id == ID
    assert methods(server)[2:] == [
        b"GET " + BASE + b"next?artifact_name=unknown&device_type=%C3%A4%2Fb",
        b"GET " + BASE + b"next?artifact_name=a%20b%26c~&device_type=esp32",
    ]
    assert parts(server.requests[2])[2] == b""


async def test_what_the_next_statuses_mean():
    for reply in (NONE, answer("{}", status="409 Conflict")):
        async with Server([TOKEN, reply]) as server:
            assert await mender(server).next_deployment({}) is None
    for status, kind in (("400 Bad", Rejected), ("500 Oops", Transient), ("302 X", Transient)):
        async with Server([TOKEN, answer(status=status)]) as server:
            await raises(kind, "next: expected 200", mender(server).next_deployment({}))
    missing = answer(status="404 Not Found")
    async with Server([TOKEN, missing, missing]) as server:
        await raises(Transient, "got 404", mender(server).next_deployment({}))
    busy = answer(status="429 Slow", headers="Retry-After: 5\r\n")
    async with Server([TOKEN, busy]) as server:
        error = await raises(Transient, "429", mender(server).next_deployment({}))
        assert error.retry_after == 5


async def test_an_offer_of_another_shape_is_transient():
    def altered(**changes):
        offer = json.loads(json.dumps(OFFER))
        for path, value in changes.items():
            at = offer
            *steps, last = path.split("__")
            for step in steps:
                at = at[step]
            at[last] = value
        return json.dumps(offer)

    good = to_offer(altered(artifact__device_types_compatible=None, artifact__artifact_name=None))
    assert (good.artifact_name, good.device_types) == ("", [])
    for body in (
        "<html>",
        "",
        "[]",
        "null",
        "5",
        '"x"',
        "{}",
        '{"id": "a"}',
        altered(id=5),
        altered(id=""),
        altered(id="a/b"),
        altered(id=".."),
        altered(id="a\n"),
        altered(id="x" * 65),
        altered(artifact=None),
        altered(artifact=[]),
        altered(artifact__source="x"),
        altered(artifact__source__uri=None),
        altered(artifact__source__uri=""),
        altered(artifact__source__uri="https://a/" + "x" * 4000),
        altered(artifact__artifact_name=["v2"]),
        altered(artifact__device_types_compatible="esp32"),
        altered(artifact__device_types_compatible=[1]),
    ):
        try:
            to_offer(body)
        except Transient as error:
            assert "expected" in str(error) and len(str(error)) < 200, str(error)
        else:
            raise AssertionError(body)


def to_offer(body):
    from instar.http.response import Response

    response = Response(
        "http://a/next", "GET", (200, "", {"content-length": "0"}, True), None, None
    )
    response.content = body.encode()
    return to_deployment(response)


async def test_status_says_what_it_has_to():
    async with Server([TOKEN, NONE, NONE]) as server:
        client = mender(server)
        await client.report(ID, "installing", "writing")
        await client.report(ID, "failure", "ä" * 300)
    line, headers, body = parts(server.requests[1])
    assert line == b"PUT " + BASE + ID.encode() + b"/status HTTP/1.1"
    assert headers[b"content-type"] == b"application/json"
    assert json.loads(body) == {"status": "installing", "substate": "writing"}
    assert json.loads(parts(server.requests[2])[2])["substate"] == "ä" * 200


async def test_what_the_deployment_statuses_mean():
    for status, kind in (
        ("409 Conflict", Aborted),
        ("404 Not Found", Rejected),
        ("400 Bad", Rejected),
        ("413 Large", Rejected),
        ("500 Oops", Transient),
        ("200 OK", Transient),
    ):
        refusal = answer("why", status=status)
        async with Server([TOKEN, refusal, refusal]) as server:
            client = mender(server)
            words = "status success: expected 204, got %s why" % status[:3]
            await raises(kind, words, client.report(ID, "success"))
            await raises(kind, "log: ", client.send_log(ID, [("t", "l", "m")]))


async def test_an_id_that_does_not_fit_a_url_is_not_sent():
    async with Server([TOKEN]) as server:
        for id in ("", "a/b", "..", "a\r\nb", "x" * 65, None, 5):
            await raises(Rejected, "id that fits a URL", mender(server).report(id, "success"))
    assert not server.requests


# The log


async def logged(entries, **options):
    async with Server([TOKEN, NONE]) as server:
        await mender(server).send_log(ID, entries, **options)
    line, headers, body = parts(server.requests[1])
    assert line == b"PUT " + BASE + ID.encode() + b"/log HTTP/1.1"
    assert headers[b"content-type"] == b"application/json"
    assert headers[b"transfer-encoding"] == b"chunked"
    return unchunked(body)


def unchunked(body):
    whole = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        size = int(size, 16)
        whole += body[:size]
        body = body[size + 2 :]
    return whole


async def test_a_log_holds_its_entries_in_order():
    entries = [("2026-01-01T00:00:0%dZ" % i, "ERROR", 'line "%d"\n' % i) for i in range(3)]
    messages = json.loads(await logged(entries))["messages"]
    assert [(m["timestamp"], m["level"], m["message"]) for m in messages] == entries
    messages = json.loads(await logged([("", "", "")]))["messages"]
    assert messages == [{"timestamp": "1970-01-01T00:00:00Z", "level": "INFO", "message": "-"}]


async def test_no_entries_make_no_request():
    async with Server([TOKEN]) as server:
        await mender(server).send_log(ID, [])
    assert not server.requests


async def test_a_log_keeps_its_newest_entries_below_the_cap_and_says_so():
    entries = [("2026-01-01T00:00:00Z", "INFO", "%04d " % i + "ä" * 50) for i in range(400)]
    body = await logged(entries, limit=8192)
    messages = json.loads(body)["messages"]
    assert 7500 < len(body) <= 8192
    kept = len(messages) - 1
    assert messages[0]["level"] == "WARNING"
    assert messages[0]["message"].startswith("%d older messages left out" % (400 - kept))
    assert [m["message"][:4] for m in messages[1:]] == ["%04d" % i for i in range(400 - kept, 400)]
    body = await logged([("t", "INFO", "x" * 9000)])
    assert len(json.loads(body)["messages"][0]["message"]) == 2048


async def test_the_default_cap_of_a_log_is_32_kib():
    entries = [("2026-01-01T00:00:00Z", "INFO", "\1" * 1000)] * 40
    assert 26000 < len(await logged(entries)) <= 32768


# The download


ARTIFACT = bytes(range(256)) * 40


def ranged(start, end, size, body=None):
    headers = "Content-Range: bytes %s-%s/%s\r\n" % (start, end, size)
    body = ARTIFACT[start : end + 1] if body is None else body
    return answer(body, status="206 Partial Content", headers=headers)


async def take(stream):
    body = b""
    start = stream.offset
    async for view in stream:
        body += bytes(view)
        assert stream.offset == start + len(body)
        assert stream.total is None or stream.offset <= stream.total
    return body


async def test_a_download_goes_without_the_token_and_byte_for_byte():
    async with Server([TOKEN, NONE, answer(ARTIFACT)]) as server:
        client = mender(server)
        await client.report(ID, "downloading")
        wanted = deployment(server)
        stream = await client.open(wanted, 0)
        assert (stream.offset, stream.total, wanted.total) == (0, 10240, 10240)
        assert await take(stream) == ARTIFACT
    line, headers, _ = parts(server.requests[2])
    assert line == b"GET /artifact?sig=%2F HTTP/1.1"
    assert sorted(headers) == [b"host", b"user-agent"]


async def test_a_download_is_taken_up_where_it_stopped():
    for reply in (
        ranged(5000, 10239, 10240),
        ranged(5000, 10239, "*"),
        answer(ARTIFACT),
        b"HTTP/1.1 206 X\r\nContent-Range: bytes 5000-10239/10240\r\n\r\n" + ARTIFACT[5000:],
    ):
        for total in (10240, None):
            async with Server([reply]) as server:
                stream = await mender(server).open(deployment(server, total=total), 5000)
                assert (stream.offset, stream.total) == (5000, 10240)
                assert await take(stream) == ARTIFACT[5000:]
            assert parts(server.requests[0])[1][b"range"] == b"bytes=5000-"


async def test_a_range_that_does_not_fit_is_rejected():
    for reply in (
        ranged(4999, 10239, 10240),
        ranged(5000, 10238, 10240),
        ranged(5000, 10240, 10241),
        ranged(5000, 10239, 10240, body=b"short"),
        ranged("x", 10239, 10240, body=b""),
        answer(b"", status="206 Partial Content"),
        answer(
            b"", status="206 Partial Content", headers="Content-Range: items 5000-10239/10240\r\n"
        ),
        answer(b"", status="416 Range Not Satisfiable", headers="Content-Range: bytes */100\r\n"),
        answer(ARTIFACT + b"x"),
        answer(ARTIFACT[:100]),
    ):
        async with Server([reply]) as server:
            client = mender(server)
            wanted = deployment(server, total=10240)
            await raises(Rejected, "download: expected", client.open(wanted, 5000))
            assert not client._client._connections and wanted.total == 10240
    async with Server([ranged(0, 10239, 10240)]) as server:
        await raises(Rejected, "206", mender(server).open(deployment(server), 0))


async def test_a_url_that_may_have_expired_is_transient():
    for status in ("403 Forbidden", "404 Not Found", "410 Gone", "401 X", "400 X"):
        async with Server([answer("<xml/>", status=status)]) as server:
            words = "got %s: the URL may have expired" % status[:3]
            await raises(Expired, words, mender(server).open(deployment(server), 0))
    async with Server([answer("<xml/>", status="500 X")]) as server:
        await raises(Transient, "got 500", mender(server).open(deployment(server), 0))
    busy = answer(status="503 Slow Down", headers="Retry-After: 9\r\n")
    async with Server([busy]) as server:
        error = await raises(Transient, "503", mender(server).open(deployment(server), 0))
        assert error.retry_after == 9


async def test_a_download_that_ends_early_or_late_is_transient():
    endless = b"HTTP/1.1 200 OK\r\n\r\n"
    for reply, offset, words in (
        (answer(ARTIFACT)[:-1], 0, "closed while reading"),
        (endless + ARTIFACT[:-1], 0, "expected 10240 bytes, ended after 10239"),
        (endless + ARTIFACT + b"x", 0, "expected 10240 bytes, got more"),
        (endless + ARTIFACT[:50], 100, "ended after 50"),
        (endless + ARTIFACT[:200], 100, "ended after 200"),
    ):
        async with Server([reply]) as server:
            client = mender(server)
            stream = await client.open(deployment(server, total=10240), offset)
            try:
                await take(stream)
            except Transient as error:
                assert words in str(error), str(error)
            else:
                raise AssertionError(words)
            assert not client._client._connections


async def test_a_size_that_nobody_knows_is_none():
    async with Server([b"HTTP/1.1 200 OK\r\n\r\n" + ARTIFACT]) as server:
        stream = await mender(server).open(deployment(server), 0)
        assert stream.total is None
        assert await take(stream) == ARTIFACT


async def test_statuses_are_sent_beside_a_download_and_a_new_one_ends_the_old():
    async with Server([answer(ARTIFACT)], [TOKEN, NONE], [answer(ARTIFACT)]) as server:
        client = mender(server)
        stream = await client.open(deployment(server), 0)
        await client.report(ID, "downloading")
        again = await client.open(deployment(server), 0)
        assert await take(again) == ARTIFACT
        await raises(Transient, "ended after 0", take(stream))
        assert len(client._client._connections) == 1
        await client._client.close()


async def test_a_plain_url_needs_permission():
    client = make(Settings("https://a", allow_plain_http=False), {"mac": "a"})
    wanted = Deployment(ID, "v2", "http://127.0.0.1:1/artifact")
    await raises(Rejected, "127.0.0.1: expected https", client.open(wanted, 0))


def test_a_log_reads_the_same_every_time():
    log = Log([("t", "l", "m")] * 3, 4096)
    assert b"".join(log._make()) == b"".join(log._make())
