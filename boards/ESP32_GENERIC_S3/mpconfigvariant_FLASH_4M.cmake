# 4 MiB of flash: BOARD_VARIANT=FLASH_4M
# SPDX-License-Identifier: MIT

set(INSTAR_LAYOUT 4MiB)
include(${MICROPY_BOARD_DIR}/../layout.cmake)
