# A server that is out of order for an hour, in no time: how often it is asked, and what is left.
# Sleeps and ticks are those of a clock that moves only while somebody sleeps.
import asyncio
import os
import time

from test_agent import Board, Server

from instar import agent as agents
from instar import courier as couriers
from instar import stopwatch
from instar.errors import Transient
from instar.settings import Settings
from instar.store import Store

HOUR = 3600
# With the settings' defaults: a minute, two, four, then five each, a quarter more or less.
FEWEST, MOST = 10, 20


class Time:
    """Stands in for time, and for retry's sleep()."""

    def __init__(self):
        self.now = 0.0

    def ticks_ms(self):
        return int(self.now * 1000)

    def ticks_diff(self, a, b):
        return a - b

    time = time.time

    async def sleep(self, seconds, beat, wake=None):
        assert seconds > 0
        self.now += seconds
        await asyncio.sleep_ms(0)


class Host:
    def __init__(self):
        root = f"/tmp/instar-outage-{os.urandom(6).hex()}"
        self.settings = Settings({"device_type": "esp32", "ntp_host": ""}, Store(root))
        self.events = []

    def emit(self, event, **info):
        self.events.append(event)

    def beat(self):
        pass

    async def online(self):
        pass


def courier(clock, server=None):
    couriers.time = stopwatch.time = clock
    couriers.sleep = clock.sleep
    notes = []
    host = Host()
    made = couriers.Courier(host, server, lambda level, text: notes.append(text), dict)
    return made, host, notes


async def test_a_final_status_survives_the_hour():
    clock = Time()
    tries = []

    async def send(*args):
        tries.append(args)
        if clock.now < HOUR:
            raise Transient("expected 204, got 503")
        return "taken"

    made, host, notes = courier(clock)
    assert await made.deliver(send, "d1", "success") == "taken"
    assert FEWEST <= len(tries) <= MOST, tries
    assert set(tries) == {("d1", "success")}
    assert clock.now < HOUR + 400 and not notes
    assert len(host.events) == len(tries) - 1


async def test_a_final_status_is_given_up_after_its_own_limit():
    clock = Time()
    tries = []

    async def send():
        tries.append(clock.now)
        raise Transient("expected 204, got 503")

    made, host, notes = courier(clock)
    await made.deliver(send)
    limit = host.settings.report_timeout
    assert limit < clock.now < limit + 400
    assert limit // 400 < len(tries) < limit // 200
    assert notes == ["the report was not accepted: expected 204, got 503"]


class Store503:
    def __init__(self, clock, well_after):
        self.clock = clock
        self.well_after = well_after
        self.tries = 0

    async def open(self, deployment, offset=0, end=None):
        self.tries += 1
        if self.clock.now < self.well_after:
            raise Transient("expected 200 or 206, got 503")
        return Stream()


class Stream:
    total = 0

    def __aiter__(self):
        return self

    async def __anext__(self):
        raise StopAsyncIteration

    async def close(self):
        pass


async def test_a_download_waits_for_half_an_hour_and_then_fails():
    """Ten tries, which is download_tries: some 37 minutes."""
    clock = Time()
    store = Store503(clock, 1500)
    made, _, notes = courier(clock, store)
    await made.fetch(None, None)
    assert 1500 <= clock.now < 2000 and store.tries <= 10
    clock.now = 0.0
    store = Store503(clock, HOUR)
    made, _, notes = courier(clock, store)
    try:
        await made.fetch(None, None)
    except Transient:
        assert store.tries == 10 and len(notes) == 9
        assert 1500 < clock.now < HOUR
    else:
        raise AssertionError("expected the download to end with an error")


async def test_a_board_that_asks_for_work_for_an_hour():
    clock = Time()
    agents.time = clock
    agents.sleep = clock.sleep
    server = Server(authorise=[Transient("expected 200, got 503")])
    host = Host()
    agent = agents.Agent(host.settings, Board(), server, installers={})
    events = []
    agent.on_event = events.append
    task = asyncio.create_task(agent.run())
    while clock.now < HOUR:
        await asyncio.sleep_ms(0)
    assert FEWEST <= len(server.calls) <= MOST, server.calls
    assert set(server.calls) == {"authorise"} and agent.board.resets == 0
    waits = [event["seconds"] for event in events if event["event"] == "retry"]
    assert sum(waits[:-1]) < HOUR + 1 and max(waits) <= 375
    server.scripts["authorise"] = [None]
    while not any(event["event"] == "idle" for event in events):
        await asyncio.sleep_ms(0)
    task.cancel()
    assert server.calls[-3:] == ["authorise", "inventory", "next"]
    assert clock.now < HOUR + 400
