# A module that stands in sys.modules for another: it has what its class defines, else what the
# real one has. An object, not a file, so that no file of the board's own can come before it.
# SPDX-License-Identifier: MIT


class StandIn:
    """real: the module behind it. hidden: names of it that a board has not got."""

    def __init__(self, real, hidden=()):
        self._real = real
        self._hidden = hidden

    def __getattr__(self, name):
        if name == "__all__":  # `from x import *` asks an object for this
            return [n for n in dir(self._real) if n[0] != "_" and n not in self._hidden]
        if name in self._hidden:
            raise AttributeError(name)
        return getattr(self._real, name)
