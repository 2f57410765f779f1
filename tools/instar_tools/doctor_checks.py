"""What `instar doctor` finds on a board, as rows: what, fine or not, found, how to mend it.

    with connect(port, any_version=True) as link:
        examination = Examination(link)
        for check in examination.checks():
            print(check.what, check.fine, check.found, check.step)
        examination.on_trial                # a reset now would take the new firmware back

The questions are asked by the programs in board/doctor/, one after the other, so that a heap of
64 KiB has room for each; what the answers mean is decided here and in doctor_flash.py.

Limits: reads only, but for the RTC, which is set as the agent would at its start.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any
from urllib.parse import urlsplit

from .board_code import BOARD
from .doctor_flash import Check, flash_checks, on_trial, slot_checks, update_check
from .port import OLDEST, BoardError, Link
from .real_boards import BOARDS

_PROGRAMS = BOARD / "doctor"
_MODULES = (
    "tls asyncio deflate cryptolib hashlib.sha256 network socket select json struct binascii vfs"
)
_OF_PLATFORM = {"esp32": "esp32.Partition", "rp2": "rp2.Flash"}
_WINDOW = 33 << 10  # bytes in one piece, that inflating a gzip payload takes
_LEAST_HEAP = 60 << 10  # bytes: what an agent with everything frozen has to have
_QUICK = 10.0  # seconds of silence on the port: these read flash and heap
_SLOW = 150.0  # these wait for a network: longer than every timeout of instar's
_CLOCK_OFF = 300  # seconds: more, and something is wrong with the clock
_PORTS = {"https": 443, "http": 80}


class Examination:
    """Of the board at the other end of the link. `on_trial`: whether its firmware is."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._platform = link.info.platform
        machine = link.info.machine
        self._known = next((name for name in BOARDS if BOARDS[name].is_on(machine)), None)
        self.on_trial = False

    def checks(self) -> Iterator[Check]:
        """All rows, each as soon as it is known. Raises BoardGone."""
        version = self._version()
        yield version
        if not version.fine:
            return
        basics = self._ask("heap.py", f"look({self._modules!r})")
        yield from self._failed("heap", basics) or self._basics(basics)
        flash = self._ask("flash.py")
        self.on_trial = on_trial(flash)
        yield from self._failed("flash", flash) or flash_checks(flash, self._command)
        software = self._ask("software.py")
        yield from self._failed("instar", software) or self._software(software)
        if software.get("board"):
            yield from self._deployed(basics)
        else:
            yield self._clock(basics.get("now"), None)

    @property
    def _modules(self) -> str:
        return f"{_MODULES} {_OF_PLATFORM.get(self._platform, '')}".strip()

    # ---- asking

    def _ask(self, program: str, call: str = "look()", seconds: float = _QUICK) -> dict:
        """The answer of a program on the board; {"failed": why} if it did not come to an end."""
        try:
            self._link.feed()
            self._link.run((_PROGRAMS / program).read_text(), seconds)
            return self._call(call, seconds)
        except BoardError as error:
            return {"failed": error.message}

    def _call(self, call: str, seconds: float = _SLOW) -> Any:
        return self._link.ask(f"print(json.dumps({call}))", seconds)

    def _failed(self, what: str, answer: dict) -> list[Check]:
        if "failed" not in answer:
            return []
        full = "MemoryError" in answer["failed"]
        step = "make room in the heap: do less in boot.py" if full else self._command("deploy")
        return [Check(what, False, f"could not be looked at: {answer['failed']}", step)]

    def _command(self, name: str) -> str:
        return f"instar {name} --port {self._link.port}"

    # ---- the board

    def _version(self) -> Check:
        info = self._link.info
        if info.version[:2] >= OLDEST:
            return Check("MicroPython", True, info.version_text)
        needed = ".".join(map(str, OLDEST))
        step = f"{self._command('flash')}: {needed} or later"
        return Check("MicroPython", False, f"{info.version_text}: too old", step)

    def _board(self) -> Check:
        machine = self._link.info.machine
        if self._known:
            return Check("board", True, f"{machine}: {self._known}")
        step = "docs/porting.md has what instar has to know of it"
        return Check("board", None, f"{machine}: none of {', '.join(BOARDS)}", step)

    def _basics(self, found: dict) -> Iterator[Check]:
        yield self._board()
        missing = found["missing"]
        yield Check(
            "modules",
            not missing,
            f"missing: {', '.join(missing)}" if missing else "all that instar needs",
            "write an official MicroPython image, or build yours with them" if missing else "",
        )
        own = " (this command's own)" if "SOFT" in found["cause"] else ""
        yield Check("last start", None, found["cause"] + own)
        free, largest = found["free"], found["largest"]
        full = free < _LEAST_HEAP
        yield Check(
            "free heap",
            not full,
            f"{free >> 10} KiB",
            "do less in boot.py, or take a board with more memory (PSRAM)" if full else "",
        )
        pieces = largest < _WINDOW
        yield Check(
            "largest block",
            not pieces,
            f"{largest >> 10} KiB",
            "do less in boot.py: a gzip update needs 33 KiB in one piece" if pieces else "",
        )

    # ---- instar

    def _software(self, found: dict) -> Iterator[Check]:
        if not found["version"]:
            problem = found.get("problem", "")
            text = "none" if "no module named 'instar'" in problem else problem or "none"
            yield Check("instar", False, text, self._command("deploy"))
            return
        place = _place(found["file"])
        if not found["board"]:
            text = f"{found['version']} from {place}, without its board: {found.get('problem')}"
            yield Check("instar", False, text, self._command("deploy"))
            return
        board = found["board"]
        fits = board not in BOARDS or BOARDS[board].is_on(self._link.info.machine)
        step = "" if fits else f"{self._command('deploy')} --board {self._known or '...'}"
        yield Check("instar", fits, f"{found['version']} from {place} for {board}", step)
        yield from self._stale(found, place)

    def _stale(self, found: dict, place: str) -> Iterator[Check]:
        """Copies of instar where no update reaches them."""
        for copy in found["copies"]:
            folder = copy + "/instar"
            if copy not in ("", "/lib") or place == folder:
                continue
            yield Check(
                "stale copy",
                None,
                f"{folder} is not used",
                f"mpremote connect {self._link.port} rm -r :{folder}",
            )
        homes = [copy + "/instar" for copy in found["copies"] if copy in ("/a", "/b", "/rom")]
        if place in ("/instar", "/lib/instar") and homes:
            yield Check(
                "stale copy",
                False,
                f"{place} runs instead of {homes[0]}",
                f"mpremote connect {self._link.port} rm -r :{place}, then"
                f" {self._command('deploy')} for its boot.py",
            )

    def _deployed(self, basics: dict) -> Iterator[Check]:
        found = self._ask("settings.py")
        if "failed" in found:
            yield from self._failed("settings", found)
            return
        yield from self._records(found["damaged"])
        if found["slots"]:
            yield from slot_checks(found["slots"], self._command)
        yield update_check(found["update"])
        settings = found["settings"]
        checks = list(self._settings(settings))
        yield from checks
        if all(check.fine is not False for check in checks):
            yield from self._network(settings, basics)
        else:
            yield self._clock(basics.get("now"), None)

    def _records(self, damaged: list[str]) -> Iterator[Check]:
        text = f"cannot be read: {', '.join(damaged)}" if damaged else "all can be read"
        # Only a record that is needed as it was is a loss; the agent says which.
        step = f"start the agent and see what it says: {self._command('monitor')}"
        yield Check("records", not damaged, text, step if damaged else "")

    def _settings(self, found: dict) -> Iterator[Check]:
        step = self._command("provision")
        if not found["there"]:
            yield Check("settings", False, f"no {found['path']}", step)
            return
        if "problem" in found:
            yield Check("settings", False, found["problem"], step)
            return
        servers = [url for _, url in found["servers"] if url]
        yield Check(
            "settings",
            bool(servers),
            f"for {', '.join(servers)}" if servers else "no server in them",
            "" if servers else step,
        )
        for name in ("ca", "client", "keys"):
            if found[name]:
                yield Check("certificates and keys", False, found[name], step)
        if found["stored_problem"]:
            again = "mend it at the Bootstrap service; the board asks again"
            yield Check("configuration", False, found["stored_problem"], again)
        elif found["waits"]:
            yield Check("configuration", None, "none yet: the board asks the Bootstrap service")
        seconds = found["watchdog"]
        yield Check(
            "watchdog",
            True if seconds else None,
            f"{seconds} s" if seconds else "off",
            "" if seconds else "give the setting watchdog, so that a hang ends in a restart",
        )

    # ---- the network

    def _network(self, settings: dict, basics: dict) -> Iterator[Check]:
        joined = self._ask("network.py", "look_join()", _SLOW)
        if "failed" in joined:
            yield from self._failed("network", joined)
            return
        if joined["problem"]:
            step = f"set the Wi-Fi's name and key ({self._command('provision')}); 2.4 GHz only"
            yield Check("network", False, joined["problem"], step)
            yield self._clock(basics.get("now"), None)
            return
        yield Check("network", True, f"joined {settings['wifi_ssid'] or 'the network it knows'}")
        told = self._call("look_time()")
        yield self._clock(basics.get("now"), told, settings["ntp_host"])
        for name, url in settings["servers"]:
            if url:
                yield from self._server(name, url)

    def _clock(self, before: int | None, told: dict | None, host: str = "") -> Check:
        """before: the RTC as it was found. told: what became of it when `host` was asked."""
        if before is None:
            return Check("clock", None, "not known")
        now = time.time()
        was = f"{_date(before)}, {_difference(before - now)}"
        if told is None:
            return Check("clock", True if _close(before, now) else None, was, _UNASKED)
        if told["problem"] or not host:
            said = told["problem"] or "no time server in the settings"
            step = "see that the setting ntp_host is reached (UDP port 123)"
            return Check("clock", _close(told["now"], now), f"{was}; {said}", step)
        if _close(told["now"], now):
            return Check("clock", True, f"{was}; {host} sets it")
        step = "look at this computer's clock, and at the setting ntp_host"
        return Check("clock", False, f"{host} says {_date(told['now'])}", step)

    def _server(self, name: str, url: str) -> Iterator[Check]:
        what = name.removesuffix("_url")
        parts = urlsplit(url)
        port = parts.port or _PORTS[parts.scheme]
        found = self._call(f"look_address({parts.hostname!r}, {port})")
        if found["problem"]:
            step = "look at the host's name in the settings, and at the network's DNS"
            yield Check(f"{what}: name", False, f"{parts.hostname}: {found['problem']}", step)
            return
        yield Check(f"{what}: name", True, f"{parts.hostname} {found['address']}".rstrip())
        plain = parts.scheme == "http"  # the settings have said that it may be
        found = self._call(f"look_server({url!r}, {plain})")
        row = f"{what}: {'HTTP' if plain else 'TLS'}"
        if not found["problem"]:
            said = "not encrypted" if plain else "verified"
            yield Check(row, None if plain else True, f"{said}, answers in {found['ms']} ms")
        else:
            yield Check(row, False, found["problem"], self._server_step(found["problem"]))

    def _server_step(self, problem: str) -> str:
        if "clock" in problem or "valid today" in problem:
            return "set the board's clock: see the row clock; or renew the certificate"
        if "CA" in problem or "certificate" in problem:
            return f"the right CA for this server: {self._command('provision')}"
        return "look at the URL, and whether the server runs and is reached from this network"


_UNASKED = "an agent sets it at its start"


def _place(file: str) -> str:
    """Where instar comes from, by its __file__: the folder, or the firmware."""
    folder = file.rpartition("/")[0]
    firmware = not folder.startswith("/") or folder.startswith("/rom/")
    return "the firmware" if firmware else folder


def _close(one: float, other: float) -> bool:
    return abs(one - other) < _CLOCK_OFF


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%d %H:%M UTC")


def _difference(seconds: float) -> str:
    if abs(seconds) < _CLOCK_OFF:
        return "right"
    days, rest = divmod(int(abs(seconds)), 86400)
    size = f"{days} days" if days else f"{rest // 60} minutes"
    return f"{size} {'ahead' if seconds > 0 else 'behind'}"
