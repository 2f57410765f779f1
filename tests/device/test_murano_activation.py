# Provisioning: the ways to authenticate byte for byte, what each refusal tells an operator, and
# that no credential is lost. test_murano_power.py cuts the power.
import asyncio
import gc

from murano_board import (
    CONFLICT,
    DENIED,
    FIRST,
    FORM,
    ID,
    NO_CONTENT,
    OTHER,
    PASSWORD,
    PROBE,
    STAMP,
    TIME,
    TOKEN,
    Board,
    Records,
    Service,
    asked,
    data,
    expected,
    failed,
    given,
    parts,
    talk,
)
from scripted import CLOSE, Server, answer

from instar.errors import Broken, Rejected, Transient, Unauthorised
from instar.http import Ended
from instar.servers.murano import Murano
from instar.servers.murano.credentials import NEW, PAIR, pack_pair, record_name, unpack_pair
from instar.settings import Settings

WRITE = b"POST /onep:v1/stack/alias"
OWN = "0" * 40  # of a board whose random bytes are zeros
BASIC = b"Basic MTIzNDU2Nzg6Y29ycmVjdC1ob3JzZS1iYXR0ZXJ5"
BASIC_OWN = b"Basic MTIzNDU2Nzg6" + b"MDAwMDAw" * 6 + b"MDAwMA=="
LOST = (
    "identity 12345678 was activated on 127.0.0.1:%d by this board, whose answer was lost"
    " (power or link): an operator has to reset the identity there, then this board activates"
    " itself"
)


def write(murano):
    return murano.write({"temperature": 63})


def activate(murano):
    return murano.activate()


def reprovision(murano):
    return murano.reprovision()


def refusing(code, **headers):
    return answer(b"why", status="%d No" % code)


def sent_with(request):
    """What a request authenticates with."""
    return [
        line
        for line in parts(request)[0]
        if line.startswith(b"X-Exosite-CIK") or line.startswith(b"Authorization")
    ]


def port_of(board):
    return int(board.settings.murano_url.rsplit(":", 1)[1])


# Tokens


async def test_the_documents_activation():
    result, requests, board = await talk(activate, STAMP, given())
    assert result is None
    assert parts(requests[0]) == expected(TIME)
    assert parts(requests[1]) == expected(FIRST, b"id=12345678", Content_Type=FORM)
    assert board.record == {"token": TOKEN}


async def test_the_first_call_activates_and_later_ones_do_not():
    async def twice(murano):
        await write(murano)
        await write(murano)

    result, requests, board = await talk(twice, STAMP, given(OTHER), NO_CONTENT, NO_CONTENT)
    assert result is None and asked(requests) == [TIME, FIRST, WRITE, WRITE]
    assert sent_with(requests[0]) == sent_with(requests[1]) == []
    assert sent_with(requests[2]) == [b"X-Exosite-CIK: " + OTHER.encode()]
    # Before, that one was asked for; then the token. Nothing else costs the flash anything.
    assert board.store.log == [b'{"state": "asked"}', b'{"token": "%s"}' % OTHER.encode()]


async def test_the_newer_header():
    result, requests, _ = await data(write, NO_CONTENT, murano_auth="token")
    assert result is None and sent_with(requests[0]) == [b"Authorization: token " + TOKEN.encode()]


async def test_a_token_of_the_factory_is_used_and_one_in_the_store_wins():
    for record, used in ((None, OTHER), ({"token": TOKEN}, TOKEN), ({"state": "asked"}, OTHER)):
        result, requests, board = await talk(write, NO_CONTENT, record=record, murano_token=OTHER)
        assert result is None and sent_with(requests[0]) == [b"X-Exosite-CIK: " + used.encode()]
        assert board.store.log == []


async def test_an_identity_is_encoded():
    _, requests, _ = await talk(activate, STAMP, given(), identity="24:0a:c4 ä")
    assert parts(requests[1])[1] == b"id=24%3A0a%3Ac4%20%C3%A4"


async def test_another_product_or_identity_has_another_record():
    one = Board("https://one.example/", {"token": TOKEN})
    assert one.name == Board("https://one.example").name
    for url, identity in (("https://two.example", ID), ("https://one.example", "other")):
        async with Server([STAMP, given(OTHER)]) as server:
            other = Board(url, identity=identity, store=one.store)
            other.murano.url = server.url  # after its record was chosen by this one:
            assert other.record is None
            name = Board(server.url, identity=identity).name
            await other.murano.activate()
        assert one.record == {"token": TOKEN}
        assert sorted(one.store.records) == sorted((one.name, name))
        one.store.delete(name)


