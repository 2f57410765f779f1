# Stand-ins for the state machine's partners: installers of every kind, a server, an Artifact. Each
# tells the world (update_world.py) where it is, and carries out the fault that is planned there.
# SPDX-License-Identifier: MIT
from instar.installers.base import Installer as Base


class Restart(BaseException):
    """The board starts again: nothing of the program may catch it."""


class Installer(Base):
    """Two slots with the boot loader's rule: a trial that was not confirmed is over at a reset."""

    world = None
    needs_reboot = True
    supports_rollback = True
    adopts = True
    trial = True

    def running(self):
        return self.world.running

    def installed(self):
        return "new"

    def on_trial(self):
        return self.world.pending and self.world.running == "new"

    def download(self, name, size):
        return None

    async def install(self):
        await self.world.act("install")
        self.world.before = self.world.running
        self.world.boot = "new"
        self.world.pending = self.trial
        if not self.needs_reboot:
            self.world.running = "new"
        self.world.hit("install done")

    async def reboot(self):
        await self.world.act("reboot")
        raise Restart

    async def verify_reboot(self):
        await self.world.act("verify_reboot")
        self.world.hit("verify_reboot done")

    async def commit(self):
        await self.world.act("commit")
        self.world.pending = False
        self.world.hit("commit done")

    async def rollback(self):
        await self.world.act("rollback")
        self.world.boot = self.world.before
        if not self.needs_reboot:
            self.world.running = self.world.before
        self.world.pending = self.on_trial()  # what was never started is on trial no more
        self.world.hit("rollback done")

    async def rollback_reboot(self):
        await self.world.act("rollback_reboot")
        raise Restart

    async def verify_rollback(self):
        await self.world.act("verify_rollback")
        self.world.hit("verify_rollback done")

    async def failure(self):
        await self.world.act("failure")
        self.world.hit("failure done")

    async def cleanup(self):
        await self.world.act("cleanup")
        self.world.hit("cleanup done")


class Undoable(Installer):
    """No reboot: as files."""

    needs_reboot = trial = False


class OneWay(Installer):
    """A reboot, and no way back: as another chip on the board, with one place for its firmware."""

    supports_rollback = trial = False


class InPlace(Undoable):
    """No reboot, no way back: as a payload that sets a configuration."""

    supports_rollback = False


class Server:
    def __init__(self, world):
        self.world = world

    async def authorise(self, fresh=False):
        assert fresh
        await self.world.act("authorise")

    async def open(self, deployment, offset):
        await self.world.act("open")
        return Stream()

    async def report(self, deployment_id, status, substate=None):
        await self.world.act("status " + status)
        self.world.statuses.append(status)
        self.world.hit("sent " + status)

    async def send_log(self, deployment_id, entries):
        await self.world.act("log")
        self.world.logs.append([entry[2] for entry in entries])


class Stream:
    total = 4
    chunks = [b"ab", b"cd"]

    async def close(self):
        pass

    def __aiter__(self):
        self.left = list(self.chunks)
        return self

    async def __anext__(self):
        if not self.left:
            raise StopAsyncIteration
        return self.left.pop(0)


class Header:
    payload_type = "kind"
    artifact_name = "v2"
    provides = {"artifact_name": "v2", "new.key": "2"}
    clears_provides = ["old.*"]

    def check(self, provides):
        assert provides["device_type"] == "esp32", provides
        Installer.world.hit("check")


class Reader:
    header = Header()

    def __init__(self, on_header, open_file, verify, ignore_scripts):
        self.on_header = on_header

    def steps(self, view):
        yield
        if self.on_header:
            self.on_header(self.header)
            self.on_header = None
        Installer.world.hit("feed")

    def finish(self):
        Installer.world.hit("finish")

    def close(self):
        pass


class FakeModule:
    Reader = Reader


class Deployment:
    id = "d1"
    artifact_name = "v2"
    image = sha256 = named = None
