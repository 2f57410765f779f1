"""The values of one product's devices, in SQLite, and waiting for the next one.

A resource has a state, the value that reads and long polls give, and a history: what the device
wrote, at the time it came, and what it recorded, at the time it said. Times are microseconds
since 1970, values bytes.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from .murano_state import now
from .state import Database

_SCHEMA = """
CREATE TABLE IF NOT EXISTS murano_resources (
    product TEXT NOT NULL, identity TEXT NOT NULL, alias TEXT NOT NULL,
    value BLOB NOT NULL, modified INTEGER NOT NULL, PRIMARY KEY (product, identity, alias));
CREATE TABLE IF NOT EXISTS murano_points (
    product TEXT NOT NULL, identity TEXT NOT NULL, alias TEXT NOT NULL,
    at INTEGER NOT NULL, value BLOB NOT NULL, PRIMARY KEY (product, identity, alias, at));
"""

Entry = tuple[str, str, int, bytes]  # alias, the timestamp as it was sent and as it is, value


class Resources:
    """See the module."""

    def __init__(self, db: Database, product: str) -> None:
        self.db, self.product = db, product
        db.create(_SCHEMA)
        self._changes: dict[tuple[str, str], asyncio.Event] = {}
        self.closing = False

    def get(self, identity: str, alias: str) -> tuple[bytes, int] | None:
        """(value, when it was set), or None."""
        row = self.db.one(
            "SELECT value, modified FROM murano_resources"
            " WHERE product = ? AND identity = ? AND alias = ?",
            *(self.product, identity, alias),
        )
        return (row["value"], row["modified"]) if row else None

    def all(self, identity: str) -> dict[str, str]:
        """For people: bytes that are no UTF-8 are shown as U+FFFD."""
        rows = self.db.all(
            "SELECT alias, value FROM murano_resources WHERE product = ? AND identity = ?"
            " ORDER BY alias",
            *(self.product, identity),
        )
        return {row["alias"]: row["value"].decode(errors="replace") for row in rows}

    def history(self, identity: str, alias: str) -> list[list[Any]]:
        """[time, value for people] of all that was written and recorded, in order of time."""
        rows = self.db.all(
            "SELECT at, value FROM murano_points"
            " WHERE product = ? AND identity = ? AND alias = ? ORDER BY at",
            *(self.product, identity, alias),
        )
        return [[row["at"], row["value"].decode(errors="replace")] for row in rows]

    def set(self, identity: str, values: dict[str, bytes]) -> None:
        """What the operator does: the state, not the history."""
        with self.db.connection:
            self._set(identity, values, now())

    def write(self, identity: str, values: dict[str, bytes]) -> None:
        """What a device writes: state and history, all with one timestamp."""
        with self.db.connection:
            at = now()
            while any(self._has(identity, alias, at) for alias in values):
                at += 1
            for alias, value in values.items():
                self._add(identity, alias, at, value)
            self._set(identity, values, at)

    def record(self, identity: str, entries: Iterable[Entry]) -> list[Entry]:
        """Put ``entries`` into the history; the newest of each alias becomes the state, with the
        time of now. Returns those not taken, because their time has a value already."""
        newest: dict[str, tuple[int, bytes]] = {}
        refused = []
        with self.db.connection:
            for entry in entries:
                alias, _, at, value = entry
                if self._has(identity, alias, at):
                    refused.append(entry)
                    continue
                self._add(identity, alias, at, value)
                if alias not in newest or newest[alias][0] < at:
                    newest[alias] = at, value
            self._set(identity, {alias: found[1] for alias, found in newest.items()}, now())
        return refused

    def _has(self, identity: str, alias: str, at: int) -> bool:
        query = (
            "SELECT 1 FROM murano_points"
            " WHERE product = ? AND identity = ? AND alias = ? AND at = ?"
        )
        return self.db.one(query, self.product, identity, alias, at) is not None

    def _add(self, identity: str, alias: str, at: int, value: bytes) -> None:
        row = (self.product, identity, alias, at, value)
        self.db.connection.execute("INSERT INTO murano_points VALUES (?, ?, ?, ?, ?)", row)

    def _set(self, identity: str, values: dict[str, bytes], at: int) -> None:
        for alias, value in values.items():
            self.db.connection.execute(
                "INSERT OR REPLACE INTO murano_resources VALUES (?, ?, ?, ?, ?)",
                (self.product, identity, alias, value, at),
            )
            if waiting := self._changes.pop((identity, alias), None):
                waiting.set()

    async def next(self, identity: str, alias: str, seconds: float) -> None:
        """Wait until the state is set again, or for ``seconds``, or until `close`."""
        waiting = self._changes.setdefault((identity, alias), asyncio.Event())
        try:
            await asyncio.wait_for(waiting.wait(), seconds)
        except asyncio.TimeoutError:
            return

    def close(self) -> None:
        """Let nobody wait any longer."""
        self.closing = True
        for waiting in self._changes.values():
            waiting.set()
