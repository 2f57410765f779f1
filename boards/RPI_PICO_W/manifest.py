# What a firmware with instar for this board freezes. With an application of your own:
#   include("/path/to/boards/RPI_PICO_W/manifest.py", app="/path/to/folder")
# (both paths absolute), and FROZEN_MANIFEST=that file for make.
# SPDX-License-Identifier: MIT

include("$(PORT_DIR)/boards/RPI_PICO_W/manifest.py")  # the network's modules, too
include("../../firmware/manifest.py", app=options.app)
module("board.py", opt=3)
