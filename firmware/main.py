# The firmware's main program. What it does is in start.py, which is compiled.
# SPDX-License-Identifier: MIT

import start

start.start()
