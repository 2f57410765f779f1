# The board's own program: boot.py, then main.py, as ports/esp32/main.c and ports/rp2/main.c start
# them. program.run(roots) returns how it ended, in the words of the `repl` message.
# SPDX-License-Identifier: MIT
import sys

import control


def run(roots):
    """Run both. roots: the folders where they are looked for; the first that has one counts."""
    shared = {"__name__": "__main__"}
    for name in ("boot.py", "main.py"):
        path = _find(roots, name)
        if not path:
            continue
        try:
            execfile(path, shared)  # noqa: F821 (MicroPython's)
        except SystemExit:
            control.end("soft_reset")
        except BaseException as error:
            # A failed boot.py keeps main.py from starting, on both ports.
            sys.print_exception(error)
            return "error in " + name
    return "end of main.py"


def _find(roots, name):
    for root in roots:
        try:
            open(root + name).close()
        except OSError:
            continue
        return root + name
    return None
