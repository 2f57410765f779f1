"""What `instar doctor` finds on a board, as rows: what, fine or not, found, how to mend it.

    with connect(port, any_version=True) as link:
        examination = Examination(link)
        for check in examination.checks():
            print(check.what, check.fine, check.found, check.step)

The questions are asked by the programs in board/doctor/, one after the other, so that a heap of
64 KiB has room for each. What the answers mean is decided in doctor_flash.py, doctor_instar.py and
doctor_network.py, without a board.

Limits: reads only, but for the RTC, which is set as the agent would at its start.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from ..board_code import BOARD
from ..real_boards import BOARDS
from .doctor_flash import Check, flash_checks, slot_check, update_check
from .doctor_instar import (
    heap_check,
    records_check,
    runs_from_slot,
    settings_checks,
    software_checks,
)
from .doctor_network import clock_check, name_check, network_check, port_of, server_check
from .port import OLDEST, PYTHON, BoardError, Link

_PROGRAMS = BOARD / "doctor"
_MODULES = (
    "tls asyncio deflate cryptolib hashlib.sha256 network socket select json struct binascii vfs"
)
_OF_PLATFORM = {"esp32": "esp32.Partition", "rp2": "rp2.Flash"}
_WINDOW = 33 << 10  # bytes in one piece, that inflating a gzip payload takes
_LEAST_HEAP = 60 << 10  # bytes: less, and an agent has no room even where all code is frozen
_QUICK = 10.0  # seconds of silence on the port: these read flash and heap
_SLOW = 150.0  # these wait for a network: longer than every timeout of instar's


class Examination:
    """Of the board at the other end of the link. asked: which of our boards it has to be; None:
    any."""

    def __init__(self, link: Link, asked: str | None = None) -> None:
        self._link = link
        self._asked = asked
        machine = link.info.machine
        self._known = next((name for name in BOARDS if BOARDS[name].is_on(machine)), None)
        self._rtc: int | None = None
        self._heap: int | None = None

    def checks(self) -> Iterator[Check]:
        """All rows, each as soon as it is known. Raises BoardGone."""
        version = self._version()
        yield version
        yield self._board()
        if not version.fine:
            return
        yield from self._basics()
        software = self._ask("software.py")
        yield from self._flash(software)
        if "failed" in software:
            yield self._failed("instar", software)
            return
        yield from software_checks(software, self._link.info.machine, self._known, self._command)
        yield from heap_check(software, self._heap)
        if software["board"]:
            yield from self._deployed()
        else:
            yield clock_check(self._rtc)

    # ---- asking

    def _ask(self, program: str, call: str = "look()", seconds: float = _QUICK) -> dict:
        """The answer of a program on the board; {"failed": why} if it did not come to an end."""
        try:
            self._link.feed()
            self._link.run((_PROGRAMS / program).read_text(), seconds)
        except BoardError as error:
            return {"failed": error.message}
        return self._call(call, seconds)

    def _call(self, call: str, seconds: float = _SLOW) -> dict:
        try:
            return self._link.ask(f"print(json.dumps({call}))", seconds)
        except BoardError as error:
            return {"failed": error.message}

    def _failed(self, what: str, answer: dict) -> Check:
        full = "MemoryError" in answer["failed"]
        step = "make room in the heap: do less in boot.py" if full else self._command("deploy")
        return Check(what, False, f"could not be looked at: {answer['failed']}", step)

    def _command(self, name: str) -> str:
        return f"instar {name} --port {self._link.port}"

    # ---- the board

    def _version(self) -> Check:
        info = self._link.info
        needed = ".".join(map(str, OLDEST))
        step = f"{self._command('flash')}: {needed} or later"
        if info.implementation != PYTHON:
            return Check("MicroPython", False, f"{info.implementation} {info.version_text}", step)
        if info.version[:2] >= OLDEST:
            return Check("MicroPython", True, info.version_text)
        return Check("MicroPython", False, f"{info.version_text}: too old", step)

    def _board(self) -> Check:
        machine = self._link.info.machine
        if self._asked and not BOARDS[self._asked].is_on(machine):
            step = f"plug in the {self._asked}, or choose its port with --port"
            return Check("board", False, f"{machine}: no {self._asked}", step)
        if self._known:
            return Check("board", True, f"{machine}: {self._known}")
        step = "docs/porting.md has what instar has to know of it"
        return Check("board", None, f"{machine}: none of {', '.join(BOARDS)}", step)

    def _basics(self) -> Iterator[Check]:
        modules = f"{_MODULES} {_OF_PLATFORM.get(self._link.info.platform, '')}"
        found = self._ask("heap.py", f"look({modules!r})")
        if "failed" in found:
            yield self._failed("heap", found)
            return
        self._rtc, self._heap = found["now"], found["beside_radio"]
        missing = found["missing"]
        yield Check(
            "modules",
            not missing,
            f"missing: {', '.join(missing)}" if missing else "all that instar needs",
            "write an official MicroPython image, or build yours with them" if missing else "",
        )
        own = " (this command's own)" if "SOFT" in found["cause"] else ""
        yield Check("last start", None, found["cause"] + own)
        yield from _heap_checks(found["free"], found["largest"])

    def _flash(self, software: dict) -> Iterator[Check]:
        found = self._ask("flash.py")
        if "failed" in found:
            yield self._failed("flash", found)
            return
        yield from flash_checks(found, runs_from_slot(software), self._command)

    # ---- instar, and what it says itself

    def _deployed(self) -> Iterator[Check]:
        found = self._ask("settings.py")
        if "failed" in found:
            yield self._failed("settings", found)
            return
        yield records_check(found["damaged"], self._command)
        if found["slots"]:
            yield slot_check(found["slots"], self._command)
        yield update_check(found["update"], self._command)
        checks = list(settings_checks(found["settings"], self._command))
        yield from checks
        if all(check.fine is not False for check in checks):
            yield from self._network(found["settings"])
        else:
            yield clock_check(self._rtc)

    def _network(self, settings: dict) -> Iterator[Check]:
        joined = self._ask("network.py", "look_join()", _SLOW)
        if "failed" in joined:
            yield self._failed("network", joined)
            return
        yield network_check(joined["problem"], settings["wifi_ssid"], self._command)
        if joined["problem"]:
            yield clock_check(self._rtc)
            return
        yield clock_check(self._rtc, self._call("look_time()"), settings["ntp_host"])
        for name, url in settings["servers"]:
            if url:
                yield from self._server(name.removesuffix("_url"), url)

    def _server(self, what: str, url: str) -> Iterator[Check]:
        parts = urlsplit(url)
        found = self._call(f"look_address({parts.hostname!r}, {port_of(url)})")
        known = name_check(what, parts.hostname or "", found)
        yield known
        if known.fine:
            plain = parts.scheme == "http"  # the settings have said that it may be
            answer = self._call(f"look_server({url!r}, {plain})")
            yield server_check(what, plain, answer, self._command)


def _heap_checks(free: int, largest: int) -> Iterator[Check]:
    full, pieces = free < _LEAST_HEAP, largest < _WINDOW
    step = "do less in boot.py, or take a board with more memory (PSRAM)"
    yield Check("free heap", not full, f"{free >> 10} KiB", step if full else "")
    step = "do less in boot.py: a gzip update needs 33 KiB in one piece"
    yield Check("largest block", not pieces, f"{largest >> 10} KiB", step if pieces else "")
