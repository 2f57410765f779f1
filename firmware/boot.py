# Runs first at every start: makes sure that the firmware's own modules are what gets imported.
#
# MicroPython looks in '' (the file system's root) before the frozen modules, so a stale
# /instar or /errors.py left on the file system would run instead of the new firmware's.
# No import but sys may come before this line.
# SPDX-License-Identifier: MIT

import sys

sys.path[:] = [p for p in sys.path if p not in ("", "/lib")] + ["/lib", ""]
