# With PSRAM (ESP32-WROVER), 4 MiB of flash: BOARD_VARIANT=SPIRAM
# SPDX-License-Identifier: MIT

include(boards/ESP32_GENERIC/mpconfigvariant_SPIRAM.cmake)
include(${MICROPY_BOARD_DIR}/../layout.cmake)
