# The update's state machine over states.py's table; the journal is saved before a state acts.
#
#   updater = Updater(host, server)
#   updater.restore()                   # at every start: what did an earlier one leave?
#   await updater.run()                 # drives an open update to its end (may reset the board)
#   await updater.start(deployment)     # a new one
#
# host offers: board, settings, clock, emit(event, **info), beat(), online(), healthy(), leaving().
# The verdict in the journal is an intent: success holds only if what was installed runs.
# SPDX-License-Identifier: MIT

import time

from . import memory
from .courier import Courier
from .errors import Aborted, Broken
from .installers import INSTALLERS, make, on_trial, sweep, unload
from .installers.base import Installer
from .journal import Journal
from .provides import Provides
from .states import BACK, TABLE, TRIAL


class Updater:
    """Joins one server and the installers, and owns the journal and the stored provides."""

    def __init__(self, host, server, installers=None):
        """installers: as INSTALLERS in installers/__init__.py."""
        self._host = host
        self._server = server
        self._installers = INSTALLERS if installers is None else installers
        settings = host.settings
        self._trials = on_trial(self._installers, host.board, settings)
        self._journal = Journal(settings.store, host.clock)
        self._provides = Provides(settings.store, settings.artifact_name, self.note)
        self._courier = Courier(host, server, self.note, self.provides)
        self._installer = Installer(host.board)
        self._deployment = None
        self._began = time.ticks_ms()  # what has to prove itself runs from now on

    @property
    def active(self):
        """An update is open, beyond a download that only has to be offered again."""
        return self._journal.state not in (None, "download")

    @property
    def unproven(self):
        """New software is on trial: no other work, no write to the other slot."""
        return self._journal.state in TRIAL

    def provides(self):
        """What this board provides, as the server and an Artifact's depends want it."""
        provides = self._provides.get()
        provides["device_type"] = self._host.settings.device_type
        return provides

    def note(self, level, message):
        """An event, and a line of the deployment's log if one is open."""
        if level == "error":
            self._host.emit("error", message=message)
        if self._journal.id:
            self._journal.note(level, message)

    def crashed(self, message):
        """The application failed. On trial: say so in the log, so that a reset may follow."""
        self.note("error", message)
        if self.unproven:
            self._save()

    def _save(self):
        try:
            self._journal.save()
        except (OSError, Broken) as error:
            self.note("error", f"the journal could not be saved: {error}")

    def restore(self):
        """Read the journal and decide from the software that runs where to go on."""
        journal = self._journal
        try:
            journal.restore()
        except Broken as error:
            # Which deployment was open is lost, and with it any verdict: the server, which has no
            # final status yet, offers it again.
            self.note("error", str(error))
            journal.close()
        if not self.active:
            sweep(self._host.board.feed, self.note)
            return self._compare()
        journal.starts += 1
        self.note("info", f"started in {journal.state}: {self._host.board.reset_cause()}")
        self._save()  # counted, whatever the next lines end in
        from .restart import next_state

        self._enter(next_state(journal, self._has_rebooting, self._runs_new, self._fail))
        memory.forget("instar.restart")

    def _has_rebooting(self):
        self._installer = self._make(self._journal.type, self._journal.installed)
        return self._installer.needs_reboot

    def _compare(self):
        try:
            from .closing import compare

            compare(self._provides, self._installers)
        except (ImportError, MemoryError) as error:  # no part for updates, or no room: it starts
            self.note("info", f"provides: {error}")
        memory.forget("instar.closing")
        unload()  # not needed before the next update

    async def start(self, deployment):
        """Carry out a deployment from the first state to the last. On a heap that an update before
        left in pieces the board starts again instead: the server offers it once more then."""
        if memory.spoilt():
            self._host.leaving()
            self._host.board.reset()
        self._deployment = deployment
        self._began = time.ticks_ms()
        self._journal.open(deployment.id)
        self._host.emit("deployment", id=deployment.id, artifact_name=deployment.artifact_name)
        self._enter("download")
        await self.run()

    async def run(self):
        """Drive the open update until its journal is closed."""
        while self._journal.state:
            state = self._journal.state
            self._host.beat()
            self._host.emit("state", state=state)
            following = self._after(state, await self._attempt(state))
            if following:
                self._enter(following)
        self._deployment = None

    async def _attempt(self, state):
        try:
            await getattr(self, "_" + state)()
            return True
        except Aborted as error:
            self.note("warning", f"{state}: {error}")
            self._journal.verdict = "aborted"
        except Exception as error:  # whatever an installer raises ends this state, not the agent
            if state == "report":
                raise
            if state == "cleanup":  # the verdict is out of its reach
                self.note("error", f"{state}: {error!r}")
            else:
                self._fail(f"{state}: {str(error) or type(error).__name__}")
        return False

    def _fail(self, message):
        self.note("error", message)
        if self._journal.verdict != "aborted":
            self._journal.verdict = "failure"

    def _after(self, state, worked):
        journal = self._journal
        if state in BACK:
            journal.inconsistent = not worked
        following = TABLE[state][0 if worked else 1]
        while following and not self._needed(following):
            if following == "rollback" and journal.type:
                journal.inconsistent = True
            following = TABLE[following][0]
        return following

    def _needed(self, state):
        installer = self._installer
        if state in ("reboot", "verify_reboot"):
            return installer.needs_reboot
        if state == "rollback":
            return installer.supports_rollback
        if state == "verify_rollback":
            return installer.supports_rollback and installer.needs_reboot
        if state == "rollback_reboot":
            return installer.supports_rollback and installer.needs_reboot and self._runs_new()
        return True

    def _enter(self, state):
        try:
            if self._journal.enter(state) or state == "report":
                return
            text = f"{state}: too many states for one update, a loop"
            if state == "cleanup":  # the verdict is out of its reach
                self.note("error", text)
                return self._journal.enter("report")
            self._fail(text)
            self._journal.inconsistent = self._journal.inconsistent or state in BACK
            self._journal.enter("cleanup")
        except (OSError, Broken) as error:
            # What is not saved must not act: back, in RAM. On the way back every state goes on.
            failed = TABLE[state][1]
            if failed == "rollback" or state == "download":
                self._fail(f"{state}: the journal could not be saved: {error}")
                self._journal.state = failed

    def _runs_new(self):
        try:
            return self._installer.running() == self._journal.installed
        except Exception as error:  # of whatever an installer asks
            self.note("error", str(error) or repr(error))
            return False

    async def _download(self):
        try:
            await self._take_in()
        finally:
            for part in ("artifact", "intake", "checkpoint", "resuming", "closing"):
                memory.forget("instar." + part)
            memory.restore()
        self._journal.installed = self._installer.installed()

    def _make(self, kind, installed=None):
        return make(self._installers, self._host.board, kind, installed, self._host.settings)

    async def _take_in(self):
        from .intake import Intake

        journal, settings = self._journal, self._host.settings
        intake = Intake(settings, self.provides(), self._make, self.note)
        intake.prepare(self._deployment, journal.tries)
        await self._courier.tell(journal.id, "downloading")
        try:
            journal.provides = await intake.fetch(self._courier)
            journal.gives = intake.gives
        finally:
            self._installer = intake.installer or self._installer
            journal.type = intake.kind

    async def _install(self):
        await self._courier.tell(self._journal.id, "installing")
        await self._installer.install()

    async def _reboot(self):
        await self._courier.tell(self._journal.id, "rebooting")
        self._host.leaving()
        await self._installer.reboot()
        raise Broken("the board did not reset")

    async def _verify_reboot(self):
        self._expect_new()
        await self._installer.verify_reboot()

    def _expect_new(self):
        if not self._runs_new():
            raise Broken(f"the new software does not run, {self._installer.running()} does")

    def _proof(self):
        from .proof import Proof  # not in the heap of a download

        return Proof(self._host, self._server, self._courier, self.note, self._began)

    async def _commit(self):
        self._expect_new()  # after a start on trial it may be the old software that is asked
        if self._journal.verdict != "success":
            await self._proof().of(self._journal.id)
            self._journal.verdict = "success"
            self._journal.save()
        await self._installer.commit()

    async def _rollback(self):
        if self._journal.type and not self._installer.supports_rollback:
            raise Broken("this payload type cannot be taken back")
        await self._installer.rollback()

    async def _rollback_reboot(self):
        self._host.leaving()
        await self._installer.rollback_reboot()
        raise Broken("the board did not reset")

    async def _verify_rollback(self):
        if self._runs_new():
            raise Broken("the new software still runs after the rollback")
        await self._installer.verify_rollback()

    async def _failure(self):
        await self._installer.failure()

    async def _cleanup(self):
        await self._installer.cleanup()

    async def _report(self):
        memory.forget("instar.proof")
        from .closing import close, ledger

        self._installer = Installer(self._host.board)  # has done its work
        unload()
        book = ledger(self._provides, self._installers)
        await close(self._journal, book, self._courier, self._server, self.note)
        self._compare()  # where this start found the update open; unloads closing, too
        memory.forget("instar.stopwatch")
        if any(installer.on_trial() for installer in self._trials):
            self._host.board.reset()  # what failed and still runs: the boot loader goes back

    async def settle(self):
        """The server was reached: what runs on trial without an update is judged."""
        for installer in () if self.active else self._trials:
            if installer.on_trial():
                await self._proof().settle(installer)
