# The network module of the simulated ESP32.
# SPDX-License-Identifier: MIT
from station import Station

STA_IF = 0
AP_IF = 1
STAT_IDLE = 1000
STAT_CONNECTING = 1001
STAT_GOT_IP = 1010
STAT_NO_AP_FOUND = 201
STAT_WRONG_PASSWORD = 202
STAT_HANDSHAKE_TIMEOUT = 204

_mac = bytes(6)


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

    def connect(self, ssid=None, key=None, *, bssid=None):
        """Without an SSID: the network that the chip knows from before."""
        if not Station._active:
            raise OSError("Wifi Not Started")
        Station._connected = True

    def _mac(self):
        return _mac
