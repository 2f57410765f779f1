# Waiting before another try: exponential backoff with jitter, and sleeps that show progress.
#
#   backoff = Backoff(first=60, most=300)
#   await sleep(backoff.delay(error), beat)
# SPDX-License-Identifier: MIT

import asyncio
import os

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
        """Seconds to wait after `error`. What the server asked for (Retry-After) is obeyed, from
        `first` up to a day, and counts as a try."""
        step = min(self._first << min(self.tries, 16), self._most)
        self.tries += 1
        asked = getattr(error, "retry_after", None)
        if asked is not None:
            return min(max(asked, self._first), _DAY)  # a 0 must not become a busy loop
        return step * (768 + os.urandom(1)[0] * 2) / 1024


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
