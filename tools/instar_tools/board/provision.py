# Would a board start with these factory settings? Its own code says so, on the file system that
# they are written to:  micropython tools/instar_tools/board/provision.py < options.json
# Prints `ready`, then one line of JSON: {"there": [paths]} if files are there already and may not
# be replaced; {"has_key": its record in hex} if there is an identity key and one was given; else
# {"problem": null or text, "secret": [names of settings that are], "removed": [paths], "record":
# the identity key's record in hex, or null}.
#
# Options: rom (a ROMFS with instar), files (path -> hex), replace, key (DER in hex, or ""), flash:
# a host file, which is that of a simulated board where emulation (a folder: boards/UNIX as
# bytecode) is given, and else gets a new file system with the files of `kept` (path -> hex). With
# replace goes a configuration that bootstrap brought, and what at the root is named as `made` (an
# expression) says, but for the paths in `stay`.
# SPDX-License-Identifier: MIT
import os
import sys

import desk
import vfs
from provisioner import configuration, exists, left_over

_KEY = "/.instar/identity-key"
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


def there(options):
    """What would be replaced."""
    found = [path for path in options["files"] if exists(path)]
    return sorted(found + configuration())


def remove(paths):
    """Returns them, sorted."""
    for path in paths:
        os.remove(path)
    return sorted(paths)


def check():
    """Everything that the agent does with its factory settings before it speaks to anybody."""
    from instar.http import Client
    from instar.settings import Settings

    settings = Settings.load("/instar.json")
    cert, key = settings.client_certificate()
    ca = settings.ca_certificates()
    Client(ca=ca, cert=cert, key=key).prepare()
    if settings.bootstrap_url:
        from instar.servers.magistrala import bootstrap

        identity = settings.identity or {"mac": _MAC}
        bootstrap.check(settings, settings.external_id or identity.get("mac", ""))
    keys = settings.verify_keys()
    if keys:
        from instar.artifact.signature import Verifier

        Verifier(keys)


def put_key(der):
    """The identity key into its record, whose bytes are returned in hex. Raises Rejected if it is
    none that the board uses."""
    from instar.crypto import keys
    from instar.store import Store

    keys.load(der)
    Store("/.instar").put("identity-key", der)
    return record_of_key()


def record_of_key():
    with open(_KEY, "rb") as file:
        return file.read(8192).hex()


def answer(options):
    found = there(options)
    if found and not options["replace"]:
        return {"there": found}
    if options["key"] and exists(_KEY):
        return {"has_key": record_of_key()}  # nothing replaces it: it is who the device is
    from instar import options as known
    from instar.errors import InstarError

    problem = record = None
    removed = []
    try:
        if options["replace"]:
            old = configuration() + left_over(options["made"], options["stay"])
            removed = remove(old)
        desk.write(options["files"])
        check()
        if options["key"]:
            record = put_key(bytes.fromhex(options["key"]))
    except InstarError as error:
        problem = str(error)
    except OSError as error:
        problem = f"the file system does not take the files: {error}"
    return {"problem": problem, "secret": known.SECRET, "removed": removed, "record": record}


def main(options):
    mount(options)
    desk.ready()
    desk.say(answer(options))


main(desk.options())