async def test_what_is_no_token_is_not_stored():
    for body in (b"", b"d13=0", b"x" * 39, b"x" * 41, b"x" * 20 + b" " + b"x" * 19, b"\xff" * 40):
        result, _, board = await talk(activate, STAMP, given(body))
        text = "activation: expected a token of 40 characters, got %d bytes of text/plain"
        failed(Transient, text % len(body), result)
        assert board.record == {"state": "asked"}
    result, _, board = await talk(activate, STAMP, given("\r\n%s\n" % OTHER))
    assert result is None and board.record == {"token": OTHER}


REFUSALS = (
    (403, "may not be activated on 127.0.0.1:%d: an operator has to allow it"),
    (404, "is not known on 127.0.0.1:%d: an operator has to add it to the product's whitelist"),
    (409, "is taken on 127.0.0.1:%d by another board, or is not enabled there: an operator has"),
)


async def test_what_an_operator_has_to_do():
    for code, words in REFUSALS:
        for action in (write, activate):
            result, _, board = await talk(action, STAMP, refusing(code))
            failed(Unauthorised, "identity 12345678 " + words % port_of(board), result)
            assert board.record == {"state": "refused"}


async def test_a_lost_answer_is_told_as_one():
    for lost in (CLOSE, [b"HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n" + b"x" * 39]):
        async with Server([STAMP, lost], [CONFLICT], [CONFLICT]) as server:
            board = Board(server.url)
            for kind in (Ended, Unauthorised, Unauthorised):
                result = await caught(board.murano.activate())
                assert type(result) is kind, repr(result)
        assert str(result) == LOST % port_of(board)
        assert board.record == {"state": "asked"} and len(board.store.log) == 1


async def test_after_a_refusal_a_lost_answer_cannot_be_told_apart():
    result, _, board = await talk(activate, CONFLICT, record={"state": "refused"})
    failed(
        Unauthorised,
        "by another board, or is not enabled there, or this board's answer was lo",
        result,
    )
    assert board.store.log == []


async def test_a_damaged_record_is_told_and_cured_by_a_reset():
    async with Server([CONFLICT, given(OTHER)]) as server:
        board = Board(server.url)
        board.store.records[board.name] = b"damaged"
        failed(
            Unauthorised, "whose token is damaged in its flash", await caught(write(board.murano))
        )
        await board.murano.activate()
    assert board.record == {"token": OTHER}


async def test_other_refusals_of_activation():
    for code, kind in ((400, Rejected), (415, Rejected), (401, Unauthorised), (500, Transient)):
        result, _, _ = await talk(activate, STAMP, refusing(code))
        failed(kind, "activation: expected 200, got %d why" % code, result)
        # What a call was to send is not to blame: who queues it must not drop it.
        result, _, board = await talk(write, STAMP, refusing(code))
        assert type(result) is (Unauthorised if kind is Rejected else kind), repr(result)
        known = {"state": "asked" if code == 500 else "refused"}
        assert board.record == known


async def test_activation_is_never_sent_twice_by_itself():
    async with Server([STAMP, STAMP, CLOSE], [given()]) as server:
        murano = Board(server.url).murano
        await murano.timestamp()
        assert type(await caught(murano.activate())) is not None
        assert asked(server.requests) == [TIME, TIME, FIRST]


async def test_409_with_a_token_is_no_loss():
    async def both(murano):
        await murano.activate()
        await write(murano)

    result, requests, board = await data(both, STAMP, CONFLICT, NO_CONTENT)
    assert result is None and sent_with(requests[2]) == [b"X-Exosite-CIK: " + TOKEN.encode()]
    assert board.record["token"] == TOKEN


# 401


async def test_a_401_brings_a_new_token():
    result, requests, board = await data(write, DENIED, given(OTHER), NO_CONTENT)
    assert result is None and asked(requests) == [WRITE, FIRST, WRITE]
    assert [sent_with(request) for request in requests] == [
        [b"X-Exosite-CIK: " + TOKEN.encode()],
        [],
        [b"X-Exosite-CIK: " + OTHER.encode()],
    ]
    assert parts(requests[0])[1] == parts(requests[2])[1] == b"temperature=63"
    assert board.record == {"token": OTHER}


