# The wire to the parent, and the end of the process: all that leaves the simulated board beside
# its console and its sockets. control.connect(path); control.send(line); control.end(line).
# One short line a message, listed in boards/UNIX/README.md. Without a parent nothing is sent.
# control.wait(): where the parent wants to look at the flash before each operation on it.
# SPDX-License-Identifier: MIT
import os

_shell = os.system
_pipe = None
_ack = None
_byte = bytearray(1)
_LINES = {"op": "op\n", "feed": "feed\n"}
held = None  # what is to stay in the heap, for power_on


def connect(path, ack=None):
    """Open the parent's pipe, and the one on which it answers, if it does (each a /dev/fd/N). To
    be called while the host's files are mounted."""
    global _pipe, _ack
    _pipe = open(path, "wb")
    if ack:
        _ack = open(ack, "rb")


def send(line):
    """One message. If the parent is gone, so is the board's power."""
    if _pipe:
        try:
            # One write: Ctrl-C may come between two. The frequent lines take nothing of the heap.
            _pipe.write(_LINES.get(line) or line + "\n")
        except OSError:
            _stop()


def wait():
    """Until the parent has taken note of the last message; at once, where it does not answer."""
    if _ack and not _ack.readinto(_byte):
        _stop()


def end(line):
    """The last message, then the end of the process: no finaliser, no flush, nothing more."""
    send(line)
    _stop()


def _stop():
    while True:
        # The shell's parent is this interpreter. SIGKILL is the only end that runs no finaliser:
        # MicroPython's own exit would close the open files, that is: write to the flash.
        _shell("kill -9 $PPID")
