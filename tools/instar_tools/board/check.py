# Would a board take these Artifacts? Its own code says so, on a file system made for it:
#   micropython -X heapsize=BYTES tools/instar_tools/board/check.py < options.json
# Prints `ready` once it is the board's code that runs, in the board's heap; then one line of JSON
# for each: {"error": null or text, "header": null or {...}, "sizes": {}}; or {"unusable": text}
# alone, if the options are none that a board could have. Where the heap is too small even for
# that, the last line is {"error": "out of memory"}, and the files after that one were not read.
#
# Options: files, flash (a host file for the file system), rom (a ROMFS with instar and stand_ins,
# as bytecode), firmware_slots (whether the board has any; if not, instar lies in a slot), heap
# (bytes that the board's code gets), settings, keys (bytes as hex), provides, types (payload types
# that are taken without an installer). On stdin: a long command line kills the unix port.
#
# What is stored is what an installer's download() stores: nothing is installed or started.
# Limits: no slot for a rootfs-image is there; stand_ins.py looks at the image instead.
# SPDX-License-Identifier: MIT
import asyncio
import gc
import os

import desk
import vfs
from micropython import const

_CHUNK = const(1024)


class Board:
    """What installers ask of the board's own module while they download."""

    def feed(self):
        pass


class Courier:
    """Brings the Artifact from a file instead of a server, and is the deployment, too."""

    image = sha256 = named = None  # no server said anything of it

    def __init__(self, file):
        self._file = file
        self._chunk = memoryview(bytearray(_CHUNK))

    async def fetch(self, deployment, reader):
        while count := self._file.readinto(self._chunk):
            for _ in reader.steps(self._chunk[:count]):
                pass


class Watched:
    """An installer, and the sizes of the files that came to it."""

    def __init__(self, installer, sizes):
        self._installer = installer
        self._sizes = sizes
        self.begin = installer.begin
        self.installed = installer.installed
        self.cleanup = installer.cleanup

    def download(self, name, size):
        self._sizes[name] = size
        return self._installer.download(name, size)


def format_flash(flash, options):
    keys = options["keys"]
    desk.format(flash, {f"/key{i}": keys[i] for i in range(len(keys))})
    if options["firmware_slots"]:
        return
    try:
        os.mkdir("/guard")  # there the boot guard lies on the file system
        os.mkdir("/guard/instar")
        desk.write({"/guard/instar/boot.mpy": ""})
    except OSError:  # a new file system refuses nothing: LittleFS found no room in RAM
        raise MemoryError from None


def unusable(flash, options):
    """What is wrong with settings and keys; None if nothing is."""
    from instar.artifact.signature import Verifier
    from instar.errors import Rejected

    format_flash(flash, options)
    try:
        keys = load_settings(options).verify_keys()
        if keys:
            Verifier(keys)
    except Rejected as error:
        return str(error)
    finally:
        vfs.umount("/")


def load_settings(options):
    from instar.settings import Settings
    from instar.store import Store

    return Settings(options["settings"], Store("/.instar"))


async def taken_in(intake, courier):
    try:
        intake.prepare(courier)
        await intake.fetch(courier)
        intake.installer.installed()
    finally:
        # Nothing may be open when the file system goes.
        if intake.installer:
            await intake.installer.cleanup()


def checked(source, options):
    """Take the Artifact in as an update does, up to the moment before install()."""
    from stand_ins import stand_ins

    from instar.installers import INSTALLERS, make
    from instar.intake import Intake

    settings = load_settings(options)
    installers = dict(INSTALLERS)
    installers.update(stand_ins(options["types"], options["firmware_slots"]))
    courier = Courier(source)
    sizes = {}
    intake = Intake(
        settings,
        options["provides"],
        lambda kind: Watched(make(installers, Board(), kind, None, settings), sizes),
        lambda level, text: None,
    )
    error = None
    try:
        asyncio.run(taken_in(intake, courier))
    except MemoryError as problem:
        error = f"out of memory: {problem}"
    except Exception as problem:  # whatever it is, the update would fail with it
        error = str(problem) or type(problem).__name__
    header = intake.reader.header if intake.reader else None
    return {"error": error, "header": header and header.__dict__, "sizes": sizes}


def answer(sources, flash, options):
    from instar import memory

    memory.reserve()
    gc.threshold(4096)  # as firmware/start.py
    problem = unusable(flash, options)
    if problem:
        desk.say({"unusable": problem})
        return
    memory.forget("instar.artifact")
    for source in sources:
        format_flash(flash, options)
        desk.say(checked(source, options))
        vfs.umount("/")
        gc.collect()


def main(options):
    flash = desk.HostFile(options["flash"])
    sources = [open(path, "rb") for path in options["files"]]
    # Where the board has instar: the boot guard's rules depend on that.
    desk.mount(options["rom"], "/rom" if options["firmware_slots"] else "/a")
    ballast = desk.take_surplus(options["heap"])
    desk.ready()
    try:
        answer(sources, flash, options)
    except MemoryError:
        print('{"error": "out of memory"}')  # takes none
    return ballast


main(desk.options())
