# The network module of the simulated board: a station that is always in reach of its access point.
# The sockets behind it are the host's.
# SPDX-License-Identifier: MIT
STA_IF = 0
AP_IF = 1
STAT_IDLE = 1000
STAT_CONNECTING = 1001
STAT_GOT_IP = 1010

_mac = bytes(6)


def attach(mac):
    """Give the station its address. For power_on."""
    global _mac
    _mac = mac


class WLAN:
    """WLAN(STA_IF). Every object is the same station."""

    IF_STA = STA_IF
    IF_AP = AP_IF
    _active = False
    _connected = False

    def __init__(self, interface=STA_IF):
        if interface != STA_IF:
            raise ValueError("the simulated board has no access point")

    def active(self, up=None):
        if up is None:
            return WLAN._active
        WLAN._active = bool(up)
        WLAN._connected = WLAN._connected and WLAN._active
        return WLAN._active

    def connect(self, ssid=None, key=None, *, bssid=None):
        if not WLAN._active:
            raise OSError("Wifi Not Started")
        WLAN._connected = True

    def disconnect(self):
        WLAN._connected = False

    def isconnected(self):
        return WLAN._connected

    def status(self, what=None):
        if what == "rssi":
            return -50
        return STAT_GOT_IP if WLAN._connected else STAT_IDLE

    def ifconfig(self):
        address = "127.0.0.1" if WLAN._connected else "0.0.0.0"
        return address, "255.0.0.0", address, address

    def config(self, name=None, **settings):
        if name == "mac":
            return _mac
        if name is not None:
            raise ValueError("unknown config param")
        return None
