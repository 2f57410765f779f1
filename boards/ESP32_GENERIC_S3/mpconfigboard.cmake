# A firmware with instar for an ESP32-S3, two slots for it, and no Bluetooth:
#   make -C micropython/ports/esp32 BOARD_DIR=/absolute/path/to/boards/ESP32_GENERIC_S3
# Limits: MicroPython 1.24 or later. What the stock board sets is taken from MicroPython itself.
# SPDX-License-Identifier: MIT

include(boards/ESP32_GENERIC_S3/mpconfigboard.cmake)
set(IDF_TARGET esp32s3)

# Some 250 KiB of the slot, which instar needs: see mpconfigboard.h.
list(REMOVE_ITEM SDKCONFIG_DEFAULTS boards/sdkconfig.ble)
list(APPEND SDKCONFIG_DEFAULTS ${MICROPY_BOARD_DIR}/sdkconfig.board)

set(MICROPY_FROZEN_MANIFEST ${MICROPY_BOARD_DIR}/manifest.py)

set(INSTAR_LAYOUT 8MiB)
include(${MICROPY_BOARD_DIR}/../layout.cmake)
