# One call of Murano's device API, by the board's own client:
#   micropython tools/instar_tools/board/murano.py     # stdin: the options, a line of JSON
# Prints `ready`, then lines of JSON as things happen: {"result": ...} for each thing that came,
# {"trace": [what, hex]} where asked for (tracing.py), and at last {"end": null}, or
# {"end": [kind, text]} of an error: "usage", "refused", "silent" or "broken". No line shows a
# secret but those of traces and, where show is true, the last result: {"secret": ...}, the token
# or password. Ends early when stdin does: whoever started it is gone.
#
# Options: rom (a ROMFS with instar and tracing), files (path -> hex: those that the settings
# name), state (a folder of the host for the client's records), settings, identity, verbose, show,
# command (a key of _COMMANDS), and what that one takes; file: one of the host to read or write.
# Limits: the host's clock and network.
# SPDX-License-Identifier: MIT
import asyncio
import errno
import hashlib
import io
import json
import sys

import desk
import vfs
from micropython import const

_BATCH = const(200)  # entries of one request to record
_LARGEST = const(1 << 20)  # bytes of an answer: 64 KiB of a resource, encoded, and a few of them


class Given:
    """Files as a file system: path -> hex. A key among them is in no file of the host."""

    def __init__(self, files):
        self._files = files

    def mount(self, readonly, mkfs):
        pass

    def open(self, path, mode):
        if path not in self._files:
            raise OSError(errno.ENOENT)
        return io.BytesIO(bytes.fromhex(self._files[path]))


class Folder:
    """A folder of the host as a file system. A VfsPosix with a root of its own would do, but for
    its rename, which takes the new name for the old one, too (1.28)."""

    def __init__(self, root):
        self._root = root
        self._host = vfs.VfsPosix()

    def mount(self, readonly, mkfs):
        pass

    def open(self, path, mode):
        return self._host.open(self._root + path, mode)

    def ilistdir(self, path):
        return self._host.ilistdir(self._root + path)

    def stat(self, path):
        return self._host.stat(self._root + path)

    def remove(self, path):
        self._host.remove(self._root + path)

    def rename(self, path, to):
        self._host.rename(self._root + path, self._root + to)


def result(value):
    desk.say({"result": value})


async def activate(murano, options):
    await murano.activate()


async def reprovision(murano, options):
    key = options["key"] and bytes.fromhex(options["key"])
    await murano.reprovision(certificate=options["certificate"], key=key)


async def write(murano, options):
    await murano.write(options["values"])


async def read(murano, options):
    result(await murano.read(*options["aliases"]))


async def read_write(murano, options):
    result(await murano.read_write(options["values"], *options["aliases"]))


async def wait(murano, options):
    change = await murano.wait(options["alias"], options["seconds"], options["since"])
    if change:
        result({"value": change.value, "modified": change.modified})


async def follow(murano, options):
    """Every value from now on, the one that is there first; the link may fail meanwhile."""
    from instar.errors import Transient, Unauthorised
    from instar.retry import Backoff
    from instar.servers.murano.polling import Watch

    watch = Watch(murano, options["alias"])
    backoff = Backoff(1, 60)
    while True:
        try:
            if found := await watch.next(options["seconds"]):
                result({"value": found[0]})
            backoff.reset()
        except Unauthorised:
            raise
        except Transient as error:
            delay = backoff.delay(error)
            result({"problem": f"{error}; the next try in {delay:.0f} s"})
            await asyncio.sleep(delay)


async def record(murano, options):
    from instar.servers.murano.form import entry

    entries = options["entries"]
    for at in range(0, len(entries), _BATCH):
        some = entries[at : at + _BATCH]
        conflicts = await murano.record([entry(*one) for one in some])
        result({"recorded": len(some) - len(conflicts), "conflicts": conflicts})


async def timestamp(murano, options):
    result(await murano.timestamp())


async def contents(murano, options):
    result(await murano.contents())


async def info(murano, options):
    found = await murano.info(options["id"])
    names = ("type", "size", "updated", "description")
    result({name: getattr(found, name) for name in names})


async def download(murano, options):
    digest, size = hashlib.sha256(), 0
    stream = await murano.download(options["id"], **options["range"])
    async for view in stream:
        options["file"].write(view)
        digest.update(view)
        size += len(view)
    options["file"].close()
    result({"bytes": size, "sha256": digest.digest().hex()})


async def upload(murano, options):
    kinds = {name: options[name] for name in ("type", "tags") if options[name]}
    await murano.upload(options["id"], options["file"], **kinds)


_COMMANDS = {
    function.__name__: function
    for function in (
        activate,
        reprovision,
        write,
        read,
        read_write,
        wait,
        follow,
        record,
        timestamp,
        contents,
        info,
        download,
        upload,
    )
}


def connect(settings, verbose):
    from instar.http import Client

    if verbose:
        from tracing import Tracing as Client
    cert, key = settings.client_certificate()
    client = Client(
        ca=settings.ca_certificates(),
        cert=cert,
        key=key,
        allow_plain=settings.allow_plain_http,
        max_body=_LARGEST,
    )
    client.prepare()
    return client


async def end_with_the_host():
    await asyncio.StreamReader(sys.stdin).read(1)  # nothing comes but the end
    raise SystemExit


async def run(murano, options):
    ending = asyncio.create_task(end_with_the_host())
    try:
        await _COMMANDS[options["command"]](murano, options)
        if options["show"] and murano.settings.murano_auth != "certificate":
            from instar.servers.murano.credentials import Credentials

            known = Credentials(murano.settings, murano.url, murano.identity).known()
            result({"secret": known[0] if known else ""})
    finally:
        ending.cancel()
        await murano.client.close()


def ended(options):
    """None, or what went wrong as [kind, text]."""
    from instar.errors import Broken, InstarError, Rejected, Unauthorised
    from instar.servers.murano import Murano
    from instar.settings import Settings
    from instar.store import Store

    try:
        settings = Settings(options["settings"], Store("/state"))
        client = connect(settings, options["verbose"])
        murano = Murano(settings, options["identity"], client)
    except Rejected as error:
        return ["usage", str(error)]
    try:
        asyncio.run(run(murano, options))
    except (Rejected, Unauthorised) as error:
        return ["refused", str(error)]
    except (Broken, OSError) as error:
        return ["broken", str(error)]
    except InstarError as error:
        return ["silent", str(error)]


def main(options):
    if "file" in options:  # before the host's files go out of reach
        options["file"] = open(options["file"], options["mode"])
    state = Folder(options["state"])
    desk.mount(options["rom"])
    vfs.mount(Given(options["files"]), "/")
    vfs.mount(state, "/state")
    desk.ready()
    desk.say({"end": ended(options)})


main(json.loads(sys.stdin.readline()))
