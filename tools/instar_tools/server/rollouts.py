"""Deployments, and what each device has reported in them: Mender's rules, in SQLite.

The rules (which deployment is next, when a changed device fails it, what a status may follow)
are those of Mender's open-source deployments service.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
import sqlite3
from typing import Any

from .releases import Artifacts
from .state import Database, new_id, now

PENDING, ABORTED, DECOMMISSIONED = "pending", "aborted", "decommissioned"
PAUSES = ("pause_before_installing", "pause_before_rebooting", "pause_before_committing")
FROM_DEVICE = ("downloading", "installing", "rebooting", "success", "failure", "already-installed")
FROM_DEVICE += PAUSES
ACTIVE = (PENDING, "downloading", "installing", "rebooting", *PAUSES)
KNOWN = (*FROM_DEVICE, PENDING, ABORTED, DECOMMISSIONED, "noartifact")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS deployments (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, artifact_name TEXT NOT NULL,
    force INTEGER NOT NULL, aborted TEXT, created TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS targets (
    deployment TEXT NOT NULL REFERENCES deployments, device TEXT NOT NULL,
    PRIMARY KEY (deployment, device));
CREATE TABLE IF NOT EXISTS progress (
    deployment TEXT NOT NULL REFERENCES deployments, device TEXT NOT NULL, status TEXT NOT NULL,
    substate TEXT, artifact TEXT, request TEXT, created TEXT NOT NULL, finished TEXT,
    PRIMARY KEY (deployment, device));
CREATE TABLE IF NOT EXISTS history (
    deployment TEXT NOT NULL, device TEXT NOT NULL, status TEXT NOT NULL, substate TEXT,
    at TEXT NOT NULL, sender TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS logs (
    deployment TEXT NOT NULL, device TEXT NOT NULL, messages TEXT NOT NULL,
    PRIMARY KEY (deployment, device));
"""


class Conflict(Exception):
    """409: the deployment does not (any longer) take this from this device."""


