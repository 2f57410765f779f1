"""Bugs planted in the product, each of which the power cuts have to show. A harness that does not
find them proves nothing.

    mutant = MUTANTS["log-last"]
    sources = mutant.mutation(sources)      # of lib/, by their paths there
    mutant.scenarios                        # where it is most likely to be seen, in that order

All of them are of one kind: without a power cut nobody would notice. (What goes wrong without one
is for the other tests: a mutant whose run without a cut has findings is an error.) Some bugs of
that kind no power cut shows, because two other things make up for them: they are not here.

A journal without a CRC is not among them on its own: on LittleFS the content of a file changes in
one commit, so no cut leaves half a record. "records-in-halves" takes that away, too. Nor is an
image that is marked valid before its proof: software that fails its proof shows that without a
cut. "proof-skipped" is the same bug where only a cut shows it.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from .mutant import Mutant

_ALL = (
    Mutant(
        "success-believed",
        "the journal's word for what runs, though a cut commit brings the old image back",
        ("firmware-good",),
        (
            ("restart.py", "if asked and not runs_new():", "if False and not runs_new():"),
            (
                "update.py",
                "        self._expect_new()  # after a start on trial",
                "        # after a start on trial",
            ),
        ),
    ),
    Mutant(
        "boots-too-early",
        "the new image is the one to boot before the journal knows of it",
        ("firmware-crash", "firmware-unwell", "firmware-good"),
        (
            (
                "installers/firmware.py",
                "        self.written = self._sha.digest()\n",
                "        self.written = self._sha.digest()\n        self.partition.set_boot()\n",
            ),
        ),
    ),
    Mutant(
        "rolled-back-by-set-boot",
        "the way back makes the old image a trial, too, until it is marked valid once more",
        ("firmware-unwell",),
        (
            (
                "installers/firmware.py",
                "        if self._boots(new):\n            otadata.forget(new)\n",
                "        if self._boots(new):\n            old.set_boot()\n",
            ),
            (
                "installers/firmware.py",
                "    async def cleanup(self):\n",
                "    async def verify_rollback(self):\n"
                "        self._partition.mark_app_valid_cancel_rollback()\n\n"
                "    async def cleanup(self):\n",
            ),
        ),
    ),
    Mutant(
        "proof-skipped",
        "software that starts for the second time counts as proven",
        ("app-bad", "pico-app-bad"),
        (
            (
                "update.py",
                "            await self._proof().of(self._journal.id)\n",
                "            if self._journal.starts < 2:\n"
                "                await self._proof().of(self._journal.id)\n",
            ),
        ),
    ),
    Mutant(
        "provides-too-early",
        "what the board provides is stored before the software is committed",
        ("firmware-good",),
        (
            (
                "update.py",
                "        await self._installer.commit()\n",
                "        self._provides.store.put_json('provides', self._journal.provides)\n"
                "        await self._installer.commit()\n",
            ),
        ),
    ),
    Mutant(
        "verdict-not-saved",
        "a start after the commit does not know how the update ended",
        ("single-file", "firmware-good"),
        (
            (
                "journal.py",
                "[getattr(self, name) for name in _STEPPED]",
                "[None if name == 'verdict' else getattr(self, name) for name in _STEPPED]",
            ),
        ),
    ),
    Mutant(
        "older-step-counts",
        "of the journal's two records the one that was written earlier is believed",
        ("firmware-crash", "firmware-unwell", "app-bad"),
        (("journal.py", ' > found.get("writes", 0):', " >= 0:"),),
    ),
    Mutant(
        "install-not-undone",
        "an install that was cut is not taken back, but reported as failed",
        ("single-file", "app-good", "firmware-good"),
        (("states.py", '"install": "rollback",', '"install": "cleanup",'),),
    ),
    Mutant(
        "restart-fails",
        "a download that a restart ended is refused when it is offered again",
        ("single-file", "firmware-good", "app-good"),
        (("intake.py", "if tries > MAX_STARTS:", "if tries > 0:"),),
    ),
    Mutant(
        "abort-says-more",
        "after a restart an aborted update is reported as failed",
        ("firmware-aborted", "directory-aborted"),
        (
            (
                "closing.py",
                'if journal.verdict != "aborted" and not journal.reported:',
                "if (journal.verdict != 'aborted' or journal.starts) and not journal.reported:",
            ),
            (
                "closing.py",
                "courier.report, journal.id, journal.verdict)",
                "courier.report, journal.id, journal.verdict.replace('aborted', 'failure'))",
            ),
        ),
    ),
    Mutant(
        "journal-before-report",
        "the journal is closed before the server has the final status",
        ("provides", "firmware-good"),
        (
            (
                "closing.py",
                '    if journal.verdict != "aborted" and not journal.reported:\n',
                "    journal._store.delete('update')\n"
                '    if journal.verdict != "aborted" and not journal.reported:\n',
            ),
        ),
    ),
    Mutant(
        "journal-before-log",
        "the journal is closed before the server has the log",
        ("log", "firmware-crash"),
        (
            (
                "closing.py",
                '    if journal.verdict == "failure":\n        await',
                "    journal._store.delete('update')\n"
                '    if journal.verdict == "failure":\n        await',
            ),
        ),
    ),
    Mutant(
        "record-removed-first",
        "a record is removed before the new one has its name",
        ("firmware-unwell", "app-bad", "firmware-good"),
        (
            (
                "store.py",
                "            os.rename(self._path(name + _NEW), self._path(name))\n",
                "            self.delete(name)\n"
                "            os.rename(self._path(name + _NEW), self._path(name))\n",
            ),
        ),
    ),
    Mutant(
        "records-in-halves",
        "a record is written in place, in two steps, and nobody looks at its CRC",
        ("app-bad", "single-file"),
        (
            (
                "store.py",
                '            self._write(name + _NEW, "wb", raw)\n'
                "            os.rename(self._path(name + _NEW), self._path(name))\n",
                '            self._write(name, "wb", raw)\n',
            ),
            (
                "store.py",
                "            file.write(raw)\n",
                "            file.write(raw[: len(raw) // 2])\n"
                "            file.flush()\n"
                "            file.write(raw[len(raw) // 2 :])\n",
            ),
            ("store.py", " and len(data) == length and binascii.crc32(data) == crc:", ":"),
        ),
    ),
    Mutant(
        "half-records-stay",
        "what a cut left of a record is not swept at the next start",
        ("directory-aborted", "provides"),
        (("store.py", "            if name.endswith(_NEW):\n", "            if False:\n"),),
    ),
    Mutant(
        "key-stored-late",
        "the identity key is stored once the server knows it",
        ("identity-key",),
        (
            (
                "servers/mender/auth.py",
                '            store.put("identity-key", key.to_der())\n'
                '            if store.get("identity-key") != key.to_der():\n',
                "            self._settings.new_key = key.to_der()\n            if False:\n",
            ),
            (
                "servers/mender/__init__.py",
                '        self._shapes.check(response, "auth", 200)\n',
                '        self._shapes.check(response, "auth", 200)\n'
                "        if hasattr(self._settings, 'new_key'):\n"
                "            self._settings.store.put('identity-key', self._settings.new_key)\n",
            ),
        ),
    ),
    Mutant(
        "file-copied",
        "a file is copied to its place instead of being renamed",
        ("single-file-new", "single-file"),
        (
            (
                "installers/files.py",
                "        os.rename(NEW, self._target)\n\n    def _copy_old(self):\n",
                "        with open(NEW, 'rb') as new, open(self._target, 'wb') as file:\n"
                "            file.write(new.read())\n\n    def _copy_old(self):\n",
            ),
        ),
    ),
    Mutant(
        "folder-removed-first",
        "the old folder is deleted instead of being set aside",
        ("directory",),
        (
            (
                "installers/files.py",
                "            os.rename(self._target, self._old)\n",
                "            tree.remove(self._target)\n",
            ),
        ),
    ),
    Mutant(
        "not-swept",
        "what a cut download left stays for ever",
        ("directory-aborted",),
        (("installers/leftovers.py", 'for name in os.listdir("/"):', "for name in ():"),),
    ),
    Mutant(
        "outbox-forgets",
        "a segment of the outbox is deleted before the server has taken it",
        ("outbox",),
        (
            (
                "outbox.py",
                "            self._head = self._store.get(self._name % self._numbers[0])\n",
                "            self._head = self._store.get(self._name % self._numbers[0])\n"
                "            self._delete(self._numbers[0])\n",
            ),
        ),
    ),
)
MUTANTS = {mutant.name: mutant for mutant in _ALL}
