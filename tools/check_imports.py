"""Who may import whom on the board: the table of the architecture, checked by `make lint`.

Every module of ``lib/instar`` imports only what its row names, the standard modules of
MicroPython, and ``errors``. ``artifact`` and ``crypto`` import nothing that does I/O.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

LIB = Path(__file__).resolve().parents[1] / "lib" / "instar"

ALLOWED = {
    "agent": {"host", "update", "parts"},
    "parts": {
        "agent",
        "installers",
        "settings",
        "store",
        "servers",
        "bootstrap",
        "publisher",
        "recorder",
        "watcher",
        "joining",
    },
    "host": {"clock", "servers"},
    "bootstrap": {"fetching"},
    "fetching": {"servers", "configuration"},
    "sender": {"outbox"},
    "publisher": {"sender", "servers", "senml"},
    "recorder": {"sender", "servers"},
    "watcher": {"servers", "http"},
    "configuration": {"options", "content", "loading"},
    "content": {"options", "certificates"},
    "certificates": {"crypto"},
    "update": {
        "servers",
        "installers",
        "intake",
        "closing",
        "restart",
        "courier",
        "journal",
        "proof",
        "provides",
        "states",
    },
    "intake": {"artifact", "checkpoint", "closing", "resuming", "states", "versions"},
    "checkpoint": {"store"},
    "closing": {"installers", "provides"},
    "restart": {"states"},
    "proof": {"courier"},
    "journal": {"store"},
    "provides": {"store"},
    "servers": {"http", "crypto", "store", "outbox", "senml", "certificates"},
    "artifact": {"crypto"},
    "settings": {"store", "options", "loading", "configuration"},
    "loading": {"settings", "configuration"},
    "clock": {"sntp"},
    "boot": {"store"},
    "outbox": {"entries", "store"},
    "installers": {"artifact", "boot", "store"},
    "esp32_board": {"wifi_board"},
    "pico_board": {"wifi_board"},
}
# Anybody may import these: they know nothing of the others.
SHARED = {"errors", "memory", "retry", "stopwatch", "__version__", "__init__"}
# Modules of one room may use each other; of servers, only those of one protocol, and the HTTP
# client that all share.
PRIVATE = {"artifact", "crypto", "http", "installers"}
PURE = {"artifact", "crypto"}
IO_MODULES = {"asyncio", "esp32", "machine", "network", "os", "rp2"}
IO_MODULES |= {"select", "socket", "ssl", "tls", "vfs"}


def imports(path: Path) -> list[tuple[int, str]]:
    """(line, dotted name) of every import in the file, relative ones made absolute."""
    package = ["instar", *path.relative_to(LIB).parts[:-1]]
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            stem = ".".join([*base, *([node.module] if node.module else [])])
            if stem == "instar" or (node.level and not node.module):
                found += [(node.lineno, f"{stem}.{alias.name}") for alias in node.names]
            else:
                found.append((node.lineno, stem))
    return found


def complaint(home: list[str], name: str) -> str | None:
    """Why a module in the folders and file `home` may not import `name`, or None."""
    room = home[0]
    parts = name.split(".")
    if parts[0] != "instar":
        pure = room in PURE and parts[0] in IO_MODULES
        return f"{room} does no I/O, but imports {name}" if pure else None
    target = parts[1] if len(parts) > 1 else "__init__"
    allowed = ALLOWED.get(room, set()) | SHARED
    if target in allowed or (target == room and room in PRIVATE):
        return None
    if target == room == "servers" and parts[2:3] in (home[1:2], ["connect"]):
        return None
    return f"{room} may import {sorted(allowed - {'__version__', '__init__'})}, not {name}"


def main() -> int:
    bad = []
    for path in sorted(LIB.rglob("*.py")):
        relative = path.relative_to(LIB)
        home = list(relative.with_suffix("").parts)
        for line, name in imports(path):
            if why := complaint(home, name):
                bad.append(f"lib/instar/{relative}:{line}: {why}")
    print("\n".join(bad) or "imports: every module keeps to its row")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