async def test_a_401_never_loses_the_token():
    for said, kind in (
        (CONFLICT, Unauthorised),
        (refusing(404), Unauthorised),
        (refusing(403), Unauthorised),
        (refusing(400), Unauthorised),
        (refusing(500), Transient),
        (given("nonsense"), Transient),
        (CLOSE, Ended),
    ):
        result, requests, board = await data(write, DENIED, said)
        assert type(result) is kind, repr(result)
        assert asked(requests) == [WRITE, FIRST] and board.record["token"] == TOKEN
        if said is CONFLICT:
            failed(kind, "has another token on 127.0.0.1:%d than this" % port_of(board), result)
        # The 401 was a glitch: the token is still good, and used at once by the next start.
        async with Server([NO_CONTENT]) as server:
            again = Board(server.url, board.record)
            await write(again.murano)
            assert sent_with(server.requests[0]) == [b"X-Exosite-CIK: " + TOKEN.encode()]


async def test_after_a_refused_renewal_the_same_start_tries_the_stored_token_again():
    async def use(murano):
        failed(Unauthorised, "whose own met a 401", await caught(write(murano)))
        murano._until = 0  # some time later
        await write(murano)

    result, requests, _ = await data(use, DENIED, CONFLICT, NO_CONTENT)
    assert result is None and asked(requests) == [WRITE, FIRST, WRITE]
    assert sent_with(requests[2]) == [b"X-Exosite-CIK: " + TOKEN.encode()]


async def test_a_token_given_out_and_lost_after_a_401():
    async with Server([DENIED, CLOSE], [DENIED, CONFLICT]) as server:
        board = Board(server.url, {"token": TOKEN})
        assert type(await caught(write(board.murano))) is Ended
        result = await caught(write(board.start()))
    assert str(result) == LOST % port_of(board)
    assert board.record == {"token": TOKEN, "state": "asked"}


async def test_the_factorys_token_is_tried_where_the_stored_one_is_no_good():
    result, requests, board = await data(write, DENIED, NO_CONTENT, NO_CONTENT, murano_token=OTHER)
    assert result is None and asked(requests) == [WRITE, PROBE, WRITE]
    assert board.record == {"token": OTHER}
    result, requests, board = await data(write, DENIED, DENIED, CONFLICT, murano_token=OTHER)
    failed(Unauthorised, "has another token", result)
    assert board.record["token"] == TOKEN


async def test_a_server_that_takes_nothing_is_not_asked_for_ever():
    async def use(murano):
        failed(Unauthorised, "got 401 right after activation", await caught(write(murano)))
        failed(Unauthorised, "got 401 right after activation", await caught(write(murano)))

    result, requests, board = await data(use, DENIED, given(OTHER), DENIED)
    assert result is None and asked(requests) == [WRITE, FIRST, WRITE]
    assert board.record == {"token": OTHER}


# Asking again


async def test_a_refusal_is_not_asked_for_again_at_once():
    async def use(murano):
        told = str(await caught(write(murano)))
        for _ in range(3):
            again = await caught(murano.read("a"))
            assert type(again) is Unauthorised and str(again) == told
            assert 0 < again.retry_after <= 75
        murano._until = 0
        assert str(await caught(write(murano))) == told
        assert murano._until > 90 - murano._uptime.seconds()  # longer than the first time
        assert str(await caught(write(murano))) == told
        await murano.activate()  # asks at once
        await write(murano)

    refused = refusing(404)
    result, requests, board = await talk(use, STAMP, refused, refused, given(), NO_CONTENT)
    assert result is None, result
    assert asked(requests) == [TIME, FIRST, FIRST, FIRST, WRITE]
    assert board.record == {"token": TOKEN}


async def test_retry_after_is_obeyed():
    refused = answer(b"", status="403 No", headers="Retry-After: 4000\r\n")
    result, _, board = await talk(write, STAMP, refused)
    assert type(result) is Unauthorised and 3990 < board.murano._until <= 4001


