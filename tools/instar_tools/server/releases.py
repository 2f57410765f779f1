"""The uploaded Artifacts: the files in a folder, what they say of themselves in SQLite."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import dataclasses
import json
import sqlite3
from pathlib import Path
from typing import Any

from ..artifact_reader import ArtifactInfo
from .state import Database, new_id, now

_SCHEMA = """
CREATE TABLE IF NOT EXISTS artifacts (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, size INTEGER NOT NULL, sha256 TEXT NOT NULL,
    depends TEXT NOT NULL, info TEXT NOT NULL, description TEXT, uploaded TEXT NOT NULL);
"""


class Artifacts:
    """The uploaded Artifacts; their files are named by id in ``folder``."""

    def __init__(self, db: Database, folder: Path) -> None:
        self.db, self.folder = db, folder
        folder.mkdir(exist_ok=True)
        db.create(_SCHEMA)

    def path(self, artifact: str) -> Path:
        return self.folder / artifact

    def add(self, file: Path, info: ArtifactInfo, sha256: str, description: str) -> str | None:
        """Take over ``file``. Returns the id, or None where name and dependencies are taken."""
        depends = json.dumps(info.depends, sort_keys=True)
        if self.db.one(
            "SELECT 1 FROM artifacts WHERE name = ? AND depends = ?", info.name, depends
        ):
            return None
        artifact, shown = new_id(), dataclasses.asdict(info)
        for raw in ("manifest", "signature"):
            shown.pop(raw)
        shown["signed"] = info.signature is not None
        file.replace(self.path(artifact))
        self.db.run(
            "INSERT INTO artifacts VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            *(artifact, info.name, info.size, sha256, depends),
            *(json.dumps(shown), description, now()),
        )
        return artifact

    def list(self) -> list[dict[str, Any]]:
        return [
            _show_artifact(row) for row in self.db.all("SELECT * FROM artifacts ORDER BY rowid")
        ]

    def get(self, artifact: str) -> dict[str, Any] | None:
        row = self.db.one("SELECT * FROM artifacts WHERE id = ?", artifact)
        return _show_artifact(row) if row else None

    def remove(self, artifact: str) -> bool:
        if not self.db.run("DELETE FROM artifacts WHERE id = ?", artifact):
            return False
        self.path(artifact).unlink()
        return True

    def choose(self, name: str, device_type: str) -> dict[str, Any] | None:
        """The smallest Artifact of this name for this device type."""
        rows = self.db.all("SELECT * FROM artifacts WHERE name = ? ORDER BY size, rowid", name)
        shown = map(_show_artifact, rows)
        return next((a for a in shown if device_type in a["device_types_compatible"]), None)


def _show_artifact(row: sqlite3.Row) -> dict[str, Any]:
    info = json.loads(row["info"])
    return {
        "id": row["id"],
        "name": row["name"],
        "description": row["description"],
        "device_types_compatible": info["device_types"],
        "info": {"format": "mender", "version": 3},
        "signed": info["signed"],
        "updates": [
            {"type_info": {"type": p["type"]}, "files": p["files"], "meta_data": p["meta_data"]}
            for p in info["payloads"]
        ],
        "artifact_provides": info["provides"],
        "artifact_depends": info["depends"],
        "clears_artifact_provides": info["clears_provides"],
        "size": row["size"],
        "sha256": row["sha256"],
        "modified": row["uploaded"],
    }
