# With octal PSRAM (N8R8), 8 MiB of flash: BOARD_VARIANT=SPIRAM_OCT
# SPDX-License-Identifier: MIT

include(boards/ESP32_GENERIC_S3/mpconfigvariant_SPIRAM_OCT.cmake)
include(${MICROPY_BOARD_DIR}/../layout.cmake)
