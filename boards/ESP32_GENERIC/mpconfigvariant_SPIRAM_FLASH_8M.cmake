# With PSRAM (ESP32-WROVER), 8 MiB of flash: BOARD_VARIANT=SPIRAM_FLASH_8M
# SPDX-License-Identifier: MIT

include(boards/ESP32_GENERIC/mpconfigvariant_SPIRAM.cmake)
set(INSTAR_LAYOUT 8MiB)
include(${MICROPY_BOARD_DIR}/../layout.cmake)
