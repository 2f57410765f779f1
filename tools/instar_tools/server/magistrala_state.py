"""What the Bootstrap service and the message endpoint keep: configurations, channels, messages.

The domain "" is that of the older services, which have none. A channel named in a configuration
is made if it is not there. Of messages the newest stay: `KEPT`, and no more than `KEPT_BYTES`, but
always the last one.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
import sqlite3
from typing import Any

from .state import Database, new_id

KEPT = 1000
KEPT_BYTES = 16 << 20  # of their bodies together
CERTS = ("client_cert", "client_key", "ca_cert")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS configs (
    id TEXT PRIMARY KEY, secret TEXT UNIQUE NOT NULL, domain TEXT NOT NULL,
    external_id TEXT UNIQUE NOT NULL, external_key TEXT NOT NULL, name TEXT NOT NULL,
    content TEXT NOT NULL, client_cert TEXT NOT NULL, client_key TEXT NOT NULL,
    ca_cert TEXT NOT NULL, active INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS channels (
    domain TEXT NOT NULL, id TEXT NOT NULL, name TEXT NOT NULL, metadata TEXT,
    PRIMARY KEY (domain, id));
CREATE TABLE IF NOT EXISTS connections (
    config TEXT NOT NULL REFERENCES configs ON DELETE CASCADE, channel TEXT NOT NULL,
    PRIMARY KEY (config, channel));
CREATE TABLE IF NOT EXISTS messages (
    number INTEGER PRIMARY KEY AUTOINCREMENT, domain TEXT NOT NULL, channel TEXT NOT NULL,
    subtopic TEXT NOT NULL, publisher TEXT NOT NULL, content_type TEXT NOT NULL,
    body BLOB NOT NULL);
"""
_FORGET = """
DELETE FROM messages WHERE number < (SELECT max(number) FROM messages) AND number IN (
    SELECT number FROM (
        SELECT number, count(*) OVER newest AS place, sum(length(body)) OVER newest AS size
        FROM messages WINDOW newest AS (ORDER BY number DESC))
    WHERE place > ? OR size > ?)
"""


class Configs:
    """Configurations and channels. A configuration is a row; `channels` gives its channels."""

    def __init__(self, db: Database) -> None:
        self.db = db
        db.create(_SCHEMA)

    def add(self, domain: str, fields: dict[str, str], channels: list[str], active: bool) -> str:
        """Make a configuration of checked ``fields``. Returns its id.

        Raises:
            sqlite3.IntegrityError: the id or the external id is taken.
        """
        config = fields.get("id") or new_id()
        named = ("external_id", "external_key", "name", "content", *CERTS)
        row = (config, new_id(), domain, *(fields.get(name, "") for name in named), active)
        with self.db.connection as run:
            run.execute(f"INSERT INTO configs VALUES ({', '.join('?' * len(row))})", row)
            self._connect(run, config, domain, channels)
        return config

    def _connect(
        self, run: sqlite3.Connection, config: str, domain: str, channels: list[str]
    ) -> None:
        run.execute("DELETE FROM connections WHERE config = ?", (config,))
        for channel in dict.fromkeys(channels):
            made = (domain, channel, "", None)
            run.execute("INSERT OR IGNORE INTO channels VALUES (?, ?, ?, ?)", made)
            run.execute("INSERT INTO connections VALUES (?, ?)", (config, channel))

    def get(self, domain: str, config: str) -> sqlite3.Row | None:
        return self.db.one("SELECT * FROM configs WHERE domain = ? AND id = ?", domain, config)

    def by_external_id(self, external_id: str) -> sqlite3.Row | None:
        return self.db.one("SELECT * FROM configs WHERE external_id = ?", external_id)

    def by_secret(self, secret: str) -> sqlite3.Row | None:
        text = secret.encode(errors="replace").decode()  # a header's bytes may be no text
        return self.db.one("SELECT * FROM configs WHERE secret = ?", text)

    def list(self, domain: str) -> list[sqlite3.Row]:
        """The domain's configurations, oldest first."""
        return self.db.all("SELECT * FROM configs WHERE domain = ? ORDER BY rowid", domain)

    def change(self, config: str, **fields: Any) -> None:
        """Set columns of one configuration."""
        columns = ", ".join(f"{name} = ?" for name in fields)
        self.db.run(f"UPDATE configs SET {columns} WHERE id = ?", *fields.values(), config)

    def connect(self, config: sqlite3.Row, channels: list[str]) -> None:
        """Let these be the configuration's channels."""
        with self.db.connection as run:
            self._connect(run, config["id"], config["domain"], channels)

    def remove(self, domain: str, config: str) -> None:
        self.db.run("DELETE FROM configs WHERE domain = ? AND id = ?", domain, config)

    def channels(self, config: sqlite3.Row) -> list[dict[str, Any]]:
        """The configuration's channels in the order named, as bootstrap answers show them."""
        rows = self.db.all(
            "SELECT h.* FROM connections n JOIN channels h ON h.id = n.channel"
            " WHERE n.config = ? AND h.domain = ? ORDER BY n.rowid",
            config["id"],
            config["domain"],
        )
        return [_show(row) for row in rows]

    def add_channel(self, domain: str, channel: str, name: str, metadata: Any) -> None:
        """Make a channel, or give one that is there this name and metadata."""
        kept = None if metadata is None else json.dumps(metadata, sort_keys=True)
        self.db.run(
            "INSERT OR REPLACE INTO channels VALUES (?, ?, ?, ?)", domain, channel, name, kept
        )

    def all_channels(self, domain: str) -> list[dict[str, Any]]:
        rows = self.db.all("SELECT * FROM channels WHERE domain = ? ORDER BY rowid", domain)
        return [_show(row) for row in rows]


class Messages:
    """What clients have published."""

    def __init__(self, db: Database) -> None:
        self.db = db
        db.create(_SCHEMA)

    def add(
        self, client: sqlite3.Row, channel: str, subtopic: str, kind: str, body: bytes
    ) -> None:
        with self.db.connection as run:
            row = (client["domain"], channel, subtopic, client["id"], kind, body)
            run.execute(
                "INSERT INTO messages (domain, channel, subtopic, publisher, content_type, body)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                row,
            )
            run.execute(_FORGET, (KEPT, KEPT_BYTES))

    def list(self, channel: str | None = None) -> list[dict[str, Any]]:
        """All messages, or those of one channel, oldest first; the body as text."""
        rows = self.db.all(
            "SELECT domain, channel, subtopic, publisher, content_type, body FROM messages"
            " WHERE channel = ? OR ? ORDER BY number",
            channel,
            channel is None,
        )
        return [dict(row, body=row["body"].decode(errors="replace")) for row in rows]


def _show(row: sqlite3.Row) -> dict[str, Any]:
    """{"id", "name"?, "metadata"?}: what is empty is left out, but for metadata of {}."""
    shown: dict[str, Any] = {"id": row["id"]}
    if row["name"]:
        shown["name"] = row["name"]
    if row["metadata"] is not None:
        shown["metadata"] = json.loads(row["metadata"])
    return shown
