# The firmware's main program. What it does is in start.py, which is compiled.
#
# A board that works does not come to the end of this file. Whatever brings it there, a reset is
# what helps: software on trial goes back. A board without settings stays in the REPL, where
# `instar provision` finds it. Ctrl-C is not caught: it is for people.
# SPDX-License-Identifier: MIT

import os
import sys
import time

import machine

provisioned = True
try:
    import start

    provisioned = start.Board.settings_path[1:] in os.listdir("/")
    if provisioned:
        start.start()
except (Exception, SystemExit) as error:
    sys.print_exception(error)
if provisioned:
    time.sleep(2)
    machine.reset()
print("expected settings, but there are none on this board: instar provision writes them")
