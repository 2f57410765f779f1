# The reader of Mender Artifacts (format v3): bytes in as they come, verified files out.
#
#   reader = Reader(on_header, open_file)
#   reader.feed(view) ...    # or, where others have to go on while a signature is verified:
#   for _ in reader.steps(view):
#       await asyncio.sleep(0)
#   reader.finish()          # the download is over: only now is everything verified
#   reader.close()           # always, also when the download is given up
#
# The order is the order of trust: version (unverified), manifest, its signature (`verify`), the
# version's sum, the header's sum, then what the header says, then the payload. Whatever is not
# exactly an Artifact raises Rejected, at the latest in finish(); until that returned, nothing of
# the payload may be activated. Memory does not grow with the Artifact.
#
# Limits: one payload; gzip or no compression; no augmented Artifacts; no state scripts, which are
# programs for a shell (they are refused, or skipped where the settings say so).
# SPDX-License-Identifier: MIT

from .outer import Outer
from .refusal import refused


class Reader:
    """One Artifact on its way through.

    Args:
        on_header: on_header(header) gets the verified Header before the payload; it may raise
            Rejected (`header.check(provides)` does, for another board).
        open_file: open_file(name, size) -> sink with write(view) and close(). A sink is closed
            only when the file's checksum matched. Files come one after the other.
        verify: verify(manifest, signature) with the manifest's bytes and those of manifest.sig
            (base64) or None -> a generator of steps that raises Rejected if the signature is not
            good enough, such as a signature.Verifier. Nothing after manifest.sig is looked at
            before it ended. Without it, signatures are not looked at.
        ignore_scripts: skip state scripts instead of refusing the Artifact.
        max_payload: the most bytes the payload may unpack to, its tar included; None: the size
            of each file is for open_file to judge.

    feed and finish raise Rejected for a bad Artifact, Broken if the heap has no room to inflate,
    and whatever the callbacks raise. After that the reader takes nothing more.
    """

    def __init__(
        self, on_header, open_file, *, verify=None, ignore_scripts=False, max_payload=None
    ):
        self._outer = Outer(on_header, open_file, verify, ignore_scripts, max_payload)
        self._tar = self._outer.tar
        self._failed = False  # or so taken until the steps of the verification have ended

    @property
    def header(self):
        """The Header, once it is verified; None before."""
        return self._outer.header

    def offset(self):
        """For open_file: where in the Artifact the file begins whose sink it opens; None if it is
        compressed."""
        return self._outer.offset()

    def feed(self, view):
        """Take the next bytes of the Artifact: a memoryview of any length, used only now."""
        for _ in self.steps(view):
            pass

    def steps(self, view):
        """As feed, but returns an iterable, which the caller has to drive to its end.

        It has the steps of the signature's verification, and no steps for any other bytes. What
        follows the signature is taken after the last one: the view is used until then.
        """
        taken = self._guarded(self._tar.feed, view)
        verification = self._outer.verification
        if verification is None:
            return ()
        self._failed = True
        return self._verified(verification, view[taken:])

    def _verified(self, verification, rest):
        try:
            yield from verification
            # One that was closed ends as well: only its own last word counts.
            self._failed = self._outer.verification is not None
        finally:
            if self._failed:
                self.close()
        self._guarded(self._tar.feed, rest)

    def finish(self):
        """The download is over. Returns only if the whole Artifact arrived and is as it says."""
        self._guarded(self._tar.finish)
        self._guarded(self._outer.complete)

    def close(self):
        """Give back what is held. After finish() or an error nothing is."""
        if self._outer.verification is not None:
            self._outer.verification.close()
        self._outer.close()

    def _guarded(self, step, *args):
        if self._failed:
            raise refused("Artifact", "nothing more after an error", "more")
        self._failed = True
        try:
            result = step(*args)
            self._failed = False
        finally:
            if self._failed:
                self.close()
        return result