async def test_any_failure_is_not_asked_for_again_at_once():
    busy = answer(b"", status="429 Too Many Requests", headers="Retry-After: 600\r\n")
    portal = answer(b"<html>login</html>", headers="Content-Type: text/html\r\n")
    for said, kind, most in (
        (busy, Transient, 600),
        (refusing(503), Transient, 75),
        (portal, Transient, 75),
        (CLOSE, Ended, 75),
    ):

        async def use(murano, kind=kind, most=most):
            told = await caught(write(murano))
            for _ in range(3):
                again = await caught(write(murano))
                assert type(told) is type(again) is kind and str(again) == str(told)
                assert most * 0.55 < again.retry_after <= most
            assert type(await caught(murano.activate())) is not kind  # asks at once

        result, requests, _ = await talk(use, STAMP, said, refusing(404))
        assert result is None, result
        if said is not CLOSE:
            assert asked(requests) == [TIME, FIRST, FIRST]


async def test_a_network_that_is_away_is_no_failure_of_activation():
    async def use(murano):
        async def away():
            raise Transient("no network")

        murano.online = away
        failed(Transient, "no network", await caught(write(murano)))
        murano.online = None
        await write(murano)

    result, requests, _ = await talk(use, STAMP, given(), NO_CONTENT)
    assert result is None and asked(requests) == [TIME, FIRST, WRITE]


async def test_a_failure_that_is_told_again_and_again_costs_no_heap():
    board = Board("https://murano.example", client=Service())
    board.store.fail = [OSError(28)]
    gc.collect()
    for count in range(200):
        assert type(await caught(write(board.murano))) is OSError
        if count == 10:
            gc.collect()
            before = gc.mem_alloc()
    gc.collect()
    assert gc.mem_alloc() - before < 500, gc.mem_alloc() - before
    assert board.client.requests == ["GET /timestamp"]


async def test_calls_at_the_same_time_activate_once():
    async def use(murano):
        await asyncio.gather(*[write(murano) for _ in range(3)])

    connections = [[STAMP, given(), NO_CONTENT, NO_CONTENT, NO_CONTENT]]
    async with Server(*connections) as server:
        await use(Board(server.url).murano)
    assert asked(server.requests) == [TIME, FIRST, WRITE, WRITE, WRITE]


async def test_calls_that_meet_a_401_at_the_same_time_activate_once():
    service = Service(pause=True)
    board = Board("https://murano.example", {"token": TOKEN}, client=service)
    await asyncio.gather(*[write(board.murano) for _ in range(3)])
    sent = "POST /onep:v1/stack/alias"
    assert service.requests == [sent] * 3 + ["POST /provision/activate"] + [sent] * 3
    assert board.record == {"token": service.secret}


async def test_a_token_outlives_the_call_that_asked_for_it():
    service = Service(pause=True)
    board = Board("https://murano.example", client=service)
    task = asyncio.create_task(write(board.murano))
    while not service.secret:
        await asyncio.sleep_ms(0)
    task.cancel()
    assert type(await caught(task, asyncio.CancelledError)) is asyncio.CancelledError
    await write(board.murano)
    assert board.record == {"token": service.secret} and service.count == 1


async def test_who_gives_up_leaves_nothing_behind():
    class Stalled(Service):
        async def request(self, *args, **options):
            self.requests.append(args[1])
            await answered.wait()
            raise Transient("stalled")

    answered = asyncio.Event()
    board = Board("https://murano.example", client=Stalled())
    for count in range(20):
        task = asyncio.create_task(write(board.murano))
        await asyncio.sleep_ms(0)
        task.cancel()
        assert await caught(task, asyncio.CancelledError)
        if count == 1:
            gc.collect()
            before = gc.mem_alloc()
    gc.collect()
    assert gc.mem_alloc() - before < 1000, gc.mem_alloc() - before
    waiting = [asyncio.create_task(caught(write(board.murano))) for _ in range(3)]
    await asyncio.sleep_ms(0)
    answered.set()
    for task in waiting:
        failed(Transient, "stalled", await task)
    assert board.client.requests == ["https://murano.example/timestamp"]


async def test_different_steps_come_one_after_another():
    service = Service(TOKEN, pause=True)
    board = Board("https://murano.example", {"token": TOKEN}, client=service)
    murano = board.murano
    await asyncio.gather(murano.reprovision(), murano.reprovision(), murano.activate())
    assert service.count == 2 and board.record["token"] == service.secret
    assert service.requests == ["GET /timestamp", "POST /provision/activate"] * 3


# The flash


