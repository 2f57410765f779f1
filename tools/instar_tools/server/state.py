"""What the server knows of devices: identities, keys, who is accepted, inventory. In SQLite.

A device is an identity (the canonical JSON of its id_data); each key it comes with is an
authentication set of its own, to be accepted or rejected. `Database` is shared by all protocols:
each brings its own tables. One thread only.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import datetime as dt
import json
import sqlite3
import uuid
from pathlib import Path
from typing import Any

ACCEPTED, PENDING, REJECTED, PREAUTHORIZED = "accepted", "pending", "rejected", "preauthorized"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS devices (
    id TEXT PRIMARY KEY, identity TEXT UNIQUE NOT NULL, created TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS auth_sets (
    id TEXT PRIMARY KEY, device TEXT NOT NULL REFERENCES devices ON DELETE CASCADE,
    pubkey TEXT NOT NULL, status TEXT NOT NULL, created TEXT NOT NULL, UNIQUE (device, pubkey));
CREATE TABLE IF NOT EXISTS inventory (
    device TEXT NOT NULL REFERENCES devices ON DELETE CASCADE,
    name TEXT NOT NULL, value TEXT NOT NULL, description TEXT, updated TEXT NOT NULL,
    PRIMARY KEY (device, name));
"""


def now() -> str:
    """This moment in RFC 3339, UTC."""
    return dt.datetime.now(dt.timezone.utc).isoformat().replace("+00:00", "Z")


def new_id() -> str:
    return str(uuid.uuid4())


class Database:
    """One SQLite file. Each statement, or each ``with db.connection:``, is durable when done."""

    def __init__(self, path: Path) -> None:
        self.connection = sqlite3.connect(path)
        self.connection.row_factory = sqlite3.Row
        self.connection.executescript(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON;"
        )

    def create(self, schema: str) -> None:
        self.connection.executescript(schema)

    def all(self, query: str, *values: Any) -> list[sqlite3.Row]:
        return self.connection.execute(query, values).fetchall()

    def one(self, query: str, *values: Any) -> sqlite3.Row | None:
        return self.connection.execute(query, values).fetchone()

    def run(self, query: str, *values: Any) -> int:
        """Execute and commit. Returns how many rows changed."""
        with self.connection:
            return self.connection.execute(query, values).rowcount

    def close(self) -> None:
        self.connection.close()


