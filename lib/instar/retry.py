# Waiting before another try: exponential backoff with jitter, and sleeps that show progress.
#
#   backoff = Backoff(first=60, most=300)
#   await sleep(backoff.delay(error), beat)
#   watch = Stopwatch(); watch.seconds()
# SPDX-License-Identifier: MIT

import asyncio
import os
import time

from micropython import const

_SLICE_MS = const(1000)
_DAY = const(86400)


class Backoff:
    """Doubles from `first` to `most` seconds, each time moved by up to a quarter either way.

    The jitter keeps a fleet that lost its server in one moment from coming back in one moment.
    """

    def __init__(self, first, most):
        self._first = first
        self._most = most
        self.tries = 0

    def reset(self):
        self.tries = 0

    def delay(self, error=None):
        """Seconds to wait after `error`. What the server asked for (Retry-After) is obeyed as it
        is, up to a day, and counts as a try."""
        step = min(self._first << min(self.tries, 16), self._most)
        self.tries += 1
        asked = getattr(error, "retry_after", None)
        if asked is not None:
            return min(max(asked, 1), _DAY)  # a 0 must not become a busy loop
        return step * (768 + os.urandom(1)[0] * 2) / 1024


class Stopwatch:
    """Seconds since it was made, whatever the clock is set to meanwhile.

    Has to be asked once in six days at least: ticks begin anew after twelve.
    """

    def __init__(self):
        self._last = time.ticks_ms()
        self._ms = 0

    def seconds(self):
        """So far, as a float."""
        now = time.ticks_ms()
        self._ms += time.ticks_diff(now, self._last)
        self._last = now
        return self._ms / 1000


async def sleep(seconds, beat, wake=None):
    """Sleep in slices of a second and call `beat` in each, so that the watchdog sees life.

    wake: an asyncio.Event that ends the sleep early; it is cleared then.
    """
    left = int(seconds * 1000)
    await asyncio.sleep_ms(0)  # even a sleep of nothing lets the others go on
    while left > 0 and not (wake and wake.is_set()):
        beat()
        await asyncio.sleep_ms(min(left, _SLICE_MS))
        left -= _SLICE_MS
    if wake:
        wake.clear()
