# Each board.py on the modules of the simulated boards: identity, network, watchdog, LED.

import asyncio
import sys

import machine
import network
import rp2
import rp2_machine
import rp2_network

from instar import wifi_board
from instar.errors import Transient

ESP32 = ("ESP32_GENERIC", "ESP32_GENERIC_S3", "ESP32_GENERIC_C3")
PICOS = ("RPI_PICO_W", "RPI_PICO2_W")
MAC = b"\x24\x0a\xc4\x01\x02\xff"
BUILT_IN = asyncio.sleep_ms


def load(name):
    """The board's class, imported as on the board."""
    pico = name in PICOS
    modules = (rp2_machine, rp2_network) if pico else (machine, network)
    modules[0].attach(1, MAC)
    modules[1].attach(MAC)
    wifi_board.machine, wifi_board.network = modules
    for old in ("board", "instar.esp32_board", "instar.pico_board"):
        sys.modules.pop(old, None)
    sys.modules["machine"], sys.modules["network"] = modules
    sys.path[0:0] = ["boards/" + name]
    try:
        return __import__("board").Board
    finally:
        del sys.path[0]


class Station:
    """A radio as its driver shows it: an ESP32 (status never below zero) tries by itself and takes
    no connect() meanwhile, a Pico's gives up."""

    def __init__(self, statuses=(), comes_back=None, esp32=True):
        self.calls = []
        self.statuses = list(statuses)
        self.comes_back = comes_back  # the status() or join after which there is a network
        self.esp32 = esp32
        self.trying = esp32
        self.joins = 0
        self.connected = False

    def isconnected(self):
        return self.connected

    def active(self, up):
        self.calls.append("active")

    def connect(self, *network):
        if self.esp32 and self.trying:
            raise OSError("Wifi Internal Error")
        self.calls.append(network)
        self.trying = True
        self.joins += 1
        self.connected = self.joins == self.comes_back

    def disconnect(self):
        self.calls.append("disconnect")
        self.trying = False

    def status(self, what=None):
        if what:
            raise OSError(0x300F, "ESP_ERR_WIFI_NOT_CONNECT")
        return self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]


def with_station(name, station, connect_s=10):
    board = load(name)("net", "a secret key", connect_s=connect_s)
    board._station = station
    return board


async def refused(board):
    try:
        await board.connect()
    except Transient as error:
        return str(error)
    raise AssertionError("expected Transient")


async def at_once(ms):
    await BUILT_IN(0)


asyncio.sleep_ms = at_once


async def test_every_board_knows_itself_and_joins():
    for name in ESP32 + PICOS:
        board = load(name)("net", "key")
        assert board.name == name
        assert board.identity() == {"mac": "24:0a:c4:01:02:ff"}, name
        assert board.reset_cause() == "power-on"
        assert (board.settings_path, board.state_dir) == ("/instar.json", "/.instar")
        assert not board._station.isconnected()
        await board.connect()
        assert board._station.isconnected()
        board._station.disconnect()


async def test_a_board_joins_again_though_the_driver_is_at_it():
    station = Station([200], comes_back=1)
    await with_station("ESP32_GENERIC", station).connect()
    assert station.calls == ["active", "disconnect", ("net", "a secret key")]
    await with_station("ESP32_GENERIC", station).connect()  # joined: nothing is done
    assert len(station.calls) == 3


async def test_a_radio_that_gave_up_is_asked_again_within_the_time():
    station = Station([1, -2, -1, -2], comes_back=3, esp32=False)
    await with_station("RPI_PICO_W", station).connect()
    assert station.joins == 3
    # An ESP32's driver is left alone: it tries on by itself.
    station = Station([201])
    assert "no ap found" in await refused(with_station("ESP32_GENERIC", station))
    assert station.joins == 1


async def test_it_says_why_it_cannot_join_and_stops_trying():
    for name, status, why in (
        ("ESP32_GENERIC", 202, "wrong password"),
        ("ESP32_GENERIC_C3", 204, "handshake timeout"),
        ("ESP32_GENERIC_S3", 1001, "status 1001"),
        ("RPI_PICO_W", -3, "wrong password"),
        ("RPI_PICO2_W", -2, "no ap found"),
    ):
        station = Station([status], esp32=name in ESP32)
        text = await refused(with_station(name, station, connect_s=2))
        assert text == "Wi-Fi: no connection after 2 s, " + why, text
        assert station.calls[-1] == "disconnect" and not station.trying


