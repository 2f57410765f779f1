# An Artifact, or a raw image, on its way from the server into an installer, and what is checked
# before its payload.
#
#   intake = Intake(settings, provides, make, note)
#   intake.prepare(deployment, tries)
#   provides = await intake.fetch(courier)                  # what the board provides with it
#   intake.installer                                        # holds the payload, not yet active
#   intake.gives                                            # keys of the Artifact's own provides
#
# Needed during a download only: update.py unloads this module after use.
# SPDX-License-Identifier: MIT
# pyright: reportOptionalMemberAccess=false

from .errors import Aborted, Broken, Rejected
from .states import MAX_STARTS


class Intake:
    """provides: the board's, {key: value}. make(kind): the installer for a payload type, or
    Rejected. note(level, text) takes lines for the deployment's log."""

    def __init__(self, settings, provides, make, note):
        self._settings = settings
        self._provides = provides
        self._make = make
        self._note = note
        self._deployment = None
        self._tries = 0
        self._checkpoint = None  # not in the heap where there is none
        self.sink = None  # of the file that is open
        self.size = 0  # of that file
        self.reader = None  # of what comes; the first bytes make it
        self.installer = None
        self.kind = None
        self.gives = []

    def prepare(self, deployment, tries=0):
        """tries: downloads of this deployment that a restart ended so far. Raises Rejected for
        what is not asked for once more: too many of them came no further.
        """
        self._deployment, self._tries, self.reader = deployment, tries, None
        if tries and self._have_checkpoint():
            tries -= self._checkpoint.tries
        if tries > MAX_STARTS:
            raise Rejected(f"the board restarted {tries} times while downloading")

    def _have_checkpoint(self):
        if not self._checkpoint:
            try:
                from .checkpoint import Checkpoint
            except ImportError:  # instar without its part for firmware
                return False
            store = self._settings.store
            self._checkpoint = Checkpoint(store, self._deployment.id, self._tries)
        return True

    async def fetch(self, courier):
        """Take in the whole Artifact; the provides after it. Raises what courier.fetch and the
        installer raise, Rejected for an Artifact that is not for this board."""
        if self._deployment.image and self._settings.verify_keys():
            raise Rejected("expected a signed Artifact (artifact_verify_keys), got a raw image")
        try:
            if not (self._checkpoint and self._checkpoint.done and await self._taken_up(courier)):
                await courier.fetch(self._deployment, self)
                self._finish()
            header = self.reader.header
        finally:
            self._close()
        from .closing import merged

        self.gives = list(header.provides)
        return merged(self._provides, header)

    async def _taken_up(self, courier):
        from .resuming import take_up

        deployment, checkpoint = self._deployment, self._checkpoint
        self._note("info", f"taken up after a restart: {checkpoint.done} bytes lie in the slot")
        try:
            await take_up(self, courier, deployment, checkpoint)
            self._finish()
            return True
        except Aborted:
            raise
        except Rejected as error:
            self._note("warning", f"taken up, but: {error}; from the beginning")
            self._close()
            self._keep(checkpoint.forget)
            self.reader = self.sink = deployment.total = None
            return False

    def _finish(self):
        self.reader = self.reader or self._new_reader()
        self.reader.finish()

    def _close(self):
        if self.reader:
            self.reader.close()

    def manifest(self):
        """SHA-256 (32 bytes) of what says which payload this is: the Artifact's manifest; of a raw
        image its own. None before it is known."""
        header = self.reader.header
        return header and bytes.fromhex(header.manifest_sha256 or header.files[0][1])

    def steps(self, view):
        """As the reader's. That is made for the first bytes: not before there is a connection,
        as TLS needs room, too."""
        self.reader = self.reader or self._new_reader()
        return self.reader.steps(view)

    def _new_reader(self):
        deployment = self._deployment
        if deployment.image:
            from .artifact.raw import RawReader

            size, sha256, version = deployment.image
            board = self._provides["device_type"]
            return RawReader(self._accept, self._open_file, size, sha256, version, board)
        from .artifact.reader import Reader

        reader = Reader(
            self._accept,
            self._open_file,
            verify=self._verifier(),
            ignore_scripts=self._settings.ignore_scripts,
        )
        if not deployment.sha256:
            return reader
        from .artifact.raw import Summed

        return Summed(reader, deployment.sha256)

    def _verifier(self):
        keys = self._settings.verify_keys()
        if not keys:
            return None
        try:
            from .artifact.signature import Verifier
        except ImportError:
            name = "artifact_verify_keys"
            raise Rejected(f"{name}: expected instar with its signatures part, got one without")

        return Verifier(keys)

    def _accept(self, header):
        header.check(self._provides)
        name = header.artifact_name
        named = self._deployment.named
        if named not in (None, name):
            raise Rejected(f"expected an Artifact named {named} as offered, got {name}")
        key = self._settings.downgrade_key
        if key:
            from .versions import check_not_older

            check_not_older(key, self._provides.get(key), header.provides.get(key))
        self.kind = header.payload_type
        self.installer = self._make(self.kind)
        self.installer.begin(header)
        self._note("info", f"Artifact {name}, payload type {self.kind}")

    def _open_file(self, name, size):
        at = self.reader.offset()
        if at is not None:
            self.installer.mark = lambda done: self._mark(at, size, done)
        self.sink, self.size = self.installer.download(name, size), size
        return self.sink

    def _mark(self, at, size, done):
        if self._have_checkpoint():
            self._keep(lambda: self._checkpoint.put(self.manifest(), at, size, done))

    def _keep(self, write):
        try:
            write()
        except (OSError, Broken, MemoryError) as error:  # a restart costs a longer download then
            self._note("warning", f"checkpoint: {error}")
