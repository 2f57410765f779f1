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

_FIRMWARE = "the firmware"
_OUTSIDE = ("", "/lib")  # where a slot's or the firmware's own instar does not lie
_HOMES = ("/a", "/b", "/rom")
# Bytes free at the REPL, beside Wi-Fi, of the least heap that takes one update after the other
# with all of instar's code in it (tests/system/test_set_boards.py).
_HEAP_FOR_ALL = 123 << 10


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


def heap_check(found: dict, free: int | None) -> Iterator[Check]:
    """Of a board that has instar in files, and so in its heap. free: bytes; None: not known."""
    if not found["version"] or free is None or _place(found["file"]) == _FIRMWARE:
        return
    text = f"{free >> 10} KiB"
    if free >= _HEAP_FOR_ALL:
        yield Check("heap for updates", True, f"{text} beside Wi-Fi")
        return
    text += (
        f", {_HEAP_FOR_ALL >> 10} expected: instar's code lies in the heap, not in the firmware"
    )
    step = "a firmware with instar (docs/porting.md), or a board with PSRAM"
    yield Check("heap for updates", False, text, step)


def runs_from_slot(found: dict) -> bool:
    """Whether instar runs from an application's slot, and can be updated there."""
    return _place(found.get("file", "")) in ("/a/instar", "/b/instar")


def _place(file: str) -> str:
    """Where instar comes from, by its __file__: the folder, or the firmware."""
    folder = file.rpartition("/")[0]
    firmware = not folder.startswith("/") or folder.startswith("/rom/")
    return _FIRMWARE if firmware else folder


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
    yield _watchdog_check(found["watchdog"], found["watchdog_ms"])


def _watchdog_check(asked: int, longest_ms: int | None) -> Check:
    """asked: seconds, in the settings. longest_ms: that the chip can wait, None: any time."""
    if not asked:
        step = "give the setting watchdog, so that a hang ends in a restart"
        return Check("watchdog", None, "off", step)
    if longest_ms and longest_ms < asked * 1000:
        text = f"{longest_ms / 1000:.1f} s: the chip waits no longer (the settings say {asked} s)"
        return Check("watchdog", True, text)
    return Check("watchdog", True, f"{asked} s")
