"""board.py, as instar uses it, on the simulated board."""

from __future__ import annotations

from instar_tools import image_builder
from instar_tools.paths import BOARDS, LIB
from instar_tools.simulated.flash_builder import write_flash
from instar_tools.simulated.simulator import Simulator

MAIN = b"""
import asyncio, json, time, machine, network
from board import Board

def say(event, **info):
    print('@instar ' + json.dumps(dict(info, event=event)))

board = Board('net', 'key')
if machine.reset_cause() == 1:
    say('first', identity=board.identity(), cause=board.reset_cause(), path=board.settings_path)
    asyncio.run(board.connect())
    asyncio.run(board.connect())  # is connected: nothing to do
    board.feed()  # no watchdog yet
    board.set_clock(1793491261)
    say('ready', inventory=board.inventory(), date=time.gmtime()[:5])
    board.reset()
elif machine.reset_cause() == 2:
    say('second', cause=board.reset_cause(), date=time.gmtime()[:5])
    board.watchdog(200)
    board.watchdog(100000)  # once only
    while True: pass
else:
    say('third', cause=board.reset_cause())
    network.WLAN.connect = lambda *a: None  # out of reach
    try:
        asyncio.run(Board(connect_s=1).connect())
    except Exception as error:
        say('refused', kind=type(error).__name__, text=str(error))
"""


def test_board_does_what_instar_asks_of_it(tmp_path):
    files = {
        "main.py": MAIN,
        "board.py": (BOARDS / "ESP32_GENERIC" / "board.py").read_bytes(),
        "instar/esp32_board.py": (LIB / "instar" / "esp32_board.py").read_bytes(),
        "instar/wifi_board.py": (LIB / "instar" / "wifi_board.py").read_bytes(),
        "instar/__init__.py": b"",
        "instar/errors.py": (LIB / "instar" / "errors.py").read_bytes(),
    }
    flash = tmp_path / "board.flash"
    write_flash(flash, image_builder.build_image("1", image_builder.compiled(files)), seed=1)
    events, console = {}, []
    Simulator(
        flash, on_event=lambda e: events.update({e["event"]: e}), console=console.append
    ).run("refused", seconds=30)
    assert "refused" in events, console
    mac = events["first"]["identity"]["mac"]
    assert mac.startswith("24:0a:c4:") and mac == mac.lower() and len(mac) == 17
    assert events["first"]["cause"] == "power-on" and events["first"]["path"] == "/instar.json"
    inventory = events["ready"]["inventory"]
    assert inventory["flash_size"] == 4 << 20 and inventory["slot"] == "ota_0"
    assert all(type(value) in (str, int) for value in inventory.values()), inventory
    assert events["ready"]["date"] == events["second"]["date"] == [2026, 11, 1, 0, 1]
    assert events["second"]["cause"] == "hard" and events["third"]["cause"] == "watchdog"
    assert events["refused"]["kind"] == "Transient"
    assert "no connection after 1 s" in events["refused"]["text"]
