# Whom the watcher asks, when, and what it does with what comes: long polls from scripts.
import asyncio

import instar.watcher as module
from instar.errors import Rejected, Transient
from instar.http import GaveWay
from instar.watcher import Watcher


class Scripted:
    """A Watch whose answers are in SCRIPTS, by alias; after the last it waits for its time."""

    SCRIPTS = {}
    asked = []  # (alias, seconds), of all watches

    def __init__(self, murano, alias):
        self.alias = alias
        self.first = False

    async def next(self, seconds):
        self.asked.append((self.alias, seconds))
        script = self.SCRIPTS[self.alias]
        await asyncio.sleep_ms(1)
        if not script:
            await asyncio.sleep_ms(20)
            return None
        entry = script.pop(0)
        if isinstance(entry, Exception):
            raise entry
        if entry is None:
            return None
        self.first, value = entry
        return (value,)


class Settings:
    retry_interval = retry_interval_max = 1
    murano_wait = 240
    max_connections = 1


class Host:
    def __init__(self):
        self.settings = Settings()
        self.murano = object()
        self.resting = asyncio.Event()
        self.resting.set()
        self.events = []

    def emit(self, event, **info):
        self.events.append(info.get("message", event))


async def watched(aliases, scripts, seconds=0.2, host=None, **how):
    """What the callbacks heard: (alias, value); the host; what was asked."""
    Scripted.SCRIPTS, Scripted.asked = scripts, []
    module.Watch = Scripted
    host = host or Host()
    watcher = Watcher(host)
    heard = []
    for alias in aliases:
        watcher.add(alias, lambda value, alias=alias: heard.append((alias, value)), **how)
    task = asyncio.create_task(watcher.run())
    await asyncio.sleep_ms(int(seconds * 1000))
    task.cancel()
    return heard, host, Scripted.asked


async def test_each_value_is_told_once_and_in_order():
    heard, host, asked = await watched(
        ["t"], {"t": [(True, "1"), None, (False, "2"), (False, "2")]}
    )
    assert heard == [("t", "1"), ("t", "2"), ("t", "2")]
    assert host.events == []
    assert asked[0] == ("t", 240)


async def test_who_wants_news_only_does_not_hear_of_what_was_there():
    heard, _, _ = await watched(["t"], {"t": [(True, "1"), (False, "2")]}, initial=False)
    assert heard == [("t", "2")]


async def test_several_take_turns_of_ten_seconds():
    scripts = {"a": [(False, "1")], "b": [(False, "2"), (False, "3")]}
    heard, _, asked = await watched(["a", "b"], scripts)
    assert sorted(heard) == [("a", "1"), ("b", "2"), ("b", "3")]
    assert asked[:4] == [("a", 10), ("b", 10), ("a", 10), ("b", 10)]


async def test_with_connections_enough_nobody_waits_for_a_turn():
    host = Host()
    host.settings.max_connections = 3
    scripts = {"a": [], "b": [(False, "1"), (False, "2")]}
    heard, _, asked = await watched(["a", "b"], scripts, 0.01, host)
    assert heard == [("b", "1"), ("b", "2")]
    assert asked[:2] == [("a", 240), ("b", 240)]


async def test_an_error_of_one_is_told_and_does_not_stop_the_others():
    scripts = {"bad": [Rejected("bad is not defined"), (False, "late")], "good": [(False, "1")]}
    heard, host, asked = await watched(["bad", "good"], scripts, 0.3)
    assert heard == [("good", "1")]  # the other one comes after its backoff of a second
    assert host.events == ["watch: bad is not defined"]
    assert [alias for alias, _ in asked].count("bad") == 1
    assert [alias for alias, _ in asked].count("good") > 3


async def test_what_failed_is_asked_again():
    heard, host, _ = await watched(["t"], {"t": [Transient("no network"), (False, "1")]}, 2.2)
    assert heard == [("t", "1")]
    assert host.events == ["watch: no network"]


class Uptime:
    now = 0

    def seconds(self):
        return self.now


class Cutting:
    """A Watch whose long polls are cut after LIMIT seconds, in no time; in TROUBLES what comes in
    place of the next ones, after how long."""

    LIMIT, TROUBLES = 60, []

    def __init__(self, murano, alias):
        self.asked = []
        self.first = False

    async def next(self, seconds):
        self.asked.append(seconds)
        await asyncio.sleep_ms(1)
        spent, error = self.TROUBLES.pop(0) if self.TROUBLES else (self.LIMIT, Transient("cut"))
        Uptime.now += min(spent, seconds)
        if spent < seconds:
            raise error


