# Would a board start with these factory settings? Its own code says so, on the file system that
# they are written to:  micropython tools/instar_tools/board/provision.py < options.json
# Prints `ready`, then one line of JSON: {"there": [paths]} if files are there already and may not
# be replaced; else {"problem": null or text, "secret": [names of settings that are], "removed":
# [paths]}.
#
# Options: rom (a ROMFS with instar), files (path -> hex), replace, flash: a host file, which is
# that of a simulated board where emulation (a folder: boards/UNIX as bytecode) is given, and else
# gets a new file system with the files of `kept` (path -> hex). With replace goes a configuration
# that bootstrap brought, and what at the root is named as `made` (an expression) says, but for
# the paths in `stay`.
# SPDX-License-Identifier: MIT
import os
import re
import sys

import desk
import vfs

_STATE = "/.instar"
_CONFIGURATION = "config"  # so begin the names of its records
_MAC = "02:00:00:00:00:01"  # stands for the board's own


def mount(options):
    """The file system at /; what else the host has goes."""
    if not options["emulation"]:
        flash = desk.HostFile(options["flash"])
        desk.mount(options["rom"])
        desk.format(flash, options["kept"])
        return
    sys.path.insert(0, options["emulation"])
    import mainboard
    import nor

    chip = nor.Flash(options["flash"])
    family = mainboard.family_of(chip)
    family.attach(chip)
    disk = family.file_system(family.storage())
    desk.mount(options["rom"])
    vfs.mount(disk, "/")


def there(paths):
    """Those of the paths that exist."""
    found = []
    for path in paths:
        try:
            os.stat(path)
            found.append(path)
        except OSError:
            pass
    return found


def configuration():
    """The paths of what bootstrap brought: it would lie over the settings."""
    try:
        names = os.listdir(_STATE)
    except OSError:
        return []
    return [f"{_STATE}/{name}" for name in names if name.startswith(_CONFIGURATION)]


def left_over(made, stay):
    """The paths of an earlier provisioning's files that this one does not write."""
    found = ["/" + name for name in os.listdir("/") if re.match(made, name)]
    return [path for path in found if path not in stay]


def remove(paths):
    """Returns them, sorted."""
    for path in paths:
        os.remove(path)
    return sorted(paths)


def check():
    """Everything that the agent does with its factory settings before it speaks to anybody."""
    from instar.http import Client
    from instar.servers.magistrala import bootstrap
    from instar.settings import Settings

    settings = Settings.load("/instar.json")
    cert, key = settings.client_certificate()
    ca = settings.ca_certificates()
    Client(ca=ca, cert=cert, key=key).prepare()
    identity = settings.identity or {"mac": _MAC}
    external_id = settings.external_id or identity.get("mac", "")
    bootstrap.check(settings, external_id)
    keys = settings.verify_keys()
    if keys:
        from instar.artifact.signature import Verifier

        Verifier(keys)


def answer(options):
    found = there(options["files"]) + configuration()
    if found and not options["replace"]:
        return {"there": sorted(found)}
    from instar import options as known
    from instar.errors import InstarError

    problem = None
    removed = []
    try:
        if options["replace"]:
            old = configuration() + left_over(options["made"], options["stay"])
            removed = remove(old)
        desk.write(options["files"])
        check()
    except InstarError as error:
        problem = str(error)
    except OSError as error:
        problem = f"the file system does not take the files: {error}"
    return {"problem": problem, "secret": known.SECRET, "removed": removed}


def main(options):
    mount(options)
    desk.ready()
    desk.say(answer(options))


main(desk.options())