async def test_a_token_that_the_flash_did_not_take_is_kept_in_ram():
    async def use(murano):
        store = murano.settings.store
        put = store.put

        def full(name, data):
            if b"token" in data:
                tried.append(name)
                raise OSError(28)
            put(name, data)

        store.put = full
        for _ in range(3):  # which is not worn by each call
            assert type(await caught(write(murano))) is OSError
        assert len(tried) == 1
        murano._until = 0
        assert type(await caught(write(murano))) is OSError and len(tried) == 2
        store.put = put
        murano._until = 0
        await write(murano)

    tried = []
    result, requests, board = await talk(use, STAMP, given(), NO_CONTENT)
    assert result is None, result
    assert asked(requests) == [TIME, FIRST, WRITE] and board.record == {"token": TOKEN}


async def test_a_token_is_read_back_before_it_is_used():
    async def use(murano):
        store = murano.settings.store
        store.put = lambda name, data: store.records.update({name: data.replace(b"0", b"1")})
        return await murano.activate()

    result, requests, _ = await talk(use, STAMP, given())
    failed(Broken, "expected to read back", result)
    assert asked(requests) == [TIME, FIRST]


async def test_without_a_mark_nothing_is_asked():
    async def use(murano):
        murano.settings.store.fail = [OSError(28)]
        await murano.activate()

    result, requests, _ = await talk(use, STAMP)
    assert type(result) is OSError and asked(requests) == [TIME]


async def test_what_was_never_sent_has_no_answer_to_be_lost():
    down = Server([])
    async with down:
        url = down.url
    board = Board(url)  # nobody listens there any more
    failed(Ended, "while connecting", await caught(write(board.murano)))
    assert board.record is None and board.store.log == []
    async with Server([STAMP, CONFLICT]) as server:
        board.murano = Board(server.url, store=board.store).murano
        failed(Unauthorised, "is taken on", await caught(write(board.murano)))
    # Nor is it Murano that a captive portal's page comes from.
    result, requests, board = await talk(write, answer(b"<html>login</html>"))
    failed(Transient, "timestamp: expected seconds", result)
    assert asked(requests) == [TIME] and board.record is None


async def test_a_refusal_says_that_nothing_was_given_out():
    for code, state in ((404, "refused"), (403, "refused"), (409, "asked"), (503, "asked")):
        result, _, board = await talk(activate, refusing(code), record={"state": "asked"})
        assert isinstance(result, Transient) and board.record == {"state": state}
    record = {"state": "asked", "token": TOKEN}  # a 401 may be what the lost token brought
    result, _, board = await talk(reprovision, DENIED, record=record)
    assert type(result) is Unauthorised and board.record == record


# Re-provisioning of tokens


async def test_a_new_token_is_asked_for_with_the_old_one():
    async def use(murano):
        await murano.reprovision()
        await write(murano)

    result, requests, board = await data(use, STAMP, given(OTHER), NO_CONTENT)
    assert result is None
    assert parts(requests[1]) == expected(
        FIRST, b"id=12345678", X_Exosite_CIK=TOKEN.encode(), Content_Type=FORM
    )
    assert sent_with(requests[2]) == [b"X-Exosite-CIK: " + OTHER.encode()]
    assert board.store.log[0] in (
        b'{"token": "%s", "state": "asked"}' % TOKEN.encode(),
        b'{"state": "asked", "token": "%s"}' % TOKEN.encode(),
    )
    assert board.record == {"token": OTHER}


async def test_a_new_token_that_is_refused_changes_nothing():
    for code, kind in ((401, Unauthorised), (409, Rejected), (500, Transient)):

        async def use(murano, code=code, kind=kind):
            told = await caught(murano.reprovision())
            failed(kind, "reprovision: expected 200, got %d" % code, told)
            await write(murano)

        result, requests, board = await data(use, STAMP, refusing(code), NO_CONTENT)
        assert result is None and board.record["token"] == TOKEN
        assert sent_with(requests[2]) == [b"X-Exosite-CIK: " + TOKEN.encode()]


async def test_without_credentials_there_is_nothing_to_replace():
    result, requests, _ = await talk(reprovision)
    failed(Rejected, "activate first", result)
    assert requests == []


# Passwords


async def test_the_documents_activation_with_a_password():
    values = {"murano_auth": "password", "murano_password": PASSWORD}
    result, requests, board = await talk(write, NO_CONTENT, NO_CONTENT, **values)
    assert result is None
    assert parts(requests[0]) == expected(
        FIRST, b"id=12345678&password=" + PASSWORD.encode(), Content_Type=FORM
    )
    assert parts(requests[1]) == expected(
        WRITE, b"temperature=63", Authorization=BASIC, Content_Type=FORM
    )
    assert board.store.log == [b'{"password": "%s"}' % PASSWORD.encode()]


