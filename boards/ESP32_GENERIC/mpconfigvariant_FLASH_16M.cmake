# 16 MiB of flash: BOARD_VARIANT=FLASH_16M
# SPDX-License-Identifier: MIT

set(INSTAR_LAYOUT 16MiB)
include(${MICROPY_BOARD_DIR}/../layout.cmake)
