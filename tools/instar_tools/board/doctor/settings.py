# `instar doctor` on the board: what instar's own code says of its settings, its records, its slots
# and the update that may be under way.
#
#   look()            # leaves `settings` (None if they do not load) and `board` for network.py
#
# Limits: never says a secret: errors are instar's own. Writes nothing: see Looking.
# SPDX-License-Identifier: MIT
import os

from board import Board

from instar.errors import InstarError
from instar.settings import Settings
from instar.store import Store

settings = board = None


class Looking(Store):
    """The store as it is: Store() would make its folder, and clear away what is half written."""

    def __init__(self, root):
        self._root = root

    def put(self, name, data):
        pass

    def delete(self, name):
        pass

    def move(self, name, to):
        pass


def look_store():
    """The board's store, or None: nothing was ever stored."""
    try:
        os.stat(Board.state_dir)
    except OSError:
        return None
    return Looking(Board.state_dir)


def look_records(store):
    """Names of the records that cannot be read."""
    damaged = []
    for name in store.names():
        try:
            store.get(name)
        except (InstarError, OSError):
            damaged.append(name)
    return damaged


def look_slots(store):
    from instar import boot

    slots = boot.Slots(store)
    return {
        "firmware": boot.FIRMWARE,
        "running": slots.running,
        "active": slots.active,
        "left": slots.left,
        "damaged": slots.damaged,
        "usable": [slot for slot in "ab" if boot.usable(slot)],
    }


def look_update(store):
    """[state, verdict] of the update that is under way, or None."""
    try:
        update = store.get_json("update")
    except (InstarError, ValueError):
        return None  # damaged: look_records() says so
    return update and [update.get("state"), update.get("verdict")]


def look_problem(get):
    """What instar says as it reads this, or None."""
    try:
        get()
        return None
    except InstarError as error:
        return str(error)


def look_settings(store):
    global settings, board
    found = {"path": Board.settings_path, "there": True}
    try:
        os.stat(Board.settings_path)
    except OSError:
        found["there"] = False
        return found
    try:
        settings = Settings.load(Board.settings_path, store)
    except InstarError as error:
        found["problem"] = str(error)
        return found
    board = Board(settings.wifi_ssid, settings.wifi_password)
    names = ("mender_url", "murano_url", "magistrala_url", "bootstrap_url")
    found["servers"] = [(name, getattr(settings, name)) for name in names]
    found["stored_problem"] = settings.problem
    found["waits"] = settings.bootstrap_url != "" and not settings.configured
    found["ca"] = look_problem(settings.ca_certificates)
    found["client"] = look_problem(settings.client_certificate)
    found["keys"] = look_problem(settings.verify_keys)
    for name in ("device_type", "wifi_ssid", "watchdog", "ntp_host"):
        found[name] = getattr(settings, name)
    found["watchdog_ms"] = getattr(board, "longest_watchdog_ms", None)
    return found


def look():
    store = look_store()
    return {
        "settings": look_settings(store),
        "damaged": look_records(store) if store else [],
        "update": look_update(store) if store else None,
        "slots": look_slots(store) if store else None,
    }
