# 8 MiB of flash: BOARD_VARIANT=FLASH_8M
# SPDX-License-Identifier: MIT

set(INSTAR_LAYOUT 8MiB)
include(${MICROPY_BOARD_DIR}/../layout.cmake)
