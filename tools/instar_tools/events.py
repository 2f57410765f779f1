"""Events: what a board says in lines `@instar {json}`, and what is told about it.

    event = board_event(b'@instar {"event": "idle"}')
    met = condition("success"); met(event)

An event is a dict with an "event" key; the simulator's have "from": "simulator".
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
from collections.abc import Callable

Event = dict
Condition = Callable[[Event], bool]

_PREFIX = b"@instar "


def condition(until: str | Condition | None) -> Condition:
    """`success`, `failure`: that status was reported and the board is idle after. Another word: an
    event of that name. A function of the event: itself."""
    if callable(until):
        return until
    if until not in ("success", "failure"):
        return lambda event: event["event"] == until
    seen = False

    def reported(event: Event) -> bool:
        nonlocal seen
        seen = seen or (event["event"] == "report" and event.get("status") == until)
        return seen and event["event"] == "idle"

    return reported


def event_of(name: str, /, **info: object) -> Event:
    """An event of the simulator's."""
    return {"event": name, "from": "simulator", **info}


def board_event(line: bytes) -> Event | None:
    """The event in a line of a board's console, or None: it is no event."""
    if not line.startswith(_PREFIX):
        return None
    try:
        event = json.loads(line.removeprefix(_PREFIX))
    except ValueError:
        return None
    return event if isinstance(event, dict) and isinstance(event.get("event"), str) else None