class Rollouts:
    """Deployments and each device's progress in them."""

    def __init__(self, db: Database, artifacts: Artifacts) -> None:
        self.db, self.artifacts = db, artifacts
        db.create(_SCHEMA)

    def create(self, name: str, artifact_name: str, devices: list[str], force: bool) -> str:
        deployment = new_id()
        with self.db.connection as run:
            row = (deployment, name, artifact_name, force, None, now())
            run.execute("INSERT INTO deployments VALUES (?, ?, ?, ?, ?, ?)", row)
            pairs = [(deployment, device) for device in dict.fromkeys(devices)]
            run.executemany("INSERT INTO targets VALUES (?, ?)", pairs)
        return deployment

    def next(self, device: str, request: dict[str, Any]) -> tuple[str, dict] | None:
        """The deployment to do now and its Artifact, or None.

        request: what the device says of itself (artifact_name, device_type, its provides).

        Raises:
            Conflict: it said something else before, in the middle of a deployment, which has
                failed by that.
        """
        said = json.dumps(request, sort_keys=True)
        row = self._active(device) or self._begin(device, request["device_type"])
        if row is None:
            return None
        if row["request"] not in (None, said):
            self._set(row, "failure", None, "server")
            raise Conflict("Device provided conflicting request data")
        if row["artifact"] is None:
            self._set(row, "noartifact", None, "server")
            return None
        artifact = self.artifacts.get(row["artifact"])
        assert artifact is not None
        same = artifact["name"] == request["artifact_name"]
        if same and row["status"] == PENDING and not row["force"]:
            self._set(row, "already-installed", None, "server")
            return None
        where = (said, row["deployment"], device)
        self.db.run("UPDATE progress SET request = ? WHERE deployment = ? AND device = ?", *where)
        return row["deployment"], artifact

    def _active(self, device: str) -> sqlite3.Row | None:
        rows = self.db.all(
            "SELECT p.*, d.force FROM progress p JOIN deployments d ON d.id = p.deployment"
            " WHERE p.device = ? ORDER BY d.rowid",
            device,
        )
        return next((row for row in rows if row["status"] in ACTIVE), None)

    def _begin(self, device: str, device_type: str) -> sqlite3.Row | None:
        """Enter the oldest deployment that is newer than all this device has finished."""
        found = self.db.one(
            "SELECT d.* FROM deployments d JOIN targets t ON t.deployment = d.id"
            " WHERE t.device = ? AND d.aborted IS NULL AND d.rowid >"
            "  (SELECT ifnull(max(o.rowid), 0) FROM progress p"
            "   JOIN deployments o ON o.id = p.deployment WHERE p.device = ?)"
            " ORDER BY d.rowid",
            device,
            device,
        )
        if found is None:
            return None
        artifact = self.artifacts.choose(found["artifact_name"], device_type)
        row = (found["id"], device, PENDING, None, artifact and artifact["id"], None, now(), None)
        self.db.run("INSERT INTO progress VALUES (?, ?, ?, ?, ?, ?, ?, ?)", *row)
        return self._active(device)

    def progress(self, deployment: str, device: str) -> sqlite3.Row | None:
        return self.db.one(
            "SELECT * FROM progress WHERE deployment = ? AND device = ?", deployment, device
        )

    def report(self, deployment: str, device: str, status: str, substate: str | None) -> bool:
        """A status from the device. Returns False if it never was given this deployment.

        Every accepted report goes into the history; the same status again changes nothing else.

        Raises:
            Conflict: aborted, or the device is decommissioned.
        """
        row = self.progress(deployment, device)
        if row is None:
            return False
        if row["status"] in (ABORTED, DECOMMISSIONED):
            what = "Deployment" if row["status"] == ABORTED else "Device"
            raise Conflict(f"{what} {row['status']}")
        self._set(row, status, substate, "device")
        return True

    def _set(self, row: sqlite3.Row, status: str, substate: str | None, sender: str) -> None:
        key = (row["deployment"], row["device"])
        with self.db.connection as run:
            entry = (*key, status, substate, now(), sender)
            run.execute("INSERT INTO history VALUES (?, ?, ?, ?, ?, ?)", entry)
            if status != row["status"]:
                finished = None if status in ACTIVE else now()
                run.execute(
                    "UPDATE progress SET status = ?, substate = ?, finished = ?"
                    " WHERE deployment = ? AND device = ?",
                    (status, substate, finished, *key),
                )

    def save_log(self, deployment: str, device: str, messages: list[dict]) -> bool:
        """Keep the log in place of an earlier one. Returns False as `report` does."""
        if self.progress(deployment, device) is None:
            return False
        row = (deployment, device, json.dumps(messages))
        self.db.run("INSERT OR REPLACE INTO logs VALUES (?, ?, ?)", *row)
        return True

    def log(self, deployment: str, device: str) -> list[dict] | None:
        row = self.db.one(
            "SELECT messages FROM logs WHERE deployment = ? AND device = ?", deployment, device
        )
        return json.loads(row["messages"]) if row else None

    def abort(self, deployment: str) -> None:
        """End it for every device that has not finished."""
        self.db.run("UPDATE deployments SET aborted = ? WHERE id = ?", now(), deployment)
        for row in self.db.all("SELECT * FROM progress WHERE deployment = ?", deployment):
            if row["status"] in ACTIVE:
                self._set(row, ABORTED, None, "server")

    def is_used(self, artifact: str) -> bool:
        """Whether a device is in the middle of installing it."""
        rows = self.db.all("SELECT status FROM progress WHERE artifact = ?", artifact)
        return any(row["status"] in ACTIVE for row in rows)

    def decommission(self, device: str) -> None:
        """End every unfinished deployment of a device that is no more."""
        for row in self.db.all("SELECT * FROM progress WHERE device = ?", device):
            if row["status"] in ACTIVE:
                self._set(row, DECOMMISSIONED, None, "server")

    def devices(self, deployment: str) -> list[dict[str, Any]]:
        """Every device of the deployment with its status; pending, until it first asks."""
        rows = self.db.all(
            "SELECT t.device AS id, ifnull(p.status, 'pending') AS status, p.substate, p.finished,"
            " p.created FROM targets t LEFT JOIN progress p USING (deployment, device)"
            " WHERE t.deployment = ? ORDER BY t.rowid",
            deployment,
        )
        return [dict(row, log=self.log(deployment, row["id"]) is not None) for row in rows]

    def history(self, deployment: str) -> list[dict[str, Any]]:
        """Each status in the order it came; sender is "device" or, decided here, "server"."""
        query = "SELECT * FROM history WHERE deployment = ? ORDER BY rowid"
        return [dict(row) for row in self.db.all(query, deployment)]

    def list(self) -> list[dict[str, Any]]:
        return [self._show(row) for row in self.db.all("SELECT * FROM deployments ORDER BY rowid")]

    def get(self, deployment: str) -> dict[str, Any] | None:
        row = self.db.one("SELECT * FROM deployments WHERE id = ?", deployment)
        return self._show(row) if row else None

    def _show(self, row: sqlite3.Row) -> dict[str, Any]:
        states = [device["status"] for device in self.devices(row["id"])]
        if row["aborted"] or not any(state in ACTIVE for state in states):
            status = "finished"
        else:
            status = PENDING if all(state == PENDING for state in states) else "inprogress"
        return {
            "id": row["id"],
            "name": row["name"],
            "artifact_name": row["artifact_name"],
            "created": row["created"],
            "status": status,
            "device_count": len(states),
            "statistics": {"status": {name: states.count(name) for name in KNOWN}},
        }