async def test_a_password_of_its_own():
    result, requests, board = await talk(write, NO_CONTENT, NO_CONTENT, murano_auth="password")
    assert result is None
    assert parts(requests[0])[1] == b"id=12345678&password=" + OWN.encode()
    assert sent_with(requests[1]) == [b"Authorization: " + BASIC_OWN]
    assert board.record == {"password": OWN}


async def test_passwords_are_base62_and_no_character_is_likelier():
    async with Server([NO_CONTENT]) as server:
        board = Board(server.url, murano_auth="password")
        source = [255, 248, 247] + list(range(0, 78, 2))
        board.murano.random = lambda count: bytes([source.pop(0) for _ in range(count)])
        await board.murano.activate()
    password = board.record["password"]
    assert password == "z" + "02468ACEGIKMOQSUWYacegikmoqsuwy" + "02468ACE" and not source


async def test_a_password_is_stored_before_it_is_sent():
    async def use(murano):
        murano.settings.store.fail = [OSError(28)]
        await murano.activate()

    result, requests, _ = await talk(use, murano_auth="password")
    assert type(result) is OSError and requests == []


async def test_a_short_password_is_not_sent():
    # The settings refuse it before.
    for size in (19, 20):

        async def use(murano, size=size):
            murano.settings._values["murano_password"] = "x" * size
            if size < 20:
                failed(Unauthorised, "expected at least 20 chara", await caught(write(murano)))
            await murano.activate()

        result, requests, board = await talk(use, NO_CONTENT, murano_auth="password")
        if size < 20:
            failed(Rejected, "murano_password: expected at least 20 characters, got 19", result)
            assert requests == [] and board.record is None
        else:
            assert result is None and board.record == {"password": "x" * 20}


async def test_409_after_a_lost_answer_is_carried_on_from():
    async with Server([CLOSE], [CONFLICT, NO_CONTENT]) as server:
        board = Board(server.url, murano_auth="password")
        failed(Transient, "closed", await caught(write(board.murano)))
        murano = board.start()
        await murano.activate()
        await write(murano)
    assert asked(server.requests) == [FIRST, FIRST, WRITE] and board.record == {"password": OWN}


async def test_a_stored_password_that_was_never_activated_is():
    password = {"password": OWN}
    values = {"record": password, "murano_auth": "password"}
    result, requests, board = await talk(write, DENIED, NO_CONTENT, NO_CONTENT, **values)
    assert result is None and asked(requests) == [WRITE, FIRST, WRITE]
    assert board.record == password
    result, requests, board = await talk(write, DENIED, CONFLICT, DENIED, **values)
    failed(Unauthorised, "got 401 right after activation: an operator has to reset", result)
    assert asked(requests) == [WRITE, FIRST, WRITE] and board.record == password


async def test_what_an_operator_has_to_do_for_passwords():
    for code, words in REFUSALS[:2]:
        result, _, board = await talk(write, refusing(code), murano_auth="password")
        failed(Unauthorised, words % port_of(board), result)
        assert board.record == {"password": OWN}


async def test_another_password():
    async def use(murano):
        await murano.reprovision(password="n" * 20)
        await write(murano)

    record = {"password": PASSWORD}
    result, requests, board = await talk(
        use, NO_CONTENT, NO_CONTENT, record=record, murano_auth="password"
    )
    assert result is None
    assert parts(requests[0]) == expected(
        FIRST, b"id=12345678&password=" + b"n" * 20, Authorization=BASIC, Content_Type=FORM
    )
    assert sent_with(requests[1]) == [b"Authorization: Basic MTIzNDU2Nzg6" + b"bm5u" * 6 + b"bm4="]
    assert len(board.store.log) == 2 and b'"new": "nnnn' in board.store.log[0]
    assert board.record == {"password": "n" * 20}


async def test_another_password_that_is_short_or_refused():
    record = {"password": PASSWORD}
    values = {"record": record, "murano_auth": "password"}
    result, requests, board = await talk(lambda m: m.reprovision(password="short"), **values)
    failed(Rejected, "at least 20", result)
    assert requests == [] and board.record == record
    result, _, board = await talk(reprovision, refusing(400), **values)
    failed(Rejected, "reprovision: expected 204, got 400", result)
    assert board.record == record


