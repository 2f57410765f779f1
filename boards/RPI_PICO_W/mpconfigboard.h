// As the stock board: the file system keeps its size and place.
// SPDX-License-Identifier: MIT

#include "boards/RPI_PICO_W/mpconfigboard.h"
