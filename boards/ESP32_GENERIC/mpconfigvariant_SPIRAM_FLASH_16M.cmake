# With PSRAM (ESP32-WROVER), 16 MiB of flash: BOARD_VARIANT=SPIRAM_FLASH_16M
# SPDX-License-Identifier: MIT

include(boards/ESP32_GENERIC/mpconfigvariant_SPIRAM.cmake)
set(INSTAR_LAYOUT 16MiB)
include(${MICROPY_BOARD_DIR}/../layout.cmake)
