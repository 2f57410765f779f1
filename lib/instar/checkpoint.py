# How much of a payload lies in the slot: kept while it is downloaded, for a start that finds it.
#
#   checkpoint = Checkpoint(store, deployment.id, tries)
#   checkpoint.put(manifest_sha256, 3584, 150000, 131072)   # durable when it returns
#   checkpoint.head, checkpoint.size, checkpoint.done        # as the start before left them
#
# Only for what lies in the slot as it comes: an uncompressed firmware image. One record of one
# length, rewritten in place (store.py): one program of the flash each time.
# Needed during a download only: update.py unloads this module after use.
# SPDX-License-Identifier: MIT

import binascii
import struct

from .errors import Broken

_RECORD = "download"
_FORMAT = "<IH32sIII"


class Checkpoint:
    """head: where in the Artifact the file's bytes begin; size: how many it has; done: how many
    of them lie in the slot, 0 if there is no checkpoint of this deployment; tries: its downloads
    when that was written; manifest: SHA-256 of the Artifact's manifest, 32 bytes."""

    def __init__(self, store, deployment_id, tries):
        """tries: downloads of this deployment that a restart ended so far."""
        self._store = store
        self._key = binascii.crc32(deployment_id.encode())
        self._tries = tries
        self.tries = self.head = self.size = self.done = 0
        self.manifest = bytes(32)
        if tries:  # else the slot holds nothing of this download
            self._load()

    def _load(self):
        try:
            raw = self._store.get(_RECORD)
        except Broken:
            return  # one download from the beginning
        if raw and len(raw) == struct.calcsize(_FORMAT):
            key, tries, manifest, head, size, done = struct.unpack(_FORMAT, raw)
            if key == self._key:
                self.tries, self.manifest = tries, manifest
                self.head, self.size, self.done = head, size, done

    def forget(self):
        """What lies in the slot is not what it was. Raises OSError or Broken."""
        self.done = 0
        self.put(self.manifest, 0, 0, 0)

    def put(self, manifest, head, size, done):
        """`done` bytes lie in the slot. Raises OSError or Broken."""
        fields = self._key, self._tries, manifest, head, size, done
        self._store.rewrite(_RECORD, struct.pack(_FORMAT, *fields))
