"""Murano's products and their identities, in SQLite; of the values see `murano_resources`.

A secret is kept as its SHA-256 only: a token, a password, a certificate (so that the digest of a
certificate is its fingerprint).
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import asdict
from typing import Any

from .murano_product import Product, made
from .state import Database

KEPT = 5000  # events
_SCHEMA = """
CREATE TABLE IF NOT EXISTS murano_products (name TEXT PRIMARY KEY, fields TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS murano_identities (
    product TEXT NOT NULL, identity TEXT NOT NULL, PRIMARY KEY (product, identity));
CREATE TABLE IF NOT EXISTS murano_credentials (
    product TEXT NOT NULL, identity TEXT NOT NULL, digest BLOB NOT NULL,
    PRIMARY KEY (product, digest, identity));
CREATE TABLE IF NOT EXISTS murano_events (
    number INTEGER PRIMARY KEY AUTOINCREMENT, product TEXT NOT NULL, identity TEXT NOT NULL,
    event TEXT NOT NULL);
"""


def now() -> int:
    """Microseconds since 1970."""
    return time.time_ns() // 1000


def digest(secret: bytes) -> bytes:
    return hashlib.sha256(secret).digest()


class Store:
    """The products themselves."""

    def __init__(self, db: Database) -> None:
        self.db = db
        db.create(_SCHEMA)

    def all(self) -> list[Product]:
        rows = self.db.all("SELECT fields FROM murano_products ORDER BY rowid")
        return [made(json.loads(row["fields"])) for row in rows]

    def save(self, product: Product) -> None:
        self.db.run(
            "INSERT INTO murano_products VALUES (?, ?)"
            " ON CONFLICT (name) DO UPDATE SET fields = excluded.fields",
            product.name,
            json.dumps(asdict(product)),
        )


class Identities:
    """One product's devices: who is known, and by what secret."""

    def __init__(self, db: Database, product: str) -> None:
        self.db, self.product = db, product

    def is_known(self, identity: str) -> bool:
        query = "SELECT 1 FROM murano_identities WHERE product = ? AND identity = ?"
        return self.db.one(query, self.product, identity) is not None

    def is_provisioned(self, identity: str) -> bool:
        query = "SELECT 1 FROM murano_credentials WHERE product = ? AND identity = ?"
        return self.db.one(query, self.product, identity) is not None

    def bearers(self, secret: bytes) -> list[str]:
        """Whose secret this is: for a token, one identity or none."""
        query = "SELECT identity FROM murano_credentials WHERE product = ? AND digest = ?"
        return [row["identity"] for row in self.db.all(query, self.product, digest(secret))]

    def allow(self, identity: str) -> None:
        query = "INSERT OR IGNORE INTO murano_identities VALUES (?, ?)"
        self.db.run(query, self.product, identity)

    def provision(self, identity: str, secret: bytes, keep_old: bool = False) -> None:
        """Let the identity have this secret, and no other unless ``keep_old``."""
        key = (self.product, identity)
        with self.db.connection as run:
            run.execute("INSERT OR IGNORE INTO murano_identities VALUES (?, ?)", key)
            if not keep_old:
                self._forget_secrets(key)
            row = (*key, digest(secret))
            run.execute("INSERT OR IGNORE INTO murano_credentials VALUES (?, ?, ?)", row)

    def _forget_secrets(self, key: tuple[str, str]) -> None:
        query = "DELETE FROM murano_credentials WHERE product = ? AND identity = ?"
        self.db.connection.execute(query, key)

    def reset(self, identity: str) -> None:
        """Take the identity's secrets away: it may be provisioned anew."""
        with self.db.connection:
            self._forget_secrets((self.product, identity))

    def list(self) -> list[dict[str, str]]:
        """{"identity", "state": "whitelisted" or "provisioned"} of each, oldest first."""
        query = "SELECT identity FROM murano_identities WHERE product = ? ORDER BY rowid"
        names = [row["identity"] for row in self.db.all(query, self.product)]
        return [
            {
                "identity": name,
                "state": "provisioned" if self.is_provisioned(name) else "whitelisted",
            }
            for name in names
        ]

    def note(self, identity: str, event: dict[str, Any]) -> None:
        """Keep an event; {"type", ...}."""
        query = "INSERT INTO murano_events (product, identity, event) VALUES (?, ?, ?)"
        kept = json.dumps({"at": now(), **event})
        with self.db.connection as run:
            number = run.execute(query, (self.product, identity, kept)).lastrowid
            run.execute("DELETE FROM murano_events WHERE number <= ?", (number - KEPT,))

    def events(self, identity: str) -> list[dict[str, Any]]:
        """Oldest first."""
        query = "SELECT event FROM murano_events WHERE product = ? AND identity = ?"
        rows = self.db.all(f"{query} ORDER BY number", self.product, identity)
        return [json.loads(row["event"]) for row in rows]
