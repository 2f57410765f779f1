# An Artifact, or a raw image, on its way from the server into an installer, and what is checked
# before its payload.
#
#   intake = Intake(settings, provides, make, note)
#   provides = await intake.fetch(courier, deployment)      # what the board provides with it
#   intake.installer                                        # holds the payload, not yet active
#   intake.gives                                            # keys of the Artifact's own provides
#
# Needed during a download only: update.py unloads this module after use.
# SPDX-License-Identifier: MIT
# pyright: reportOptionalMemberAccess=false

from .errors import Rejected


class Intake:
    """provides: the board's, {key: value}. make(kind): the installer for a payload type, or
    Rejected. note(level, text) takes lines for the deployment's log."""

    def __init__(self, settings, provides, make, note):
        self._settings = settings
        self._provides = provides
        self._make = make
        self._note = note
        self._named = None
        self._deployment = None
        self.reader = None  # of what comes; the first bytes make it
        self.installer = None
        self.kind = None
        self.gives = []

    async def fetch(self, courier, deployment):
        """Take in the whole Artifact; the provides after it. Raises what courier.fetch and the
        installer raise, Rejected for an Artifact that is not for this board.

        deployment.image: (size, SHA-256 in hex, version) of a raw image, or None; .sha256: of the
        whole Artifact in hex, where the server told it, or None; .named: what the Artifact has to
        be named, or None for any name."""
        if deployment.image and self._settings.verify_keys():
            raise Rejected("expected a signed Artifact (artifact_verify_keys), got a raw image")
        self._deployment, self.reader = deployment, None
        try:
            await courier.fetch(deployment, self)
            reader = self.reader or self._new_reader()
            reader.finish()
        finally:
            if self.reader:
                self.reader.close()
        from .closing import merged

        self.gives = list(reader.header.provides)
        return merged(self._provides, reader.header)

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
        return self.installer.download(name, size)  # pyright: ignore[reportOptionalMemberAccess]
