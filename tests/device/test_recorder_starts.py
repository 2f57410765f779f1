# Starts that did not know the time, dated by a later one: what the RTC has to say about it.
import os

from record_server import NOW, POWER_ON, Board, Direct, Ticks

from instar.errors import Transient
from instar.servers.murano.form import stamp

S = 1000000
HOUR = 3600 * S
FLOOR = 1793491200 * S


class World:
    """One board over its starts. ms: true time that passed since NOW. slow_us: what the RTC lags
    behind."""

    def __init__(self, slow_us=0):
        self.ticks = Ticks()
        self.murano = Direct()
        self.slow_us = slow_us
        self.board = None
        self.began = 0

    def start(self, at_s, **given):
        """A start at this second; given: what the RTC says instead."""
        self.ticks.ms = self.began = at_s * 1000
        given.setdefault("rtc", NOW - self.slow_us)
        self.board = Board(self.murano, self.board and self.board.root, **given)
        self.board.clock.us = None
        return self.board

    def record(self, *seconds):
        for second in seconds:
            self.ticks.ms = second * 1000
            self.board.recorder.record("a", second)

    async def offline(self, *seconds):
        """Measure, try in vain, end."""
        self.record(*seconds)
        self.board.away = Transient("no network")
        await self.board.deliver()
        self.board.recorder.save()

    def learn(self):
        """A time server answers, the RTC is right from now on."""
        us = NOW + self.ticks.ms * 1000
        self.board.clock.set(us)
        self.board.clock.us = us
        self.slow_us = 0

    async def deliver(self, at_s):
        self.ticks.ms = at_s * 1000
        self.learn()
        self.board.away = None
        return await self.board.deliver()

    def check(self, *seconds, lost=0):
        """What came: the values of these seconds, each with its true time. Nothing waits."""
        assert self.murano.shelf.values("a") == [str(second) for second in seconds]
        assert self.murano.shelf.times("a") == [stamp(NOW + second * S) for second in seconds]
        assert self.board.lost == lost, self.board.errors
        assert not self.board.recorder.waiting and os.listdir(self.board.root) == []


async def test_a_start_without_network_is_dated_by_the_next():
    for slow in (0, 12 * HOUR, -12 * HOUR):
        world = World(slow)
        world.start(0)
        await world.offline(1, 2, 3)
        world.start(10)
        world.record(11)
        assert await world.deliver(20) is None
        world.check(1, 2, 3, 11)


async def test_several_starts_without_network_and_with_no_record_between():
    world = World(HOUR)
    for start in (0, 100, 200):
        world.start(start)
        await world.offline(start + 1)
    world.start(300)
    world.board.recorder.tick()
    world.board.recorder.save()
    world.start(400)
    await world.deliver(401)
    world.check(1, 101, 201)


async def test_they_wait_until_somebody_knows_the_time():
    world = World()
    world.start(0)
    await world.offline(1)
    world.start(10)
    error = await world.board.deliver()
    assert type(error) is Transient and "nobody said the time" in str(error)
    assert world.board.lost == 0 and world.board.recorder.waiting
    await world.deliver(12)
    world.check(1)


async def test_who_learns_the_time_and_cannot_send_tells_those_after_it():
    world = World(HOUR)
    world.start(0)
    await world.offline(1)
    world.start(10)
    world.record(11)
    world.ticks.ms = 12000
    world.learn()
    world.board.recorder.tick()  # and the power is gone, what was in RAM with it
    world.start(20, rtc=POWER_ON)
    await world.offline(21)
    world.start(30)
    await world.deliver(31)
    world.check(1, lost=1)


async def test_an_rtc_that_was_lost_dates_nothing():
    world = World()
    world.start(0)
    await world.offline(1, 2)
    world.start(10, rtc=POWER_ON)
    world.record(11)
    await world.deliver(20)
    world.check(11, lost=2)


async def test_an_rtc_that_was_lost_between_dates_nothing_though_it_is_right_again():
    world = World()
    world.start(0)
    await world.offline(1)
    world.start(1000, rtc=POWER_ON)
    world.board.recorder.tick()
    world.start(2000)
    await world.deliver(2001)
    world.check(lost=1)


async def test_an_rtc_that_was_set_back_dates_nothing():
    world = World(-HOUR)
    world.start(0)
    await world.offline(1)
    world.start(10, rtc=NOW)
    await world.deliver(20)
    world.check(lost=1)


async def test_a_time_before_an_earlier_start_is_none():
    world = World()
    world.start(0)
    world.record(1)
    world.learn()
    world.board.away = Transient("no server")
    await world.board.deliver()
    world.board.recorder.save()
    world.start(100, rtc=NOW - 200 * S)  # set back, and right again for the start after the next
    await world.offline(101)
    world.start(200)
    await world.deliver(201)
    world.check(1, lost=1)


async def test_an_rtc_that_was_never_set_counts_too():
    world = World(NOW - POWER_ON)
    world.start(0)
    await world.offline(1, 50)
    world.start(61)
    world.record(62)
    await world.deliver(70)
    world.check(1, 50, 62)


async def test_two_power_ons_look_alike():
    # The second begins a little later than the first: by the RTC, it may be a reset.
    world = World()
    world.start(0, rtc=POWER_ON)
    await world.offline(1, 500)
    world.start(1000, rtc=POWER_ON - 1000 * S + 5 * S)
    world.board.recorder.tick()
    world.start(1100, rtc=POWER_ON - 1000 * S + 5 * S)
    await world.deliver(1101)
    world.check(lost=2)


async def test_an_rtc_that_is_lifted_to_the_floor_is_followed():
    for first in (True, False):
        world = World(NOW - POWER_ON)
        board = world.start(0)
        for lifts in (first, not first):
            if lifts:
                board.clock.set(FLOOR)
                world.slow_us = NOW - board.clock.rtc
            at = world.began // 1000
            await world.offline(at + 1)
            board = world.start(at + 100)
        await world.deliver(300)
        world.check(1, 101)


async def test_a_recorder_made_after_the_clock_was_set_knows_what_the_rtc_said():
    world = World(12 * HOUR)
    world.start(0)
    await world.offline(1)

    from instar.recorder import Recorder

    board = world.start(10)
    world.learn()
    board.recorder = Recorder(board)
    await board.deliver()
    world.check(1)


async def test_the_flash_is_not_touched_by_a_start_that_learns_the_time_at_once():
    world = World()
    board = world.start(0)
    world.record(1)
    board.recorder.tick()
    world.learn()
    board.recorder.tick()
    assert os.listdir(board.root) == []
    await board.deliver()
    world.check(1)
    board.away = Transient("no server")
    world.board.recorder.record("b", 1)  # it has its time
    await board.deliver()
    assert os.listdir(board.root) == []


async def test_a_start_is_noted_once():
    world = World()
    board = world.start(0)
    put, puts = board.settings.store.put, []

    def counted(name, data):
        puts.append(name)
        put(name, data)

    board.settings.store.put = counted
    for second in range(1, 200, 10):
        world.record(second)
        board.recorder.tick()
        board.away = Transient("no network")
        await board.deliver()
    assert puts == ["rec-starts"], puts
