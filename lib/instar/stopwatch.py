# Time that passes, whatever the clock is set to meanwhile, and for longer than ticks can tell.
#
#   uptime = Stopwatch()
#   uptime.seconds()
# SPDX-License-Identifier: MIT

import time


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