async def cut(limit, troubles, host, seconds=0.2):
    """The seconds of each long poll."""
    Cutting.LIMIT, Cutting.TROUBLES = limit, troubles
    module.Watch, module.Stopwatch = Cutting, Uptime
    watcher = Watcher(host)
    watcher.add("t", print)
    task = asyncio.create_task(watcher.run())
    await asyncio.sleep_ms(int(seconds * 1000))
    task.cancel()
    return watcher._watched[0].watch.asked


async def test_long_polls_that_are_cut_become_shorter_until_they_are_not():
    host = Host()
    asked = await cut(60, [], host)
    # 60 is cut no more; then they grow a second each, until they are cut once more.
    assert asked[:6] == [240, 120, 60, 61, 30, 31] and len(asked) > 20
    assert host.events[:3] == ["watch: cut"] * 3
    assert host.events.count("watch: cut") < 3 + len(asked) // 20
    asked = await cut(300, [], host, 0.05)
    assert set(asked) == {240}


async def test_what_fails_soon_or_always_is_asked_again_later():
    for limit in (1, 15):  # the least is half a minute
        host = Host()
        asked = await cut(limit, [], host, 0.05)
        assert asked == [240, 120, 60, 30][: 1 if limit == 1 else 4], asked
    host = Host()
    assert await cut(300, [(15, Rejected("not defined"))], host, 0.05) == [240]


async def test_who_had_to_give_way_looks_now_and_then_and_says_nothing():
    script = [GaveWay("taken"), (False, "1")]
    heard, host, asked = await watched(["t"], {"t": list(script)}, 0.5)
    assert heard == [] and asked == [("t", 240)]
    heard, host, asked = await watched(["t"], {"t": list(script)}, 4)
    assert heard == [("t", "1")]
    assert asked == [("t", 240), ("t", 0.1)]
    assert host.events == []


async def test_nothing_is_asked_while_the_agent_works():
    host = Host()
    host.resting.clear()
    _, _, asked = await watched(["t"], {"t": [(False, "1")]}, host=host)
    assert asked == []


async def called(callback, script, seconds=0.2, more=()):
    """The host, after a watch of `t` has told its callback; more: (alias, callback) beside it."""
    Scripted.SCRIPTS, Scripted.asked = dict(script), []
    module.Watch = Scripted
    host = Host()
    watcher = Watcher(host)
    watcher.add("t", callback)
    for alias, other in more:
        watcher.add(alias, other)
    task = asyncio.create_task(watcher.run())
    await asyncio.sleep_ms(int(seconds * 1000))
    assert not task.done()
    task.cancel()
    return host


async def test_a_callback_may_be_async_and_may_fail():
    heard = []

    async def callback(value):
        await asyncio.sleep_ms(1)
        heard.append(int(value))

    host = await called(callback, {"t": [(False, "x"), (False, "7"), (False, "8")]}, 0.6)
    assert heard == [7, 8]
    assert len(host.events) == 1 and "ValueError" in host.events[0]


async def test_a_callback_that_cancels_its_own_work_is_not_the_end_of_its_watch():
    heard, old = [], []

    async def work():
        await asyncio.sleep(10)

    async def callback(value):
        heard.append(value)
        while old:
            old[0].cancel()
            await old.pop()
        old.append(asyncio.create_task(work()))
        await asyncio.sleep_ms(0)

    await called(callback, {"t": [(False, "1"), (False, "2"), (False, "3"), (False, "4")]}, 0.8)
    assert heard == ["1", "2", "3", "4"]


async def test_a_callback_that_never_returns_stops_nobody_else():
    others = []

    async def callback(value):
        await asyncio.sleep(1000)

    script = {"t": [(False, "1"), (False, "2")], "offer": [(False, "a"), (False, "b")]}
    host = await called(callback, script, more=[("offer", others.append)])
    assert others == ["a", "b"]
    assert Scripted.asked.count(("t", 10)) == 1 and host.events == []


async def test_an_error_that_nobody_thought_of_is_told_and_tried_again():
    heard = []
    host = await called(heard.append, {"t": [ValueError("odd"), (False, "1")]}, 2)
    assert heard == ["1"]
    assert host.events == ["watch: odd"]
