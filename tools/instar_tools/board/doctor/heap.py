# `instar doctor` on the board, first: the heap as boot.py left it, before anything else is
# imported. Then which modules are missing, what started the board, and what time it is; and the
# heap that its radio leaves.
#
#   look("tls asyncio ...")      # names of modules
#
# Limits: imports what it looks for, and switches Wi-Fi on; what it says of the heap is for a
# program at the REPL.
# SPDX-License-Identifier: MIT
import gc


def look_heap():
    """Free bytes, and the largest block that can be taken, to within 256 bytes."""
    gc.collect()
    free = gc.mem_free()
    taken, refused = 0, free + 1
    while refused - taken > 256:
        size = (taken + refused) // 2
        try:
            bytearray(size)
            taken = size
        except MemoryError:
            refused = size
        gc.collect()
    return free, taken


def look_beside_radio():
    """Free bytes with Wi-Fi on, as of words of 4 bytes; None if there is no Wi-Fi to switch on.

    An ESP32's heap grows into memory that its Wi-Fi takes, too.
    """
    import sys

    try:
        import network

        network.WLAN(network.STA_IF).active(True)
    except (ImportError, AttributeError, OSError):
        return None  # looked at again, and told, where the network is
    gc.collect()
    return gc.mem_free() * 4 // (8 if sys.maxsize >> 32 else 4)


def look(modules):
    free, largest = look_heap()
    import sys
    import time

    import machine

    missing = []
    for name in modules.split():
        module, _, member = name.partition(".")
        try:
            found = __import__(module)
        except ImportError:
            found = None
        if not found or (member and not hasattr(found, member)):
            missing.append(name)
    cause = machine.reset_cause()
    words = ("PWRON_RESET", "HARD_RESET", "WDT_RESET", "DEEPSLEEP_RESET", "SOFT_RESET")
    causes = [word for word in words if getattr(machine, word, None) == cause]
    epoch = 946684800 if time.gmtime(0)[0] == 2000 else 0
    return {
        "beside_radio": look_beside_radio(),
        "free": free,
        "largest": largest,
        "missing": missing,
        "cause": causes[0] if causes else str(cause),
        "now": time.time() + epoch,
    }
