"""mp-image-tool-esp32 as it is, but for one thing: it knows MicroPython's partition for a ROMFS.

    python -m instar_tools.flashing.mp_image_tool in.bin --from-csv table.csv --output out.bin

Its table of subtypes has no 0x8f, and no way to give a number instead.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import sys

from mp_image_tool_esp32.main import main
from mp_image_tool_esp32.partition_table import SUBTYPES

from .partitions import DATA, ROMFS

SUBTYPES["romfs"] = (DATA, ROMFS)

if __name__ == "__main__":
    sys.exit(main())
