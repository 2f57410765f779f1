import asyncio
import time

from instar import stopwatch
from instar.errors import Transient
from instar.retry import Backoff, sleep


def test_doubles_up_to_the_most_with_a_quarter_of_jitter():
    for _ in range(20):
        backoff = Backoff(60, 300)
        for step in (60, 120, 240, 300, 300):
            delay = backoff.delay()
            assert step * 0.75 <= delay <= step * 1.25, (step, delay)
    backoff.reset()
    assert backoff.delay() <= 75


def test_the_jitter_is_not_one_value():
    assert len({Backoff(1000, 1000).delay() for _ in range(50)}) > 10


def test_a_thousand_tries_do_not_overflow():
    backoff = Backoff(1, 300)
    for _ in range(1000):
        delay = backoff.delay()
    assert delay <= 375


def test_what_the_server_asks_wins_within_a_day():
    backoff = Backoff(60, 300)
    assert backoff.delay(Transient("429", retry_after=65)) == 65
    assert backoff.delay(Transient("429", retry_after=0)) == 60  # not a busy loop
    assert backoff.delay(Transient("429", retry_after=10**9)) == 86400
    assert backoff.tries == 3


async def test_sleep_beats_and_can_be_woken():
    beats = []
    await sleep(1.2, lambda: beats.append(1))
    assert len(beats) == 2
    wake = asyncio.Event()
    wake.set()
    began = time.ticks_ms()
    await sleep(100, lambda: None, wake)
    assert time.ticks_diff(time.ticks_ms(), began) < 50000
    assert not wake.is_set()


def test_a_stopwatch_counts_beyond_what_ticks_can_tell():
    now = [5]

    class Time:
        ticks_ms = staticmethod(lambda: now[0])
        ticks_diff = staticmethod(time.ticks_diff)

    stopwatch.time = Time
    watch = stopwatch.Stopwatch()
    for _ in range(30):  # days
        for _ in range(24):
            now[0] = time.ticks_add(now[0], 3600000)
            seconds = watch.seconds()
    assert seconds == 30 * 86400
