# The network module of the simulated Pico W, as extmod/network_cyw43.c has it.
# SPDX-License-Identifier: MIT
from station import Station

STA_IF = 0
AP_IF = 1
STAT_IDLE = 0
STAT_CONNECTING = 1
STAT_GOT_IP = 3
STAT_CONNECT_FAIL = -1
STAT_NO_AP_FOUND = -2
STAT_WRONG_PASSWORD = -3

_mac = bytes(6)
_loaded = False  # the driver reads the address from the radio, when that is first switched on


def attach(mac):
    """Give the station its address. For power_on."""
    global _mac
    _mac = mac


class WLAN(Station):
    """WLAN(STA_IF)."""

    IF_STA = STA_IF
    IF_AP = AP_IF
    _IDLE = STAT_IDLE
    _GOT_IP = STAT_GOT_IP

    def active(self, up=None):
        global _loaded
        state = super().active(up)
        _loaded = _loaded or state
        return state if up is None else None

    def connect(self, ssid, key=None, *, security=None, bssid=None, channel=None):
        """The radio remembers no network: an SSID has to be given."""
        if not Station._active:
            raise OSError(1)
        Station._connected = True

    def _mac(self):
        return _mac if _loaded else bytes(6)
