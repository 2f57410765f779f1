# Seeded randomness: os.urandom and random give equal bytes for equal (seed, boot).
# Os stands in sys.modules as `os`, and says what board this is; all else is the host's os without
# what a board has not got.
# SPDX-License-Identifier: MIT
import hashlib
import os as _os
import random as _random
from collections import namedtuple

from micropython import const
from standin import StandIn

_HIDDEN = ("system", "getenv", "putenv", "unsetenv", "VfsPosix")
_DIGEST = const(32)
_Uname = namedtuple("uname", ("sysname", "nodename", "release", "version", "machine"))


class Os(StandIn):
    """The os module of the board.

    seed: bytes, or None for the host's randomness. platform, machine: what uname() says.
    """

    def __init__(self, seed, platform, machine):
        super().__init__(_os, _HIDDEN)
        self._names = (platform, machine)
        self._seed = seed
        self._drawn = 0
        if seed is not None:
            _random.seed(int.from_bytes(hashlib.sha256(seed).digest()[:4], "big"))

    def urandom(self, count):
        if self._seed is None:
            return _os.urandom(count)
        out = b""
        while len(out) < count:
            self._drawn += 1
            out += hashlib.sha256(self._seed + self._drawn.to_bytes(4, "big")).digest()
        return out[:count]

    def uname(self):
        import sys

        release = "{}.{}.{}".format(*sys.implementation.version[:3])
        platform, machine = self._names
        return _Uname(platform, platform, release, "v" + release, machine)
