# With octal PSRAM (N16R8), 16 MiB of flash: BOARD_VARIANT=SPIRAM_OCT_FLASH_16M
# SPDX-License-Identifier: MIT

include(boards/ESP32_GENERIC_S3/mpconfigvariant_SPIRAM_OCT.cmake)
set(INSTAR_LAYOUT 16MiB)
include(${MICROPY_BOARD_DIR}/../layout.cmake)
