# Records of starts that did not know the time, while the power fails: before, during and after
# every operation of the flash. What was saved arrives once with its true time, or is told. And the
# same for resets at those moments, which the RTC survives.
from littlefs import Disk, Ended
from record_server import NOW, POWER_ON, Board, Direct, Ticks
from test_files_power import each_cut

from instar.errors import Transient
from instar.servers.murano.form import stamp
from instar.store import Store

FOLDER = "/store"
HOUR = 3600000000
UNTIMED = (1000, 2000, 10000)


class Life(Board):
    """One start. A value is the moment it was measured at, in ms of the test's time."""

    def __init__(self, world):
        self.world = world
        super().__init__(world.murano, store=Store(FOLDER), rtc=world.rtc)
        self.clock.us = None
        world.lives.append(self)

    def emit(self, event, **info):
        message = info.get("message", "")
        if "not saved" in message or "not deleted" in message:
            raise Ended("told by a board without power")  # a file is closed: an OSError
        super().emit(event, **info)

    def at(self, ms, known):
        self.world.ticks.ms = ms
        self.clock.us = None
        if known:
            self.clock.us = NOW + ms * 1000
            self.clock.set(self.clock.us)
            self.world.rtc = self.clock.rtc

    def record(self, ms, known):
        self.at(ms, known)
        self.recorder.record("a", ms)
        self.world.put.append(ms)

    def save(self):
        self.recorder.save()
        self.world.saved[:] = self.world.put

    def try_to_deliver(self):
        try:
            self.recorder.deliver().send(None)  # nothing here waits: it ends at its first step
        except StopIteration:
            return
        raise AssertionError("waits")


class World:
    def __init__(self, slow_us):
        self.rtc = NOW - slow_us
        self.ticks = Ticks()
        self.murano = Direct()
        self.lives, self.put, self.saved = [], [], []


def act(world):
    life = Life(world)
    life.record(1000, False)
    life.record(2000, False)
    life.save()
    life.record(3000, True)
    world.murano.fates = [Transient("away")]
    life.try_to_deliver()
    life.save()
    life = Life(world)
    life.record(10000, False)
    life.at(11000, True)
    life.save()
    world.murano.fates = ["lose"]
    life.try_to_deliver()
    life.record(12000, True)
    life.try_to_deliver()


def check(world, lost):
    if lost:
        world.rtc = POWER_ON - world.ticks.ms * 1000
    life = Life(world)
    life.at(90000, True)
    world.murano.fates = []
    life.try_to_deliver()
    came = [int(value) for value in world.murano.shelf.values("a")]
    assert world.murano.shelf.times("a") == [stamp(NOW + ms * 1000) for ms in came]
    assert len(set(came)) == len(came) and set(came) <= set(world.put)
    missing = [ms for ms in world.saved if ms not in came]
    assert all(ms in UNTIMED for ms in missing), missing
    assert len(missing) <= sum(life.lost for life in world.lives)
    assert Store(FOLDER).names() == []
    return len(missing)


def cut_at_each(slow_us, lost):
    """(how many cuts there are, after how many of them something was dropped)"""
    worlds = []

    def action():
        worlds.append(World(slow_us))
        act(worlds[-1])

    cuts = dropped = 0
    with Disk({FOLDER: None}) as disk:
        for _ in each_cut(disk, disk.image(), action):
            cuts += 1
            if worlds[-1].lives:
                dropped += bool(check(worlds[-1], lost))
        whole = worlds[0]
        assert len(whole.murano.shelf.taken) == len(whole.put) == 5
        assert sum(life.lost for life in whole.lives) == 0
    return cuts, dropped


def test_cuts_while_times_become_known():
    cuts, dropped = cut_at_each(HOUR, lost=True)
    assert cuts > 40 and 0 < dropped < cuts // 2, (cuts, dropped)


def test_resets_while_times_become_known():
    cuts, dropped = cut_at_each(0, lost=False)
    assert cuts > 40 and dropped == 0, (cuts, dropped)
