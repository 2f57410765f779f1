# A firmware with instar for a Raspberry Pi Pico 2 W:
#   make -C micropython/ports/rp2 BOARD_DIR=/absolute/path/to/boards/RPI_PICO2_W
# Limits: MicroPython 1.24 or later. There are no slots for firmware: instar in it stays as it was
# flashed, and only the application is updated (docs/porting.md).
# SPDX-License-Identifier: MIT

include(${MICROPY_PORT_DIR}/boards/RPI_PICO2_W/mpconfigboard.cmake)

set(MICROPY_FROZEN_MANIFEST ${MICROPY_BOARD_DIR}/manifest.py)
