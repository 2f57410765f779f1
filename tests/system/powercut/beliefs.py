"""What a development server believes: taken, put back, and shown; all in the server's own thread.

    beliefs = Beliefs(dev_server)
    snapshot = beliefs.take()          # the database's rows and the faults in force
    beliefs.restore(snapshot)          # in this server, or in another one with the same keys
    beliefs.view()                     # for an oracle: plain dicts and lists

Keys, uploaded Artifacts and contents are files, and a product of Murano is a listener: they are
no part of a snapshot. A server that is to take one is made on a copy of the other's folder.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import asyncio
import copy
import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from aiohttp import web

from instar_tools.server import faults
from instar_tools.server.testing import DevServer

# Columns that say when, and so differ between two servers that were told the same.
_TIMES = {"created", "updated", "at", "finished", "modified", "uploaded"}
_LISTENERS = ("murano_products",)
# What a board measures, and so differs between two starts of the same.
_MEASURED = {"heap_free", "rssi", "uptime"}
_STATUS = re.compile(r"/deployments/device/deployments/([^/]+)/status$")
_CONFLICT = 409
_PASSES = 6  # of the event loop: accept, connect, read, act, answer, and one to spare

Result = TypeVar("Result")


@dataclass(frozen=True)
class Snapshot:
    """tables: columns and rows of each, in SQLite's order. key: the same for equal beliefs."""

    tables: dict[str, tuple[list[str], list[tuple]]]
    faults: list[faults.Fault]
    key: str


