// As the stock board, but for Bluetooth, whose room in the slot instar takes; and with ROMFS, for
// which MicroPython looks in a partition `romfs` (it does without if there is none).
// SPDX-License-Identifier: MIT

#define MICROPY_PY_BLUETOOTH (0)
#define MICROPY_VFS_ROM (1)

#include "boards/ESP32_GENERIC/mpconfigboard.h"
