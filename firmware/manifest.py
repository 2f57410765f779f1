# What a MicroPython build freezes to be an instar firmware: make FROZEN_MANIFEST=.../manifest.py
# The board's own `board` module comes from its folder under boards/.
# SPDX-License-Identifier: MIT

include("$(PORT_DIR)/boards/manifest.py")  # _boot.py, asyncio and the network live there
package("instar", base_path="../lib", opt=3)
module("boot.py")
module("main.py")
module("start.py")
module("app.py")
