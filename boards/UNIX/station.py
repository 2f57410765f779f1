# What the network modules of all simulated boards share: a Wi-Fi station that is always in reach
# of its access point. The sockets behind it are the host's.
# SPDX-License-Identifier: MIT


class Station:
    """Every object is the same station. A chip's module says its status codes and its config()."""

    _active = False
    _connected = False
    _IDLE = _GOT_IP = None

    def __init__(self, interface=0):
        if interface != 0:
            raise ValueError("the simulated board has no access point")

    def active(self, up=None):
        if up is None:
            return Station._active
        Station._active = bool(up)
        Station._connected = Station._connected and Station._active
        return Station._active

    def disconnect(self):
        Station._connected = False

    def isconnected(self):
        return Station._connected

    def status(self, what=None):
        if what == "rssi":
            return -50
        return self._GOT_IP if Station._connected else self._IDLE

    def ifconfig(self):
        address = "127.0.0.1" if Station._connected else "0.0.0.0"
        return address, "255.0.0.0", address, address

    def _mac(self):
        raise NotImplementedError

    def config(self, name=None, **settings):
        if name == "mac":
            return self._mac()
        if name is not None:
            raise ValueError("unknown config param")
        return None
