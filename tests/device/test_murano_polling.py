# Long polls: one request byte for byte, and a Watch against a server whose every moment is known.
#
# The property of a Watch: no value is told twice; they come in the order in which they were
# written; the last one always comes; and of the values that were the last in their second, each
# that stayed for HOLD milliseconds while the link was up.
import asyncio
import os
import random

from scripted import HANG, Server, answer, raises
from test_murano_content import Bare

from instar.errors import Rejected, Transient
from instar.http import GaveWay
from instar.servers.murano import polling

EPOCH = 1800000000  # the server's time at the model's 0
UNIX_2000 = 946684800
HOLD = 2600
DAYS = ("Fri", "Sat", "Sun", "Mon", "Tue", "Wed", "Thu")  # EPOCH is a Friday


# One long poll


async def waited(reply, alias="thermostat", seconds=30, since=None):
    async with Server([reply]) as server:
        murano = Bare(server)
        change = await polling.wait(murano, alias, seconds, since)
        await murano.client.close()
    return change, server.requests[0].decode().split("\r\n")


async def test_the_documents_long_poll():
    headers = "Date: Fri, 05 May 2017 00:11:22 GMT\r\nLast-Modified: 1408088412\r\n"
    reply = answer("thermostat=65", headers=headers)
    change, lines = await waited(reply, since=1408088308)
    assert lines[0] == "GET /onep:v1/stack/alias?thermostat HTTP/1.1"
    assert "Accept: application/x-www-form-urlencoded; charset=utf-8" in lines
    assert "Request-Timeout: 30000" in lines
    assert "If-Modified-Since: 1408088308" in lines
    assert (change.value, change.modified) == ("65", "1408088412")


async def test_last_modified_as_it_is_sent_by_the_service():
    date = "Fri, 15 Jun 2018 19:04:13 GMT"
    reply = answer("s=a%26b%3D+c", headers="Last-Modified: %s\r\n" % date)
    change, lines = await waited(reply, "s", 0.25, date)
    assert (change.value, change.modified) == ("a&b= c", date)
    assert "If-Modified-Since: " + date in lines and "Request-Timeout: 250" in lines


async def test_nothing_new_comes_in_three_forms():
    for status in ("304 Not Modified", "204 No Content"):
        change, lines = await waited(answer(b"", status), seconds=9999)
        assert change is None and "Request-Timeout: 300000" in lines
        assert not [line for line in lines if line.startswith("If-Modified")]
    change, lines = await waited(answer(b""), "lamp ü&=", 0)
    assert change is None and "Request-Timeout: 1" in lines
    assert lines[0] == "GET /onep:v1/stack/alias?lamp%20%C3%BC%26%3D HTTP/1.1"


async def test_answers_that_are_no_value():
    for reply, kind, words in (
        (answer(b"", "404 Not Found"), Rejected, "resource thermostat, got 404"),
        (answer(b"", "400 Bad Request"), Rejected, "wait for thermostat: expected 200"),
        (answer(b"", "503 Busy"), Transient, "expected 200 or 204 or 304, got 503"),
        (answer(b"<html>login</html>"), Transient, "value of thermostat, got 18 bytes"),
        (answer(b"other=1"), Transient, "value of thermostat"),
    ):
        await raises(kind, words, waited(reply))


async def test_a_long_poll_outlasts_the_clients_timeout_and_gives_way():
    async with Server([HANG], [answer(b"x")]) as server:
        murano = Bare(server, max_connections=1)
        task = asyncio.create_task(polling.wait(murano, "a", 30))
        await asyncio.sleep_ms(20)
        assert (await murano.client.get(server.url)).content == b"x"
        await raises(GaveWay, "gave way", task)
        await murano.client.close()


# A Watch: the model


class Clock:
    """In the place of `time` and `asyncio` in polling.py: what waits, waits in no time."""

    now = 0

    def ticks_ms(self):
        return self.now

    def ticks_add(self, a, b):
        return a + b

    def ticks_diff(self, a, b):
        return a - b

    async def sleep_ms(self, ms):
        assert ms > 0
        self.now += ms


class Response:
    def __init__(self, status_code, headers, content=b""):
        self.status_code = status_code
        self.headers = headers
        self.content = content


