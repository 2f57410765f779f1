"""The tests of test_structured.py, again and again until the time is over.

    clocked.py SECONDS        # its last line: how many examples were tried

Without pytest, whose time limit for a test is shorter than a long run. What fails is raised at
once; kept() of test_structured.py says where the Artifact lies.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import functools
import os
import sys
import time
from collections.abc import Callable, Sequence

ROUND = 100  # examples of one test before the next has its turn


class Clock:
    """Counts the examples that tests of hypothesis try, and ends them when the time is over."""

    def __init__(self, seconds: float, now: Callable[[], float] = time.monotonic) -> None:
        self.executions = 0
        self._now = now
        self._end = now() + seconds
        self._failed = False

    def run(self, tests: Sequence[Callable]) -> None:
        for test in tests:
            test.hypothesis.inner_test = self._counted(test.hypothesis.inner_test)
        while not self._over():
            for test in tests:
                test()

    def _over(self) -> bool:
        return self._now() >= self._end

    def _counted(self, inner: Callable) -> Callable:
        @functools.wraps(inner)
        def counted(*args, **kwargs) -> None:
            # A failure is made smaller however long that takes: it must not come and go.
            if self._over() and not self._failed:
                return
            self.executions += 1
            try:
                inner(*args, **kwargs)
            except Exception:
                self._failed = True
                raise

        return counted


def main() -> None:
    os.environ["FUZZ_EXAMPLES"] = str(ROUND)
    import test_structured

    tests = [value for value in vars(test_structured).values() if hasattr(value, "hypothesis")]
    clock = Clock(float(sys.argv[1]))
    try:
        clock.run(tests)
    finally:
        print(clock.executions)


if __name__ == "__main__":
    main()
