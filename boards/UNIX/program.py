# The board's own program: boot.py, then main.py, as an ESP32 starts them.
# program.run() returns how it ended, in the words of the `repl` message.
# SPDX-License-Identifier: MIT
import sys

import control


def run():
    """Run both; the ROMFS's come before the file system's, as frozen ones do."""
    shared = {"__name__": "__main__"}
    for name in ("boot.py", "main.py"):
        path = _find(name)
        if not path:
            continue
        try:
            execfile(path, shared)  # noqa: F821 (MicroPython's)
        except SystemExit:
            control.end("soft_reset")
        except BaseException as error:
            # A failed boot.py keeps main.py from starting, as in ports/esp32/main.c.
            sys.print_exception(error)
            return "error in " + name
    return "end of main.py"


def _find(name):
    for path in ("/rom/" + name, "/" + name):
        try:
            open(path).close()
        except OSError:
            continue
        return path
    return None
