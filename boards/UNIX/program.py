# The board's own program: boot.py, then main.py, as ports/esp32/main.c and ports/rp2/main.c start
# them, in the globals that the REPL has after them.
# SPDX-License-Identifier: MIT
import sys

import console
import control
import micropython
from micropython import const

_CTRL_C = const(3)
_NEVER = const(-1)


def start(roots, shared, options):
    """Run the programs. Returns where the REPL begins, that is: with a serial port only.

    roots: the folders where they are looked for; the first that has one counts. shared: their
    globals, and the REPL's; emptied first. options: power_on.py's.
    """
    shared.clear()
    shared["__name__"] = "__main__"
    port = "port" in options
    try:
        if port:
            sys.atexit(_soft_reset)  # Ctrl-D in the REPL
            micropython.kbd_intr(_CTRL_C)
            control.send("running")
        why = _run(roots, shared, ("boot.py",) if "raw" in options else ("boot.py", "main.py"))
    except KeyboardInterrupt as error:  # Ctrl-C between the programs
        sys.print_exception(error)
        why = "interrupted"
    micropython.kbd_intr(_NEVER)
    if not port:
        control.end("repl " + why)
    control.send("repl " + why)
    console.repl_begins()


def _soft_reset():
    control.end("soft_reset")


def _run(roots, shared, names):
    for name in names:
        path = _find(roots, name)
        if not path:
            continue
        try:
            execfile(path, shared)  # noqa: F821 (MicroPython's)
        except SystemExit:
            _soft_reset()
        except BaseException as error:
            # A failed boot.py keeps main.py from starting, on both ports.
            sys.print_exception(error)
            return "error in " + name
    return "end of " + names[-1]


def _find(roots, name):
    for root in roots:
        try:
            open(root + name).close()
        except OSError:
            continue
        return root + name
    return None
