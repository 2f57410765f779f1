# A ROMFS of 256 KiB before the file system: BOARD_VARIANT=ROMFS
# SPDX-License-Identifier: MIT

set(INSTAR_LAYOUT 4MiB-romfs)
include(${MICROPY_BOARD_DIR}/../layout.cmake)
