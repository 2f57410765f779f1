# What a firmware with instar for this board freezes. With an application of your own:
#   include("/path/to/boards/ESP32_GENERIC_S3/manifest.py", app="/path/to/folder")
# (both paths absolute), and FROZEN_MANIFEST=that file for make.
# SPDX-License-Identifier: MIT

include("$(PORT_DIR)/boards/manifest.py")  # _boot.py, asyncio and the network live there
include("../../firmware/manifest.py", app=options.app)
module("board.py", opt=3)
