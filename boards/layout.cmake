# Which partition table and flash size a firmware for an ESP32 is built with. A board's
# mpconfigboard.cmake includes it, a variant of the board includes it again:
#
#   set(INSTAR_LAYOUT 8MiB)              # or 4MiB-romfs: partitions-${INSTAR_LAYOUT}.csv
#   include(${MICROPY_BOARD_DIR}/../layout.cmake)
#
# ESP-IDF looks for a CONFIG_PARTITION_TABLE_CUSTOM_FILENAME that is not absolute in ports/esp32,
# and an sdkconfig file knows no variables: the lines that need this path are written here.
# SPDX-License-Identifier: MIT

string(REGEX MATCH "^[0-9]+" INSTAR_FLASH_MIB ${INSTAR_LAYOUT})
set(INSTAR_SDKCONFIG ${CMAKE_BINARY_DIR}/sdkconfig.instar)

file(WRITE ${INSTAR_SDKCONFIG} "
CONFIG_ESPTOOLPY_FLASHSIZE_4MB=
CONFIG_ESPTOOLPY_FLASHSIZE_8MB=
CONFIG_ESPTOOLPY_FLASHSIZE_16MB=
CONFIG_ESPTOOLPY_FLASHSIZE_${INSTAR_FLASH_MIB}MB=y
CONFIG_PARTITION_TABLE_CUSTOM=y
CONFIG_PARTITION_TABLE_CUSTOM_FILENAME=\"${MICROPY_BOARD_DIR}/partitions-${INSTAR_LAYOUT}.csv\"
")

# Last, so that it counts; once, although a variant includes this again.
list(REMOVE_ITEM SDKCONFIG_DEFAULTS ${INSTAR_SDKCONFIG})
list(APPEND SDKCONFIG_DEFAULTS ${INSTAR_SDKCONFIG})
