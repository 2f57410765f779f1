# What the network around the board says about names: power_on's dns=. A test's proxy, a name that
# does not exist, an address that depends on nothing but the name: all without another line in
# the board's settings.
#   dns=updates.test:443=127.0.0.1:8443,time.test=127.0.0.1:5123,*=!
# Each entry: a name, perhaps with the port asked for, or * for every other name; then the address
# and the port that is connected to instead, or ! for a name that does not exist.
# SPDX-License-Identifier: MIT
import socket

from standin import StandIn

_NO_SUCH_NAME = -2


class Socket(StandIn):
    """The socket module of the board; table: the text of dns=."""

    def __init__(self, table):
        super().__init__(socket)
        self._table = dict(entry.split("=", 1) for entry in table.split(","))

    def getaddrinfo(self, host, port, *rest):
        place = f"{host}:{port}"
        found = self._table.get(place) or self._table.get(host) or self._table.get("*")
        if found == "!":
            raise OSError(_NO_SUCH_NAME)
        if found:
            host, _, port = found.rpartition(":")
            port = int(port)
        return socket.getaddrinfo(host, port, *rest)
