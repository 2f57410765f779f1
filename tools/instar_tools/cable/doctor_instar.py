"""What `instar doctor` thinks of the instar on a board, its settings and its records.

    for check in software_checks(answer_of_software_py, machine, "RPI_PICO_W", command):
        print(check)

The words for what is wrong with settings are instar's own, which never hold a secret.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections.abc import Iterator

from ..real_boards import BOARDS
from .doctor_flash import Check, Command

_OUTSIDE = ("", "/lib")  # where a slot's or the firmware's own instar does not lie
_HOMES = ("/a", "/b", "/rom")


def software_checks(
    found: dict, machine: str, known: str | None, command: Command
) -> Iterator[Check]:
    """machine: what the board says of itself. known: which of our boards that is."""
    version, board = found["version"], found["board"]
    problem = found.get("problem", "")
    if not version:
        none = "no module named 'instar'" in problem
        yield Check("instar", False, "none" if none else problem, command("deploy"))
        return
    place = _place(found["file"])
    if not board:
        text = f"{version} from {place}, but no board module: {problem}"
        yield Check("instar", False, text, command("deploy"))
    else:
        fits = board not in BOARDS or BOARDS[board].is_on(machine)
        step = "" if fits else f"{command('deploy')} --board {known or '...'}"
        yield Check("instar", fits, f"{version} from {place} for {board}", step)
    yield from _stale(found["copies"], place, command)


def runs_from_slot(found: dict) -> bool:
    """Whether instar runs from an application's slot, and can be updated there."""
    return _place(found.get("file", "")) in ("/a/instar", "/b/instar")


def _place(file: str) -> str:
    """Where instar comes from, by its __file__: the folder, or the firmware."""
    folder = file.rpartition("/")[0]
    firmware = not folder.startswith("/") or folder.startswith("/rom/")
    return "the firmware" if firmware else folder


def _stale(copies: list[str], place: str, command: Command) -> Iterator[Check]:
    """Copies of instar where no update reaches them."""
    homes = [copy for copy in copies if copy in _HOMES]
    for copy in copies:
        if copy not in _OUTSIDE:
            continue
        folder = f"{copy}/instar"
        step = f"mpremote rm -r :{folder}"
        if place != folder:
            yield Check("stale copy", None, f"{folder} is not used", step)
        elif homes:
            text = f"{folder} runs instead of {homes[0]}/instar"
            yield Check("stale copy", False, text, f"{step}, then {command('deploy')}")


def records_check(damaged: list[str], command: Command) -> Check:
    if not damaged:
        return Check("records", True, "all can be read")
    # Only some are a loss; the agent says which, and goes on without most.
    step = f"see what the agent says of them: {command('monitor')}"
    return Check("records", False, f"cannot be read: {', '.join(damaged)}", step)


def settings_checks(found: dict, command: Command) -> Iterator[Check]:
    step = command("provision")
    if not found["there"]:
        yield Check("settings", False, f"no {found['path']}", step)
        return
    if "problem" in found:
        yield Check("settings", False, found["problem"], step)
        return
    servers = [url for _, url in found["servers"] if url]
    if servers:
        yield Check("settings", True, f"for {', '.join(servers)}")
    else:
        yield Check("settings", False, "no server in them", step)
    for name in ("ca", "client", "keys"):
        if found[name]:
            yield Check("certificates and keys", False, found[name], step)
    if found["stored_problem"]:
        again = "mend it at the Bootstrap service; the board asks it again"
        yield Check("configuration", False, found["stored_problem"], again)
    elif found["waits"]:
        yield Check("configuration", None, "none yet: the board asks the Bootstrap service")
    if found["watchdog"]:
        yield Check("watchdog", True, f"{found['watchdog']} s")
    else:
        step = "give the setting watchdog, so that a hang ends in a restart"
        yield Check("watchdog", None, "off", step)