async def test_a_confused_radio_and_a_missing_name_are_worth_another_try():
    class Confused(Station):
        def disconnect(self):
            raise OSError("Wifi Unknown Error 0x0101")

    text = await refused(with_station("ESP32_GENERIC", Confused([0])))
    assert text == "Wi-Fi: Wifi Unknown Error 0x0101"
    pico = load("RPI_PICO2_W")()
    assert "expected a setting wifi_ssid" in await refused(pico)


async def test_the_watchdog_is_fed_while_it_joins():
    fed = []

    class Watchdog:
        def __init__(self, timeout):
            fed.append(timeout)

        def feed(self):
            fed.append("fed")

    board = with_station("ESP32_GENERIC", Station([201]), connect_s=1)
    board.feed()
    wifi_board.machine = type("machine", (), {"WDT": Watchdog})
    board.watchdog(60000)
    board.watchdog(1000)
    await refused(board)
    assert fed == [60000] + ["fed"] * 10


def test_watchdogs_wait_as_long_as_the_chip_can():
    def started(name, longest, wanted):
        board = load(name)("net", "key")

        def watchdog(timeout):
            if timeout > longest:
                raise ValueError("timeout exceeds %d" % longest)
            times.append(timeout)
            return watchdog

        times = []
        wifi_board.machine = type("machine", (), {"WDT": staticmethod(watchdog)})
        board.watchdog(wanted)
        board.watchdog(wanted)
        return times

    assert started("RPI_PICO_W", 8388, 60000) == [8388]
    assert started("RPI_PICO_W", 8388, 5000) == [5000]
    assert started("RPI_PICO2_W", 16777, 60000) == [16777]  # MicroPython 1.29
    assert started("RPI_PICO2_W", 8388, 60000) == [8388]  # and before
    assert started("RPI_PICO2_W", 8388, 5000) == [5000]
    assert started("ESP32_GENERIC_S3", 600000, 60000) == [60000]


async def test_the_led_is_on_while_there_is_no_network():
    for name in PICOS:
        pin = rp2_machine.Pin("LED")
        await refused(with_station(name, Station([-2], esp32=False), connect_s=1))
        assert pin.value() == 1
        await with_station(name, Station([1], comes_back=1, esp32=False)).connect()
        assert pin.value() == 0


def test_the_led_shows_that_an_update_is_under_way():
    board, pin = load("RPI_PICO_W"), rp2_machine.Pin("LED")
    seen = []
    for event in ("idle", "deployment", "state", "progress", "report", "idle", "retry", "idle"):
        board.show({"event": event})
        seen.append(pin.value())
    assert seen == [0, 1, 1, 1, 1, 0, 1, 0]


def test_an_esp32_has_an_led_only_if_the_application_says_so():
    board = load("ESP32_GENERIC_C3")
    board.show({"event": "deployment"})
    assert machine.Pin._levels == {}
    board.led, board.led_on = 8, 0  # as a board with an LED to its supply
    board.show({"event": "deployment"})
    assert machine.Pin._levels == {8: 0}
    board.show({"event": "idle"})
    assert machine.Pin._levels == {8: 1}


async def test_an_led_that_is_none_keeps_no_board_from_its_network():
    class Machine:
        class Pin:
            OUT = 1

            def __init__(self, id, mode, value):
                raise ValueError("invalid pin")

    board = with_station("ESP32_GENERIC", Station([1], comes_back=1))
    type(board).led = 99
    wifi_board.machine = Machine
    await board.connect()
    assert board._station.isconnected() and type(board).led is None


def test_the_firmware_shows_the_board_each_event():
    class Board:
        pass

    sys.path.append("firmware")
    sys.modules["board"] = type("board", (), {"Board": Board})
    seen = []
    for show in (None, seen.append):
        if show:
            Board.show = staticmethod(show)
        sys.modules.pop("start", None)
        __import__("start").console({"event": "idle", "seconds": 5})
    assert seen == [{"event": "idle", "seconds": 5}]


def test_the_inventory_goes_without_the_signal_of_a_network_that_is_gone():
    board = with_station("RPI_PICO_W", Station([0]))
    board._station.connected = True
    import os

    class Os:
        def uname(self):
            return type("uname", (), {"machine": "m", "release": "1.29.0"})

        def __getattr__(self, name):
            return getattr(os, name)

    wifi_board.os = Os()
    sys.path.append("/b")
    found = board.inventory()
    assert found["rssi"] is None and found["slot"] == "b"
    assert found["storage_size"] == os.statvfs("/")[1] * os.statvfs("/")[2]
