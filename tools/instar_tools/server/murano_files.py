"""The content of one product: files that the operator put there, and those of its devices.

What a device uploads has the id device2/<identity>/<id>, and no other device sees it. The bytes
are files in a folder; a file that is replaced is still read to its end by who has opened it.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
import sqlite3
import time
from pathlib import Path
from typing import Any

from .state import Database, new_id

_SCHEMA = """
CREATE TABLE IF NOT EXISTS murano_content (
    product TEXT NOT NULL, identity TEXT NOT NULL, id TEXT NOT NULL, type TEXT NOT NULL,
    description TEXT NOT NULL, tags TEXT NOT NULL, size INTEGER NOT NULL,
    updated INTEGER NOT NULL, file TEXT NOT NULL, PRIMARY KEY (product, identity, id));
"""


class Files:
    """See the module. The identity "" stands for the product itself."""

    def __init__(self, db: Database, product: str, folder: Path) -> None:
        self.db, self.product, self.folder = db, product, folder
        db.create(_SCHEMA)
        folder.mkdir(exist_ok=True)

    def add(
        self,
        identity: str,
        id: str,
        data: bytes,
        kind: str,
        description: str = "",
        tags: dict[str, Any] | None = None,
    ) -> None:
        """Keep ``data`` as this content, in place of what was there.

        ``updated`` is this second, or the one after the former's: who compares must see it.
        """
        former = self._get(identity, id)
        updated = max(int(time.time()), former["updated"] + 1 if former else 0)
        kept = self.folder / new_id()
        kept.write_bytes(data)
        row = (self.product, identity, id, kind, description, json.dumps(tags or {}), len(data))
        query = "INSERT OR REPLACE INTO murano_content VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
        self.db.run(query, *row, updated, kept.name)
        if former:
            self.path(former).unlink()

    def _get(self, identity: str, id: str) -> sqlite3.Row | None:
        query = "SELECT * FROM murano_content WHERE product = ? AND identity = ? AND id = ?"
        return self.db.one(query, self.product, identity, id)

    def path(self, row: sqlite3.Row) -> Path:
        return self.folder / row["file"]

    def find(self, identity: str, id: str) -> sqlite3.Row | None:
        """What the device sees under this id: the product's, or its own with or without its
        folder (assumed)."""
        mine = id.removeprefix(f"device2/{identity}/")
        return self._get("", id) or self._get(identity, mine)

    def ids(self, identity: str) -> list[str]:
        """What there is for this device."""
        own = [f"device2/{identity}/{row['id']}" for row in self._rows(identity)]
        return [row["id"] for row in self._rows("")] + own

    def _rows(self, identity: str) -> list[sqlite3.Row]:
        query = "SELECT * FROM murano_content WHERE product = ? AND identity = ? ORDER BY id"
        return self.db.all(query, self.product, identity)

    def list(self) -> list[dict[str, Any]]:
        """The product's: id, type, size, updated (seconds since 1970), description."""
        names = ("id", "type", "size", "updated", "description")
        return [{name: row[name] for name in names} for row in self._rows("")]

    def uploads(self, identity: str) -> list[dict[str, Any]]:
        """The device's: id, type, tags, data (bytes)."""
        return [
            {
                "id": row["id"],
                "type": row["type"],
                "tags": json.loads(row["tags"]),
                "data": self.path(row).read_bytes(),
            }
            for row in self._rows(identity)
        ]

    def remove(self, id: str) -> bool:
        """Whether the product had it."""
        row = self._get("", id)
        if row is None:
            return False
        query = "DELETE FROM murano_content WHERE product = ? AND identity = '' AND id = ?"
        self.db.run(query, self.product, id)
        self.path(row).unlink()
        return True
