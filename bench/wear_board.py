# What wear.py measures on the file system alone: a real LittleFS of an ESP32's 960 KiB, and the
# journal and the outbox as they are. One question of JSON on stdin, one answer:
#   ["updates", count] or ["outage", days, every] -> {"erases": {sector: n}, "programs": n, ...}
# SPDX-License-Identifier: MIT
import asyncio
import json
import sys

import littlefs
from littlefs import Disk
from outbox_store import Server, Ticks, numbered
from test_journal_wear import Clock, good_update, store

from instar.journal import Journal
from instar.outbox import Outbox
from instar.store import Store

SECTORS = 240
DAY = 86400


class Wear:
    """Counts a Disk's operations from now on."""

    def __init__(self):
        self.erases = {}
        self.programs = 0

    def step(self, kind, address, length=0):
        if kind == "erase":
            sector = str(address // 4096)
            self.erases[sector] = self.erases.get(sector, 0) + 1
        else:
            self.programs += 1

    @property
    def found(self):
        return {"erases": self.erases, "programs": self.programs}


class Idle(littlefs._Chip):
    """No cuts, no numbers: fast."""

    wear = None

    def _step(self, kind, address, length):
        self.wear.step(kind, address)


littlefs._Chip = Idle


def updates(count):
    """So many updates that succeed: the journal, and what the board provides after each."""
    with Disk(sectors=SECTORS):
        records = store()
        wear = Idle.wear = Wear()
        for number in range(count):
            good_update(Journal(records, Clock()))
            records.put_json("provides", {"artifact_name": f"release-{number}"})
        return wear.found


def outage(days, every):
    """So many days without a network, with a value of 60 bytes each `every` seconds; then one."""
    with Disk(sectors=SECTORS):
        store()
        wear = Idle.wear = Wear()
        clock = Ticks()
        outbox = Outbox(Store("/.instar"))
        for now in range(0, days * DAY, 10):
            clock.ms = 1000 * now
            if now % every == 0:
                outbox.put("channel", numbered(now))
            if now % 60 == 0:
                outbox.tick()
        found = wear.found
        found["kept"] = days * DAY // every - outbox.lost
        wear = Idle.wear = Wear()
        asyncio.run(outbox.drain(Server().send))
        assert not outbox.waiting
        found["sending"] = wear.programs + sum(wear.erases.values())
        return found


Idle.wear = Wear()
name, *numbers = json.load(sys.stdin)
print(json.dumps({"updates": updates, "outage": outage}[name](*numbers)))