class Model:
    """A product with one resource, in the place of Murano.

    writes: [(ms, value)] in order of time. since: which values of the second that is asked for
    count: "inclusive", "exclusive", or "moment" (all but one of its very beginning). dates: unix,
    http, odd or none. fault: called before and after each request is carried out; True: it gets
    lost there. travel: how many ms a message takes (a function). date: whether answers have one.
    skew: how far its Date is ahead of the times of the values, in ms.
    """

    def __init__(self, writes=(), since="inclusive", dates="http", nothing=304, **other):
        self.writes = list(writes)
        self.since, self.dates, self.nothing = since, dates, nothing
        self.fault = other.get("fault", lambda: False)
        self.travel = other.get("travel", lambda: 50)
        self.date = other.get("date", True)
        self.skew = other.get("skew", 0)
        self.clock = Clock()
        polling.time = polling.asyncio = self.clock
        self.asked = []  # (ms, If-Modified-Since or None for a read)
        # The number of the write whose value was sent last, and of the last read's.
        self.answered = self.read = None

    async def call(self, method, path, headers, patient=False, timeout=None):
        assert (method, path) == ("GET", "/onep:v1/stack/alias?a")
        wait = headers.get("Request-Timeout")
        self._travel()
        self.asked.append((self.clock.now, headers.get("If-Modified-Since")))
        if wait is None:
            number = self.read = self._last()
        else:
            assert patient and timeout * 1000 >= wait + 10000
            number = self._poll(wait, headers.get("If-Modified-Since"))
        response = self._response(number, wait is not None)
        self._travel()
        self.answered = number
        return response

    def check(self, response, what, *expected):
        assert response.status_code in expected

    def _travel(self):
        self.clock.now += self.travel()
        if self.fault():
            raise Transient("the link is cut")

    def _last(self):
        found = None
        for number, (at, _) in enumerate(self.writes):
            if at <= self.clock.now:
                found = number
        return found

    def _poll(self, wait, since):
        begin = self.clock.now if since is None else self._moment(since)
        end = self.clock.now + wait
        while True:
            number = self._last()
            if number is not None and self._counts(self.writes[number][0], begin):
                return number
            later = [at for at, _ in self.writes if self.clock.now < at <= end]
            if not later:
                self.clock.now = end
                return None
            self.clock.now = later[0]

    def _counts(self, at, begin):
        if self.since == "moment":
            return at > begin
        begin, at = begin // 1000, at // 1000
        return at > begin or (at == begin and self.since == "inclusive")

    def _moment(self, since):
        if since.startswith("T"):
            return int(since[1:])
        seconds = polling._seconds(since)
        return (seconds + UNIX_2000 - EPOCH) * 1000

    def _response(self, number, polled):
        headers = {"date": http_date(self.clock.now + self.skew)} if self.date else {}
        if number is None:
            return Response(self.nothing if polled else 204, headers)
        at, value = self.writes[number]
        if polled and self.dates != "none":
            text = {"unix": str(EPOCH + at // 1000), "http": http_date(at), "odd": "T%d" % at}
            headers["last-modified"] = text[self.dates]
        return Response(200, headers, ("a=" + value).encode())


def http_date(ms):
    seconds = ms // 1000 + 8 * 3600  # EPOCH is 08:00:00
    day, rest = divmod(seconds, 86400)
    hour, rest = divmod(rest, 3600)
    assert day < 16  # 15 January 2027 and on
    clock = (hour, rest // 60, rest % 60)
    return "%s, %02d Jan 2027 %02d:%02d:%02d GMT" % ((DAYS[day % 7], 15 + day) + clock)


async def run(model, until, seconds=lambda: 30, gap=lambda: 0):
    """[(value, first, number of the write)] of a Watch until that moment."""
    watch = polling.Watch(model, "a")
    told = []
    while model.clock.now < until:
        try:
            found = await watch.next(seconds())
        except Transient:
            model.clock.now += 500
            continue
        if found:
            number = model.read if watch.first else model.answered
            told.append((found[0], watch.first, number))
        model.clock.now += gap()
    return told


def values(told):
    return [value for value, _, _ in told]


def kinds():
    for since in ("inclusive", "exclusive", "moment"):
        for dates in ("unix", "http"):
            for nothing in (304, 204):
                yield {"since": since, "dates": dates, "nothing": nothing}


def test_the_models_dates_are_dates():
    assert polling._seconds(http_date(0)) == EPOCH - UNIX_2000
    assert polling._seconds(http_date(86400000)) == EPOCH + 86400 - UNIX_2000
    assert polling._seconds(str(EPOCH)) == EPOCH - UNIX_2000
    for text in ("", "soon", "1408088412.5", "-5", "123456789012"):
        assert polling._seconds(text) is None


# A Watch: rule by rule


async def test_the_value_that_is_there_is_the_first():
    for kind in kinds():
        for at in (-100000, -1500, -10):  # long ago, and in the seconds of the read
            model = Model([(at, "old"), (60000, "new")], **kind)
            told = await run(model, 90000)
            assert told == [("old", True, 0), ("new", False, 1)], (kind, at, told)


async def test_where_nothing_is_there_the_first_write_is_told():
    for kind in kinds():
        model = Model([(5000, "new")], **kind)
        told = await run(model, 60000)
        assert told == [("new", False, 0)]
        assert model.asked[0][1] is None and model.asked[1][1] is not None


async def test_a_write_between_the_read_and_the_poll():
    for kind in kinds():
        for at in (51, 99, 120, 149, 950, 999, 1000):
            model = Model([(-5000, "old"), (at, "new")], **kind)
            model.clock.now = 0
            assert values(await run(model, 60000)) == ["old", "new"], (kind, at)
            model = Model([(at, "new")], **kind)
            assert values(await run(model, 60000)) == ["new"], (kind, at)


async def test_two_writes_in_one_second():
    for kind in kinds():
        for first, second in ((5000, 5001), (5000, 5999), (5400, 5700), (5998, 5999)):
            model = Model([(first, "one"), (second, "two")], **kind)
            told = values(await run(model, 60000))
            # The first is seen where the server has it long enough to send it.
            assert told == ["one", "two"] if second > first + 1 else told[-1] == "two", told


async def test_writes_around_the_end_of_a_second():
    for kind in kinds():
        for second in (5999, 6000, 6001, 7000, 7100):
            model = Model([(5990, "one"), (second, "two")], **kind)
            assert values(await run(model, 60000)) == ["one", "two"], (kind, second)


async def test_the_same_value_again_is_told_again():
    for kind in kinds():
        writes = [(-9000, "x"), (5000, "x"), (9000, "x"), (11500, "x")]
        told = await run(Model(writes, **kind), 60000)
        assert [number for _, _, number in told] == [0, 1, 2, 3], (kind, told)


async def test_a_long_silence_costs_one_request_for_each_long_poll():
    for kind in kinds():
        model = Model([(-9000, "x"), (5300, "y")], **kind)
        assert values(await run(model, 3000000)) == ["x", "y"]
        assert len(model.asked) < 100 + 8, len(model.asked)
        late = [since for at, since in model.asked if at > 20000]
        assert len(set(late)) == 1
        added = int(kind["since"] != "exclusive")
        assert polling._seconds(late[0]) + UNIX_2000 == EPOCH + 5 + added


async def test_the_servers_own_text_is_sent_back_to_one_that_is_exclusive():
    model = Model([(5000, "y")], since="exclusive", dates="http")
    await run(model, 60000)
    assert model.asked[-1][1] == http_date(5000)


async def test_without_dates_of_its_answers():
    for kind in kinds():
        model = Model([(-9000, "x"), (5000, "y"), (5200, "z"), (9000, "z")], date=False, **kind)
        assert values(await run(model, 60000)) == ["x", "y", "z", "z"]


async def test_the_date_of_an_answer_may_be_of_another_clock():
    for kind in kinds():
        for skew in (-300000, -2500, -1500, 1000, 1500, 2000, 2500, 3000, 10000, 300000):
            # Between the read and the poll; twice in a second; the same value again.
            for writes in (
                [(-9000, "old"), (120, "one"), (40000, "two")],
                [(-9000, "old"), (1500, "one"), (40000, "two")],
                [(-9000, "old"), (10100, "one"), (10600, "two")],
                [(-9000, "x"), (5000, "x"), (9000, "x"), (11500, "x")],
            ):
                told = await run(Model(writes, skew=skew, **kind), 90000)
                assert [number for _, _, number in told] == list(range(len(writes))), (kind, skew)


async def test_the_same_value_may_be_written_again_long_after_the_read():
    for kind in kinds():
        model = Model([(-9000, "x"), (20000, "x")], **kind)
        watch = polling.Watch(model, "a")
        assert await watch.next(30) == ("x",) and watch.first
        model.clock.now = 30000  # the application has its time
        assert await watch.next(30) == ("x",) and not watch.first
        assert await watch.next(30) is await watch.next(30) is None


async def test_times_that_cannot_be_read_are_sent_back_and_make_no_busy_loop():
    for since in ("inclusive", "exclusive"):
        for dates in ("odd", "none"):
            model = Model([(-9000, "x"), (5000, "y"), (9000, "y")], since=since, dates=dates)
            assert values(await run(model, 60000)) == ["x", "y", "y"], (since, dates)
            assert len(model.asked) < 60, len(model.asked)
    assert model.asked[-1][1] is None
    model = Model([(-9000, "x"), (5000, "y")], dates="odd")
    await run(model, 60000)
    assert model.asked[-1][1] == "T5000"


async def test_a_server_that_never_waits_makes_no_busy_loop():
    for nothing in (304, 204):
        model = Model(nothing=nothing)
        model._poll = lambda wait, since: None
        assert await run(model, 600000, gap=lambda: 1) == []
        gaps = [b[0] - a[0] for a, b in zip(model.asked[1:], model.asked[2:])]
        assert 2000 < gaps[0] < 2500 and 4000 < gaps[1] < 4800
        assert gaps[-1] >= 60000 and len(model.asked) < 17


async def test_after_a_value_or_a_poll_that_waited_the_rest_is_short_again():
    model = Model([(100000, "x")])
    poll = model._poll
    model._poll = lambda wait, since: poll(0 if model.clock.now < 130000 else wait, since)
    assert values(await run(model, 220000)) == ["x"]
    times = [at for at, _ in model.asked]
    before = [at for at in times if at < 100000]
    first, second = [at for at in times if at > before[-1]][:2]
    assert first - before[-1] > 30000 and second - first < 1500
    assert times[-1] - times[-2] < 31500


async def test_a_proxy_that_repeats_the_same_for_ever_is_asked_less_and_less():
    model = Model([(-5000, "x")])
    model._poll = lambda wait, since: 0
    assert values(await run(model, 600000)) == ["x"]
    assert len(model.asked) < 21


async def test_a_watch_begins_whatever_the_ticks_are():
    class Late(Clock):
        def ticks_diff(self, a, b):  # as on a board: half of 2**30 each way
            return ((a - b + 2**29) & (2**30 - 1)) - 2**29

    model = Model([(-5000, "x"), (2**29 + 20000, "y")])
    model.clock = polling.time = polling.asyncio = Late()
    model.clock.now = 2**29 + 10000
    assert values(await run(model, 2**29 + 60000)) == ["x", "y"]


async def test_short_turns_make_progress():
    for kind in kinds():
        model = Model([(-500, "x"), (5000, "y"), (9000, "z")], **kind)
        assert values(await run(model, 60000, lambda: 0.4)) == ["x", "y", "z"]


async def test_next_ends_about_when_it_should():
    model = Model([(-500, "x"), (5000, "y")])
    watch = polling.Watch(model, "a")
    await watch.next(10)
    for seconds in (0.01, 0.5, 3, 1, 20):
        begin = model.clock.now
        await watch.next(seconds)
        assert model.clock.now - begin <= seconds * 1000 + 101


def failing(kind):
    async def call(*_, **__):
        raise kind("no")

    return call


async def test_what_is_wrong_comes_out_of_next():
    for kind in (Transient, Rejected, GaveWay):
        model = Model([(-500, "x"), (5000, "y")])
        watch = polling.Watch(model, "a")

        call, fail = model.call, failing(kind)
        model.call = fail
        await raises(kind, "no", watch.next(9))
        model.call = call
        assert await watch.next(9) == ("x",) and watch.first
        model.call = fail
        await raises(kind, "no", watch.next(9))
        model.call = call
        assert await watch.next(9) == ("y",) and not watch.first


class Once:
    """True when it is called the `count`-th time, from 0."""

    def __init__(self, count):
        self.left = count

    def __call__(self):
        self.left -= 1
        return self.left == -1


async def test_a_cut_at_every_message_misses_and_doubles_nothing():
    writes = [(-9000, "w"), (5000, "x"), (5300, "y"), (20000, "y"), (40000, "z")]
    for kind in kinds():
        for cut in range(60):
            model = Model(writes, fault=Once(cut), **kind)
            told = [number for _, _, number in await run(model, 120000)]
            # One of those of the same second may pass unseen while the link is away.
            assert [n for n in told if n != 1] == [0, 2, 3, 4], (kind, cut, told)
            assert told in ([0, 1, 2, 3, 4], [0, 2, 3, 4])


# A Watch: any schedule


def schedule():
    """Writes within and across seconds; now and then the same value, or a long pause."""
    at, writes = random.choice((-5000, -900, 0, 700)), []
    for number in range(random.randrange(2, 25)):
        again = writes and random.randrange(5) == 0
        writes.append((at, writes[-1][1] if again else "v%d" % number))
        at += random.choice((1, 30, 200, 500, 900, 1000, 1100, 3000, 3000, 8000, 40000))
    return writes


def pair(write):
    return write[1], write[0] // 1000


def held(writes, number):
    """How long the value stayed, in ms, if it was the last in its second; else 0."""
    if number + 1 == len(writes):
        return 10**9
    at, following = writes[number][0], writes[number + 1][0]
    return 0 if following // 1000 == at // 1000 else following - at


async def check_schedule(seed):
    random.seed(seed)
    writes = schedule()
    faulty = random.randrange(2)
    faults = [-HOLD]

    def fault():
        lost = faulty and random.randrange(12) == 0
        if lost:
            faults.append(model.clock.now)
        return lost

    most = random.choice((5, 100, 300))
    model = Model(
        writes,
        random.choice(("inclusive", "exclusive", "moment")),
        random.choice(("unix", "http")),
        random.choice((304, 204)),
        fault=fault,
        travel=lambda: random.randrange(1, most + 1),
        date=random.randrange(8) > 0,
        skew=random.choice((0, 0, -200000, -3000, -1000, 1000, 2000, 3000, 200000)),
    )
    turns = (0.3, 1, 5, 30, 300)
    seconds = random.choice(turns)
    told = await run(model, writes[-1][0] + 60000, lambda: seconds, lambda: random.randrange(50))
    note = (seed, told, writes)
    numbers = [number for _, _, number in told]
    assert numbers == sorted(set(numbers)), note
    pairs = [pair(writes[number]) for number in numbers]
    assert len(set(pairs)) == len(pairs), note
    assert [value for _, value in pairs] == sorted([value for _, value in pairs]), note
    assert [first for _, first, _ in told[1:]] == [False] * (len(told) - 1), note
    began = model.asked[0][0]
    assert told[-1][0] == writes[-1][1], note
    for number, write in enumerate(writes):
        # What was there before, and the same value again before the first poll, is one value.
        early = write[0] <= began + 2 * most + 1000 and told[0][0] == write[1]
        cut = [at for at in faults if write[0] - HOLD < at < write[0] + HOLD]
        seen = number + 1 == len(writes) or write[0] + held(writes, number) > began
        if held(writes, number) > HOLD and not cut and not early and seen:
            assert pair(write) in pairs, (number, note)
    spent = (model.clock.now - began) // 1000
    assert len(model.asked) < 4 * len(writes) + 2 * len(faults) + spent + 5, note


async def many(first):
    for seed in range(first, first + 400):
        await check_schedule(seed)


async def test_any_schedule():
    await many(0)


async def test_any_other_schedule():
    await many(1000)


async def test_schedules_nobody_tried_before():
    seed = int.from_bytes(os.urandom(3), "big") * 1000
    await many(seed)