async def test_after_a_lost_answer_both_passwords_are_tried():
    record = {"password": PASSWORD}
    for used, last in ((b"new", OWN), (b"old", PASSWORD)):
        script = [DENIED, NO_CONTENT, NO_CONTENT] if used == b"new" else [NO_CONTENT]
        async with Server([CLOSE], script) as server:
            board = Board(server.url, record, murano_auth="password")
            failed(Transient, "closed", await caught(board.murano.reprovision()))
            assert board.record == {"password": PASSWORD, "new": OWN}
            await write(board.start())
        assert board.record["password"] == last
        assert asked(server.requests[1:]) == ([WRITE, PROBE, WRITE] if last == OWN else [WRITE])


async def test_a_password_whose_acceptance_is_not_known_is_not_written_over():
    record = {"password": PASSWORD, "new": "n" * 20}
    values = {"record": record, "murano_auth": "password"}
    script = (DENIED, NO_CONTENT, NO_CONTENT)  # the old one, the new one, the change
    result, requests, board = await talk(reprovision, *script, **values)
    assert result is None and asked(requests) == [PROBE, PROBE, FIRST]
    assert sent_with(requests[1]) == sent_with(requests[2]) != sent_with(requests[0])
    assert board.record == {"password": OWN}


# Certificates

CERTIFICATE = {"murano_auth": "certificate"}
FOLDER = "tests/vectors/magistrala-certs/"


def file(name):
    with open(FOLDER + name, "rb") as found:
        return found.read()


def der(name):
    from instar.crypto.pem import from_pem

    return from_pem(file(name))[0][1]


class Presented:
    """Remembers which certificates the client was told to present."""

    def __init__(self, murano):
        self.pairs = []
        murano.client.present = lambda cert, key: self.pairs.append((cert, key))


def pair_names(board):
    """The records of the pair that waits, and of the one that was taken."""
    return [record_name(kind, board.murano.url, ID) for kind in (NEW, PAIR)]


def certified(own, **records):
    """A board at its start, whose settings have `own`, and these (`new`, `kept`) in the store."""
    store = Records()
    url = "https://murano.example"
    for kind, name in ((NEW, "new"), (PAIR, "kept")):
        if name in records:
            store.put(record_name(kind, url, ID), records[name])
    service = Service(b"good")
    service.present(*own)
    board = Board(url, client=service, store=store, **CERTIFICATE)
    board.settings.client_certificate = lambda: own
    return board


OLD = b"old", b"its key"
GOOD = b"good", b"its key"


async def test_certificates_need_no_header():
    result, requests, board = await talk(write, NO_CONTENT, **CERTIFICATE)
    assert result is None
    assert parts(requests[0]) == expected(WRITE, b"temperature=63", Content_Type=FORM)
    assert board.store.log == []


async def test_activation_with_a_certificate_is_one_harmless_request():
    for code in (200, 204, 404, 415):
        said = NO_CONTENT if code == 204 else refusing(code)
        result, requests, _ = await talk(activate, said, **CERTIFICATE)
        assert result is None and parts(requests[0]) == expected(PROBE)


async def test_a_certificate_that_is_refused():
    for action in (activate, write):
        result, requests, _ = await talk(action, DENIED, **CERTIFICATE)
        failed(Unauthorised, "to take the client certificate, got 401: its subject's CN", result)
        assert len(requests) == 1


async def test_another_certificate():
    shown = []

    async def use(murano):
        shown.append(Presented(murano))
        await murano.reprovision(
            certificate=file("client.pem").decode(), key=der("client-key.pem")
        )
        await write(murano)

    result, requests, board = await talk(use, NO_CONTENT, NO_CONTENT, **CERTIFICATE)
    assert result is None, result
    assert parts(requests[0]) == expected(
        FIRST, file("client.pem"), Content_Type=b"application/x-pem-file; charset=utf-8"
    )
    pair = der("client.pem"), der("client-key.pem")
    assert shown[0].pairs == [pair]
    new, kept = pair_names(board)
    assert board.store.log == [pack_pair(*pair), "%s > %s" % (new, kept)]
    assert unpack_pair(board.store.get(kept)) == pair


async def test_what_is_no_certificate_is_not_sent():
    pem, key = file("client.pem").decode(), der("client-key.pem")
    for given_pem, given_key in (
        (None, None),
        ("", key),
        (pem, None),
        (pem, b"no key"),
        (file("client-key.pem").decode(), key),
        ("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n", key),
    ):

        async def use(murano, given_pem=given_pem, given_key=given_key):
            await murano.reprovision(certificate=given_pem, key=given_key)

        result, requests, board = await talk(use, **CERTIFICATE)
        failed(Rejected, "expected", result)
        assert requests == [] and board.store.records == {}


