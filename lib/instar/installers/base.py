# What every installer is: the states of Mender's update modules, each doing nothing.
#
# An installer for a payload type of your own extends this and says what differs. As it stands it
# is the installer of an Artifact without a payload, which changes what the board provides.
# SPDX-License-Identifier: MIT

from ..errors import Rejected


class Installer:
    """board: the board's own module; installed: what an earlier start got from installed();
    settings: the board's Settings, None in some tests."""

    needs_reboot = False  # reboot() and verify_reboot() are part of the way
    supports_rollback = False  # what ran before can be brought back
    adopts = False  # what is on trial without an update of ours is kept if it is well

    def __init__(self, board, installed=None, settings=None):
        self._board = board
        self._installed = installed
        self._settings = settings

    def mark(self, done):
        """For a sink to call, each time that 128 KiB more lie where they belong: `done` bytes in
        all. Who downloads sets it where a restart could take the download up again; such a sink
        has take_up(done) and kept(), see firmware.py."""

    def begin(self, header):
        """The Artifact's verified Header, before its files. May raise Rejected."""

    def download(self, name, size):
        """For each file: a sink with write(view), and close() once its checksum was right.

        What is written must not become active before install().
        """
        raise Rejected(f"{name}: this payload type holds no files")

    def installed(self):
        """Identity of what download() brought: equals running() once it runs."""
        return self._installed

    def running(self):
        """Identity of what runs now, read from the thing itself, not from a record."""
        return None

    async def install(self):
        """Make it active."""

    async def reboot(self):
        """Reset the board, through the boot loader. Does not return."""
        self._board.reset()

    async def verify_reboot(self):
        """After the reset; that running() is what was installed has been checked."""

    async def commit(self):
        """Proven: keep it for good."""

    async def rollback(self):
        """Back to what ran before. May be called where install() never ran, and twice."""

    async def rollback_reboot(self):
        """Reset the board into what ran before."""
        self._board.reset()

    async def verify_rollback(self):
        """That running() is not what was installed has been checked."""

    async def failure(self):
        """After the rollback of a failed update."""

    async def cleanup(self):
        """Comes last, always, and may come twice."""

    def on_trial(self):
        """Whether what runs now is not confirmed yet: the next reset would bring the old back."""
        return False
