"""What `instar doctor` thinks of a board's network, its clock and the servers of its settings.

    print(clock_check(rtc, {"problem": None, "now": 1793491261}, "pool.ntp.org"))

The board is measured by this computer's clock.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import time
from datetime import datetime, timezone
from urllib.parse import urlsplit

from .doctor_flash import Check, Command

_OFF = 300  # seconds: more, and something is wrong with the clock
_PORTS = {"https": 443, "http": 80}


def port_of(url: str) -> int:
    parts = urlsplit(url)
    return parts.port or _PORTS[parts.scheme]


def network_check(problem: str | None, ssid: str, command: Command) -> Check:
    if not problem:
        return Check("network", True, f"joined {ssid or 'the network that it knows'}")
    step = f"look at the Wi-Fi's name and key ({command('provision')}), 2.4 GHz, and its reach"
    return Check("network", False, problem, step)


def clock_check(rtc: int | None, told: dict | None = None, host: str = "") -> Check:
    """rtc: as it was found. told: what became of it when the time server `host` was asked; None:
    nobody was asked."""
    if rtc is None:
        return Check("clock", None, "not known")
    now = time.time()
    was = f"{_date(rtc)}, {_difference(rtc - now)}"
    if told is None or "failed" in told:
        right = _close(rtc, now)
        return Check("clock", right or None, was, "" if right else "an agent sets it at its start")
    if told["problem"] or not host:
        said = told["problem"] or "no time server in the settings"
        step = "see that the setting ntp_host names a time server that is reached (UDP port 123)"
        return Check("clock", _close(told["now"], now), f"{was}; {said}", step)
    if _close(told["now"], now):
        return Check("clock", True, f"{was}; {host} sets it")
    step = "look at this computer's clock, and at the setting ntp_host"
    return Check("clock", False, f"{host} says {_date(told['now'])}", step)


def _close(one: float, other: float) -> bool:
    return abs(one - other) < _OFF


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%d %H:%M UTC")


def _difference(seconds: float) -> str:
    if abs(seconds) < _OFF:
        return "right"
    days, rest = divmod(int(abs(seconds)), 86400)
    size = f"{days} days" if days else f"{rest // 60} minutes"
    return f"{size} {'ahead' if seconds > 0 else 'behind'}"


def name_check(what: str, host: str, found: dict) -> Check:
    problem = found.get("failed") or found["problem"]
    if not problem:
        return Check(f"{what}: name", True, f"{host} {found['address']}".rstrip())
    step = "look at the host's name in the settings, and at the network's DNS"
    return Check(f"{what}: name", False, f"{host}: {problem}", step)


def server_check(what: str, plain: bool, found: dict, command: Command) -> Check:
    """plain: over HTTP without TLS, as the settings allow it."""
    row = f"{what}: {'HTTP' if plain else 'TLS'}"
    problem = found.get("failed") or found["problem"]
    if problem:
        return Check(row, False, problem, _step(problem, command))
    said = "not encrypted" if plain else "verified"
    return Check(row, None if plain else True, f"{said}, answers in {found['ms']} ms")


def _step(problem: str, command: Command) -> str:
    # The words are trust.py's of lib/instar/http.
    if "valid today" in problem:
        return "set the board's clock (see the row clock), or renew the server's certificate"
    if "signed by a CA" in problem or "CA certificate" in problem:
        return f"give the board the CA of this server: {command('provision')}"
    if "MemoryError" in problem or "memory" in problem:
        return "make room in the heap: do less in boot.py"
    return "look at the URL, and whether the server runs and this network reaches it"