class Devices:
    """Devices, their authentication sets and their inventory."""

    def __init__(self, db: Database) -> None:
        self.db = db
        db.create(_SCHEMA)

    def request(self, identity: str, pubkey: str, accept: bool) -> sqlite3.Row:
        """The auth set of this identity and key, made (pending, or accepted) if it is new."""
        with self.db.connection:
            auth_set = self._find(identity, pubkey) or self._add(identity, pubkey, PENDING)
        if auth_set["status"] == PREAUTHORIZED or (accept and auth_set["status"] == PENDING):
            self.decide(auth_set["device"], auth_set["id"], ACCEPTED)
        return self._get(auth_set["id"])

    def preauthorize(self, identity: str, pubkey: str) -> str | None:
        """Accept a device before it ever came. Returns its id, or None if it is known already."""
        if self.db.one("SELECT 1 FROM devices WHERE identity = ?", identity):
            return None
        with self.db.connection:
            return self._add(identity, pubkey, PREAUTHORIZED)["device"]

    def _find(self, identity: str, pubkey: str) -> sqlite3.Row | None:
        return self.db.one(
            "SELECT a.* FROM auth_sets a JOIN devices d ON d.id = a.device"
            " WHERE d.identity = ? AND a.pubkey = ?",
            identity,
            pubkey,
        )

    def _get(self, auth_set: str) -> sqlite3.Row:
        row = self.db.one("SELECT * FROM auth_sets WHERE id = ?", auth_set)
        assert row is not None
        return row

    def _add(self, identity: str, pubkey: str, status: str) -> sqlite3.Row:
        run = self.db.connection.execute
        run("INSERT OR IGNORE INTO devices VALUES (?, ?, ?)", (new_id(), identity, now()))
        device = self.db.one("SELECT id FROM devices WHERE identity = ?", identity)
        assert device is not None
        row = (new_id(), device["id"], pubkey, status, now())
        run("INSERT INTO auth_sets VALUES (?, ?, ?, ?, ?)", row)
        return self._get(row[0])

    def decide(self, device: str, auth_set: str, status: str) -> bool:
        """Accept or reject a key. A device has one accepted key: others become rejected.

        Returns whether there is such a set.
        """
        with self.db.connection as run:
            changed = run.execute(
                "UPDATE auth_sets SET status = ? WHERE id = ? AND device = ?",
                (status, auth_set, device),
            ).rowcount
            if changed and status == ACCEPTED:
                run.execute(
                    "UPDATE auth_sets SET status = ? WHERE device = ? AND id <> ? AND status = ?",
                    (REJECTED, device, auth_set, ACCEPTED),
                )
        return bool(changed)

    def is_accepted(self, device: str, auth_set: str) -> bool:
        return bool(
            self.db.one(
                "SELECT 1 FROM auth_sets WHERE id = ? AND device = ? AND status = ?",
                auth_set,
                device,
                ACCEPTED,
            )
        )

    def forget(self, device: str) -> bool:
        """Decommission: the device, its keys and its inventory. Returns whether it was there."""
        return bool(self.db.run("DELETE FROM devices WHERE id = ?", device))

    def get(self, device: str) -> dict[str, Any] | None:
        """One device as the management API shows it, or None."""
        row = self.db.one("SELECT * FROM devices WHERE id = ?", device)
        return self._show(row) if row else None

    def list(self, status: str | None = None) -> list[dict[str, Any]]:
        """All devices, or those with this status, oldest first."""
        found = [self._show(row) for row in self.db.all("SELECT * FROM devices ORDER BY rowid")]
        return [device for device in found if status in (None, device["status"])]

    def _show(self, row: sqlite3.Row) -> dict[str, Any]:
        query = "SELECT id, pubkey, status, created FROM auth_sets WHERE device = ? ORDER BY rowid"
        sets = [dict(found) for found in self.db.all(query, row["id"])]
        states = {auth_set["status"] for auth_set in sets}
        order = (ACCEPTED, PREAUTHORIZED, PENDING, REJECTED)
        for auth_set in sets:
            auth_set["ts"] = auth_set.pop("created")
        return {
            "id": row["id"],
            "identity_data": json.loads(row["identity"]),
            "status": next(state for state in order if state in states),
            "created_ts": row["created"],
            "auth_sets": sets,
            "decommissioning": False,
        }

    def set_inventory(
        self, device: str, attributes: list[dict], replace: bool, limit: int
    ) -> bool:
        """Store checked attributes. Returns False, storing nothing, if there were too many."""
        names = {attribute["name"] for attribute in attributes}
        if not replace:
            names |= {row["name"] for row in self._rows(device)}
        if len(names) > limit:
            return False
        with self.db.connection as run:
            if replace:
                run.execute("DELETE FROM inventory WHERE device = ?", (device,))
            for item in attributes:
                value = json.dumps(item["value"])
                row = (device, item["name"], value, item.get("description"), now())
                run.execute("INSERT OR REPLACE INTO inventory VALUES (?, ?, ?, ?, ?)", row)
        return True

    def _rows(self, device: str) -> list[sqlite3.Row]:
        return self.db.all("SELECT * FROM inventory WHERE device = ? ORDER BY name", device)

    def inventory(self, device: str) -> list[dict[str, Any]]:
        """The attributes that the device sent, sorted by name."""
        found = []
        for row in self._rows(device):
            item = {"name": row["name"], "value": json.loads(row["value"]), "scope": "inventory"}
            if row["description"]:
                item["description"] = row["description"]
            found.append(item)
        return found
