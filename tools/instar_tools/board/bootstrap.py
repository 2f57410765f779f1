# What would a board take at its bootstrap? Its own code asks the service, and checks what comes:
#   micropython -X heapsize=BYTES tools/instar_tools/board/bootstrap.py < options.json
# Prints `ready`, then one line of JSON: {"unusable": text} if no board could have these settings;
# else {"problem": null or [whether it is for good, text], "answer": null or {...}, "kept": null or
# {...}, "secret": [names of settings that are]}. Secrets and certificates are in it as they came.
#
# Options: rom (a ROMFS with instar), flash (an empty host file for the file system), heap (bytes
# that the board's code gets), files (path -> hex, /instar.json among them), external_id.
# Limits: the host's clock and network; nothing is on the board but its factory settings.
# SPDX-License-Identifier: MIT
import asyncio
import gc

import desk

_TOLD = ("client_id", "secret", "channels", "digest")


def load():
    from instar.settings import Settings
    from instar.store import Store

    return Settings.load("/instar.json", Store("/.instar"))


def ask(settings, external_id):
    """The service's Answer, as lib/instar/bootstrap.py gets it."""
    from instar import memory

    async def asked():
        from instar.servers.magistrala.bootstrap import bootstrap

        return await bootstrap(settings, external_id)

    memory.release(memory.FULL_WINDOW)
    answer = asyncio.run(asked())
    memory.forget("instar.servers.magistrala")
    memory.forget("instar.crypto")
    return answer


def take(settings, answer):
    """Store it, and start with it."""
    from instar.configuration import take
    from instar.errors import Rejected

    take(settings, answer)
    problem = load().problem
    if problem:
        raise Rejected(problem)


def tried(step, *arguments):
    """(what the step returned, None), or (None, the problem)."""
    from instar.errors import Transient, Unauthorised

    try:
        return step(*arguments), None
    except MemoryError as error:
        return None, (True, f"out of memory: {error}")
    except Exception as error:  # whatever it is, the board's bootstrap would fail with it
        passing = isinstance(error, (Transient, OSError)) and not isinstance(error, Unauthorised)
        return None, (not passing, str(error) or type(error).__name__)


def kept(settings, answer):
    """What the stored configuration was made of."""
    from instar.content import read
    from instar.loading import factory

    values, application, ders = read(factory(settings), answer)
    found = {"ca": [], "client": [], "artifact_keys": []}
    for kind, der in ders:
        found[kind].append(der.hex())
    return {"values": values, "application": application, "ders": found}


def report(settings, answer, problem):
    from instar import options

    return {
        "problem": problem,
        "answer": answer and {name: getattr(answer, name) for name in _TOLD},
        "kept": None if problem else kept(settings, answer),
        "secret": options.SECRET,
    }


def bootstrap(options, ballast):
    from instar import memory
    from instar.errors import Rejected

    memory.reserve()
    gc.threshold(4096)  # as firmware/start.py
    try:
        settings = load()
    except Rejected as error:
        return {"unusable": str(error)}
    answer, problem = tried(ask, settings, options["external_id"])
    if not problem:
        _, problem = tried(take, settings, answer)
    # What is told about it is no work of a board's.
    ballast.clear()
    gc.collect()
    return report(settings, answer, problem)


def main(options):
    flash = desk.HostFile(options["flash"])
    desk.mount(options["rom"])
    desk.format(flash, options["files"])
    ballast = desk.take_surplus(options["heap"])
    desk.ready()
    desk.say(bootstrap(options, ballast))


main(desk.options())
