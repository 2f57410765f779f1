# The firmware's main program. What it does is in start.py, which is compiled.
#
# A board that works does not come to the end of this file. Whatever brings it there, a reset is
# what helps: software on trial goes back. Ctrl-C is not caught: it is for people.
# SPDX-License-Identifier: MIT

import sys
import time

import machine

try:
    import start

    start.start()
except (Exception, SystemExit) as error:
    sys.print_exception(error)
time.sleep(2)
machine.reset()