class Beliefs:
    """See the module. ``on_request(line, done)`` is called in the server's thread when a device's
    request has come (done: False), and when it was acted on and not answered yet (True)."""

    def __init__(self, server: DevServer) -> None:
        self._dev = server
        self._tasks: set[asyncio.Task] = set()
        self.on_request: Callable[[str, bool], None] | None = None
        self._last: tuple[tuple[int, str], Snapshot] | None = None
        self._refused: Counter[str] = Counter()
        self._act = server.server.faults.apply
        server.server.faults.apply = self._watched  # type: ignore[method-assign]
        self._call(self._hurry)

    @property
    def _db(self):
        return self._dev.server.db

    def _hurry(self) -> None:
        # The harness forgets everything at a power cut of its own.
        self._db.connection.execute("PRAGMA synchronous = OFF")

    def _call(self, function: Callable[..., Result], *args: Any) -> Result:
        async def called() -> Result:
            return function(*args)

        return asyncio.run_coroutine_threadsafe(called(), self._dev._loop).result()

    async def _watched(self, request: web.Request, handler: faults.Handler) -> web.StreamResponse:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        line = f"{request.method} {request.path}"
        try:
            self._tell(line, False)
            answer = await self._act(request, handler)
            self._tell(line, True)
            report = _STATUS.search(request.path)
            if report and answer.status == _CONFLICT:
                self._refused[report[1]] += 1
            return answer
        finally:
            self._tasks.discard(task)

    def _tell(self, line: str, done: bool) -> None:
        if self.on_request:
            self.on_request(line, done)

    # Taking and putting back.

    def take(self) -> Snapshot:
        """What the server believes now. Equal objects as long as nothing was changed."""
        return self._call(self.take_here)

    def take_here(self) -> Snapshot:
        """`take`, for a caller in the server's thread."""
        now = self._db.connection.total_changes, repr(self._dev.server.faults.plan)
        if not self._last or self._last[0] != now:
            self._last = now, self._dump()
        return self._last[1]

    def _dump(self) -> Snapshot:
        tables, digest = {}, hashlib.sha256()
        for table in self._tables():
            rows = self._db.all(f"SELECT rowid AS row_, * FROM {table} ORDER BY rowid")
            names = ["row_", *self._columns(table)]
            tables[table] = names, [tuple(row) for row in rows]
            kept = [at for at, name in enumerate(names) if name not in _TIMES and at]
            steady = (row for row in rows if table != "inventory" or row["name"] not in _MEASURED)
            said = [[row[at] for at in kept] for row in steady]
            digest.update(repr((table, said)).encode())
        plan = copy.deepcopy(self._dev.server.faults.plan)
        digest.update(repr(plan).encode())
        return Snapshot(tables, plan, digest.hexdigest())

    def _tables(self) -> list[str]:
        query = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
        names = [row["name"] for row in self._db.all(query)]
        return [name for name in names if name not in _LISTENERS]

    def _columns(self, table: str) -> list[str]:
        return [row["name"] for row in self._db.all(f"PRAGMA table_info({table})")]

    def restore(self, snapshot: Snapshot) -> None:
        """Believe this, and have heard nothing since. No device may be connected: see `settle`."""
        self._call(self._restore, snapshot)

    def _restore(self, snapshot: Snapshot) -> None:
        run = self._db.connection
        run.execute("PRAGMA foreign_keys = OFF")  # the rows come table by table
        with run:
            for table, (names, rows) in snapshot.tables.items():
                columns = ", ".join(["rowid", *names[1:]])
                places = ", ".join("?" * len(names))
                run.execute(f"DELETE FROM {table}")
                run.executemany(f"INSERT INTO {table} ({columns}) VALUES ({places})", rows)
        run.execute("PRAGMA foreign_keys = ON")
        self._dev.server.faults.plan = copy.deepcopy(snapshot.faults)
        self._dev.server.recorder.entries.clear()
        self._refused.clear()
        self._last = None

    def settle(self) -> None:
        """After a board was switched off: what it had sent is acted on, what it waited for is
        called off, and its connections are gone. Else they would speak into the next state."""
        asyncio.run_coroutine_threadsafe(self._settle(), self._dev._loop).result()

    async def _settle(self) -> None:
        for _ in range(_PASSES):
            await asyncio.sleep(0)
        for task in self._tasks:  # a long poll, a stall
            task.cancel()
        for runner in self._dev.server._runners:
            assert runner.server is not None
            for connection in runner.server.connections:
                connection.force_close()
        for _ in range(_PASSES):
            await asyncio.sleep(0)

    # Showing.

    def view(self) -> dict[str, Any]:
        """devices (as the management API shows them, with auth_sets), deployments by id
        (statuses as the device sent them, aborted, log; refused: reports that came after that in
        this run), inventory by device and name, murano (the product `lab`: by identity; of a
        history each value once), magistrala (messages). What is measured is left out."""
        return self._call(self._view)

    def _view(self) -> dict[str, Any]:
        server = self._dev.server
        devices = server.devices.list()
        return {
            "devices": devices,
            "deployments": {row["id"]: self._deployment(row["id"]) for row in self._rollouts()},
            "inventory": {device["id"]: self._inventory(device["id"]) for device in devices},
            "murano": self._murano(),
            "magistrala": {"messages": server.messages.list()},
        }

    def _rollouts(self):
        return self._db.all("SELECT id FROM deployments ORDER BY rowid")

    def _inventory(self, device: str) -> dict[str, Any]:
        found = self._dev.server.devices.inventory(device)
        return {item["name"]: item["value"] for item in found if item["name"] not in _MEASURED}

    def _deployment(self, deployment: str) -> dict[str, Any]:
        history = self._dev.server.rollouts.history(deployment)
        logs = self._db.all("SELECT messages FROM logs WHERE deployment = ?", deployment)
        row = self._db.one("SELECT aborted FROM deployments WHERE id = ?", deployment)
        return {
            "statuses": [entry["status"] for entry in history if entry["sender"] == "device"],
            "history": [(entry["sender"], entry["status"]) for entry in history],
            "refused": self._refused[deployment],
            "aborted": row is not None and row["aborted"] is not None,
            "log": [entry["message"] for row in logs for entry in json.loads(row["messages"])],
        }

    def _murano(self) -> dict[str, Any]:
        service = self._dev.server.murano.services.get("lab")
        if service is None:
            return {}
        found, past = {}, service.resources.history
        for entry in service.identities.list():
            name = entry["identity"]
            history = {
                # At each start a board tells the same once more.
                alias: list(dict.fromkeys(_steady(x) for _, x in past(name, alias)))
                for alias in service.product.resources
            }
            held = service.resources.all(name)
            resources = {alias: _steady(value) for alias, value in held.items()}
            found[name] = {"state": entry["state"], "resources": resources, "history": history}
        return found


def _steady(value: Any) -> Any:
    # A value of a resource without what is measured.
    try:
        said = json.loads(value)
    except (TypeError, ValueError):
        return value
    if not isinstance(said, dict):
        return value
    return json.dumps({name: said[name] for name in sorted(said.keys() - _MEASURED)})