async def replace(murano):
    await murano.reprovision(certificate=file("client.pem").decode(), key=der("client-key.pem"))


async def test_another_certificate_that_is_refused():
    result, _, board = await talk(replace, refusing(400), **CERTIFICATE)
    failed(Rejected, "reprovision: expected 204, got 400", result)
    assert board.store.records == {}


async def test_after_a_lost_answer_both_certificates_are_tried():
    pair = der("client.pem"), der("client-key.pem")
    for found in ([NO_CONTENT, NO_CONTENT], [DENIED], [refusing(500)]):
        async with Server([CLOSE], [DENIED] + found) as server:
            board = Board(server.url, **CERTIFICATE)
            Presented(board.murano)
            failed(Transient, "closed", await caught(replace(board.murano)))
            murano = board.start()
            shown = Presented(murano)
            result = await caught(write(murano))
        if len(found) == 2:
            assert result is None and shown.pairs == [pair]
            assert sorted(board.store.records) == pair_names(board)[1:]
        else:
            assert type(result) is (Unauthorised if found == [DENIED] else Transient)
            assert shown.pairs == [pair, (None, None)]
            assert sorted(board.store.records) == pair_names(board)[:1]


async def test_a_certificate_in_use_is_not_written_over():
    pair = der("client-rsa.pem"), der("client-rsa-key.pem")
    shown = []

    async def use(murano):
        murano.settings.store.put(record_name(NEW, murano.url, ID), pack_pair(*pair))
        shown.append(Presented(murano))
        await replace(murano)

    result, requests, board = await talk(use, DENIED, NO_CONTENT, NO_CONTENT, **CERTIFICATE)
    assert result is None and asked(requests) == [PROBE, PROBE, FIRST]
    assert shown[0].pairs == [pair, (der("client.pem"), der("client-key.pem"))]
    assert unpack_pair(board.store.get(pair_names(board)[1]))[0] == der("client.pem")


async def test_a_certificate_that_was_taken_is_presented_from_the_start():
    board = certified(OLD, kept=pack_pair(*GOOD))
    assert board.client.presented == [b"old", b"good"]
    await write(board.murano)
    # Another product or identity never sees it, nor does one that has no certificates.
    for url, identity, auth in (
        ("https://other.example", ID, "certificate"),
        (board.murano.url, "another", "certificate"),
        (board.murano.url, ID, "cik"),
    ):
        settings = Settings({"murano_url": url, "murano_auth": auth}, board.store)
        Murano(settings, identity, board.client)
        assert board.client.presented == [b"old", b"good"]


async def test_a_damaged_record_of_a_certificate_counts_as_none():
    board = certified(GOOD, kept=b"damaged", new=b"damaged")
    await write(board.murano)
    board.client.secret = b"another"
    for _ in range(2):
        failed(Unauthorised, "the client certificate", await caught(board.murano.activate()))
    board.client.secret = b"good"
    await replace(board.murano)
    assert board.client.secret == der("client.pem")
    board.murano._until = 0
    await write(board.murano)
    assert sorted(board.store.records) == pair_names(board)[1:]


async def test_the_settings_own_certificate_is_tried_where_the_stored_one_is_no_good():
    board = certified(GOOD, kept=pack_pair(*OLD))
    await write(board.murano)
    assert board.client.presented == [b"good", b"old", b"good"]
    assert board.store.records == {}
    # It stays where that is no better, or nobody says so.
    for own, lose in ((OLD, 0), ((None, None), 0), ((b"older", b"its key"), 0), (GOOD, 1)):
        board = certified(own, kept=pack_pair(b"other", b"its key"))
        send = board.client.request

        async def request(method, url, board=board, send=send, lose=lose, **options):
            board.client.lose = lose if "?instar" in url else 0
            return await send(method, url, **options)

        board.client.request = request
        result = await caught(write(board.murano))
        assert type(result) is (Transient if lose else Unauthorised), repr(result)
        assert board.client.shown == b"other"
        assert sorted(board.store.records) == pair_names(board)[1:]


async def caught(awaitable, kind=Exception):
    """What the awaitable raises, or None."""
    try:
        await awaitable
    except kind as error:
        return error
